"""The ``[features]`` section of a schema: the columns that a model learns from.

``[features.calendar]`` names columns of times and what of them is learned: the parts of the
calendar in ``PERIODS``, as numbers or, with ``:cyclic``, as sine and cosine. ``model.calendar``
computes them.

``[features.encoders]`` names features that are encoded in another way than all are
(``model.encoders``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter, model_validator

from model.section import Section

PERIODS = {"hour": 24, "minute_of_day": 1440, "weekday": 7, "month": 12, "day_of_year": 365.25}
"""The parts of the calendar, and after how many of their units each begins again."""
CYCLIC = ":cyclic"
"""What is written behind a part that is to be a sine and a cosine."""
WAVES = ("sin", "cos")
CALENDAR_EXAMPLE = 'as departed = ["hour", "weekday:cyclic"]'


class CalendarFeature(NamedTuple):
    """A numeric feature that is computed from a column of times.

    Attributes:
        name: of the feature, as ``departed_hour`` or ``departed_weekday_sin``.
        source: the column of times.
        part: one of ``PERIODS``.
        wave: ``sin`` or ``cos``; "" for the part as a number.
    """

    name: str
    source: str
    part: str
    wave: str = ""


def _check_parts(parts: object) -> tuple[str, ...]:
    if isinstance(parts, str) or not isinstance(parts, (list, tuple)) or not parts:
        raise ValueError(f"must be a list of parts, {CALENDAR_EXAMPLE}")
    for part in parts:
        if not isinstance(part, str) or part.removesuffix(CYCLIC) not in PERIODS:
            raise ValueError(
                f"{part!r} is not part of the calendar: must be one of {', '.join(PERIODS)}, or "
                f"one with {CYCLIC!r} behind it"
            )
        if parts.count(part) > 1:
            raise ValueError(f"{part!r} is named twice: it must be named once")
    return tuple(parts)


def _validate_table(value: Mapping[Any, Any], kind: Any) -> tuple[tuple[str, Any], ...]:
    """The values of a table by key; a problem has the key in its place, not the number of it."""
    table = {str(name): each for name, each in value.items()}
    return tuple(TypeAdapter(dict[str, kind]).validate_python(table).items())


def _read_calendar(value: object) -> object:
    """The parts by column, as a tuple: a schema is hashed."""
    if isinstance(value, tuple):
        value = dict(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a table of columns with their parts, {CALENDAR_EXAMPLE}")
    return _validate_table(value, Annotated[tuple[str, ...], BeforeValidator(_check_parts)])


def _write_calendar(value: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, list[str]]:
    return {name: list(parts) for name, parts in value}


Calendar = Annotated[
    tuple[tuple[str, tuple[str, ...]], ...],
    BeforeValidator(_read_calendar),
    PlainSerializer(_write_calendar),
]
"""Columns of times, each with its parts; a table of lists in TOML and JSON."""


class ColumnEncoder(Section):
    """How a single feature is encoded, where that is not as all are.

    Attributes:
        encoder: of a categorical feature: ``onehot``, a 0/1 column for each frequent value and
            one for all others; or ``target``, the mean target of a value's rows.
        max_categories: so many values have a column of their own, the most frequent.
        add_indicator: whether a 0/1 column says where the feature is null.
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"encoder", "max_categories", "add_indicator"})

    encoder: Literal["onehot", "target"] = "onehot"
    max_categories: int | None = Field(default=None, ge=1, le=1_000)
    add_indicator: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, value: object) -> object:
        if isinstance(value, str):
            return {"encoder": value}
        if not isinstance(value, Mapping | ColumnEncoder):
            raise ValueError('must be as "target" or { max_categories = 16 }')
        return value

    @model_validator(mode="after")
    def _check(self) -> ColumnEncoder:
        if self.max_categories is not None and self.encoder == "target":
            raise ValueError(
                'max_categories goes with encoder = "onehot" (encoder = "target" has a mean of '
                "every value): leave one of them out"
            )
        return self


def _read_encoders(value: object) -> object:
    """The encoders by feature, as a tuple: a schema is hashed."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(
            'must be a table of features with their encoders, as airport = "target" or '
            "carrier = { max_categories = 16, add_indicator = true }"
        )
    return _validate_table(value, ColumnEncoder)


def _write_encoders(value: tuple[tuple[str, ColumnEncoder], ...]) -> dict[str, dict[str, Any]]:
    return {name: encoder.model_dump(mode="json") for name, encoder in value}


Encoders = Annotated[
    tuple[tuple[str, ColumnEncoder], ...],
    BeforeValidator(_read_encoders),
    PlainSerializer(_write_encoders),
]
"""Features, each with its encoder; a table of tables in TOML and JSON."""


class Features(Section):
    """The columns that a model learns from, by how they are encoded.

    Attributes:
        numeric: quantities, read as they are.
        categorical: values.
        calendar: columns of times, with the parts of the calendar that are numeric features.
        encoders: how single features are encoded, where that is not as all are.

    Example:
        >>> features = Features(numeric=("distance",), calendar={"departed": ["hour"]})
        >>> features.model_dump_json()
        '{"numeric":["distance"],"categorical":[],"calendar":{"departed":["hour"]}}'
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"calendar", "encoders"})

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    calendar: Calendar = ()
    encoders: Encoders = ()


@lru_cache(maxsize=64)
def calendar_features(source: str, parts: tuple[str, ...]) -> tuple[CalendarFeature, ...]:
    """The features of a column of times, in the order of its parts.

    Example:
        >>> for feature in calendar_features("departed", ("hour", "weekday:cyclic")):
        ...     print(feature.name)
        departed_hour
        departed_weekday_sin
        departed_weekday_cos
    """
    found = []
    for written in parts:
        part = written.removesuffix(CYCLIC)
        for wave in WAVES if written.endswith(CYCLIC) else ("",):
            name = "_".join(filter(None, (source, part, wave)))
            found.append(CalendarFeature(name, source, part, wave))
    return tuple(found)
