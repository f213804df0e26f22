"""The schema: the columns of a stream, namely its time, its target and its features.

A schema is a small TOML file (see ``Schema``). Columns that it does not name are ignored.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from model.comparing import BaselineKeys, FigureKeys
from model.durations import LONGEST, check_duration, parse_duration
from model.errors import UserError
from model.features import CalendarFeature, ColumnEncoder, Features, calendar_features
from model.problems import explain
from model.section import Section
from model.task_keys import Costs, check_keys, read_class, read_classes
from model.topic_format import TopicFormat

__all__ = ["Features", "Schema", "Section"]

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RESERVED = "__"
"""Prefix of the job's own columns; no column of a schema may begin with it."""
TAKEN = ("id", "time", "target", "prediction", "model", "late", "key", "file", "row")
"""The names of columns of predictions: no column in ``keep`` may have one of them."""
TAKEN_BY_LABELS = ("label_time", "baseline")
"""Further such names where labels have a time of their own."""


class Csv(Section):
    """How CSV files are written; what is not set is found in each file's beginning.

    Attributes:
        delimiter: what parts fields, an ASCII character.
        quote: what stands around a field that holds a delimiter, a quote or a line end; "" if
            there are no quotes.
        escape: what stands before a quote inside quotes; "" if a quote is doubled there.
        decimal: the decimal mark, a point or a comma.
        skipinitialspace: whether spaces behind a delimiter are no part of a field.
        thousands: what stands between thousands; "" if nothing does.
        nulls: the texts that are nulls, in numeric and categorical columns; an empty field
            always is. Without it ``model.numbers.NULL_WORDS`` are, in numeric columns.
        comment: with what a line begins that is not a row.
        encoding: how the text is encoded, as Python names it, where there is no byte order mark;
            of NDJSON, too.

    Example:
        >>> Csv(delimiter=";", decimal=",").model_dump_json()
        '{"delimiter":";","decimal":","}'
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset(
        {
            *("quote", "escape", "skipinitialspace", "decimal", "thousands"),
            *("nulls", "comment", "encoding"),
        }
    )

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str | None = Field(default=None, max_length=1)
    escape: str | None = Field(default=None, max_length=1)
    skipinitialspace: bool | None = None
    decimal: str | None = None
    thousands: str | None = Field(default=None, max_length=1)
    nulls: tuple[str, ...] | None = None
    comment: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8"

    @field_validator("delimiter", mode="before")
    @classmethod
    def _read_tab(cls, delimiter: object) -> object:
        return "\t" if delimiter == r"\t" else delimiter  # as in TOML's literal strings

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)  # which refuses codecs that are not of text, as zip
        except (LookupError, ValueError) as error:
            raise ValueError('must be an encoding such as "cp1252" or "utf-16"') from error
        return encoding

    @model_validator(mode="after")
    def _check_marks(self, info: ValidationInfo) -> Csv:
        if self.decimal not in (None, ".", ","):
            raise ValueError(f'decimal must be "." or "," (it is {self.decimal!r})')
        thousands = self.thousands
        if thousands and (thousands.isalnum() or thousands in "+-"):
            raise ValueError(
                f"thousands must be a mark such as '.', ',' or a space (it is {thousands!r})"
            )
        if thousands and thousands == self.decimal:
            raise ValueError(f"thousands must differ from decimal (both are {thousands!r})")
        for name in ("quote", "escape", "comment"):
            mark = getattr(self, name)
            if mark and (not mark.isascii() or mark.isalnum() or mark in "\r\n"):
                raise ValueError(f"{name} must be an ASCII mark (it is {mark!r})")
            if mark and mark == self.delimiter:
                raise ValueError(f"{name} must differ from delimiter (both are {mark!r})")
        if self.quote and self.quote in (self.escape, self.comment):
            raise ValueError(f"quote must differ from escape and comment (it is {self.quote!r})")
        if info.mode == "json" and self.delimiter == ",":  # written whether it was set or not
            self.__pydantic_fields_set__.discard("delimiter")
        return self


MISSING = 'must be "drop" or a number, what no answer means when wait is over'
"""What ``missing`` must be under regression, for messages."""
MISSING_OF_ANY = 'must be "drop" or a target, a number or a class: what no answer means'
"""What ``missing`` must be."""


class Labels(Section):
    """The columns of a stream of labels, where labels do not stand in the rows of the questions.

    Attributes:
        id: the column with the key of the question that a label answers, as the schema's ``id``.
        target: the column with the target, a number; a class under classification.
        time: the column with the time at which the label became known, written as ``time`` is.
        missing: what it means that no label has come when a question's wait is over: ``drop``,
            that nothing is known; or the target that the question had.
        format: how the records of a topic of labels are written; None: as those of the questions.

    Example:
        >>> Labels(id="flight", target="arr_delay", time="arrived", missing=0).fill
        0.0
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"format"})

    id: str = Field(min_length=1)
    target: str = Field(min_length=1)
    time: str = Field(min_length=1)
    missing: float | str = "drop"
    format: TopicFormat | None = None

    @model_validator(mode="after")
    def _check(self) -> Labels:
        for column in self.columns:
            if column.startswith(RESERVED):
                raise ValueError(f"column {column!r}: a name must not begin with {RESERVED!r}")
            if self.columns.count(column) > 1:
                raise ValueError(f"column {column!r} has two roles: each column may have one")
        return self

    @field_validator("missing", mode="before")
    @classmethod
    def _check_missing(cls, missing: object) -> object:
        if isinstance(missing, bool):  # a class
            return read_class(missing)
        number = isinstance(missing, int | float) and abs(float(str(missing))) <= 1e150
        if not number and not isinstance(missing, str):
            raise ValueError(MISSING_OF_ANY)
        return missing

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, once."""
        return (self.time, self.target, self.id)

    @property
    def fill(self) -> float | str | None:
        """The target of a question without a label; None if that is not known."""
        return None if self.missing == "drop" else self.missing


class Schema(Section):
    """The columns of a stream, by their roles.

    Attributes:
        name: what the stream is called in reports.
        time: the event time's column: ISO 8601 text, a number since the epoch or a timestamp.
        target: the column to predict, a number; a class under classification.
        features: the columns to learn from, numeric and categorical, and the columns of times
            whose hour, weekday and the like are (``model.features``).
        id: the column with the user's own key of a row, text or integer; not learned from,
            unless it is a categorical feature too. Without it rows have no key.
        keep: columns that are carried into predictions, samples and answers; not learned from,
            unless they have another role too.
        time_format: how times are written: what numbers count (``s``, ``ms``, ``us``, ``ns``,
            ``excel``), ``iso8601``, ``dayfirst``, ``monthfirst`` or a format of ``strptime``.
            Without it the forms that can be meant in one way only are read.
        time_zone: the IANA name of the zone of times that do not name their own; None is UTC.
        label_time: the column with the time at which the target became known, written as ``time``
            is; None: it was known at ``time``. A row has target and label time, or neither.
        wait: how long a question stays open, in seconds (TOML: ``2d``); needed with
            ``label_time`` and with ``labels``. A label that comes later is neither learned from nor
            evaluated.
        task: ``regression`` or ``classification``.
        classes: all classes, in order, if they are known: another target is a reject. Without
            them each model has those of its window, sorted.
        positive: of two classes the one that figures and the threshold are of; None: the last.
        costs: of mistakes; they set the threshold.
        calibration: whether probabilities are calibrated on rows that the fit has not seen.
        labels: the columns of a stream of labels, which are then no columns of the rows: ``target``
            names what is predicted, and is not read. Needs ``id`` and ``wait``.
        csv: how CSV input is written; ignored for other formats.
        format: how the records of a topic are written.
        baseline: which baselines there are (``model.comparing``).
        figures: by which column they are split.

    Raises:
        pydantic.ValidationError: if a column has two roles, there is no feature, a name is
            empty or begins with two underscores, ``keep`` has a column twice or one whose
            name is in ``TAKEN``, a calendar feature is no such or has another column's name, if one
            of ``label_time`` and ``wait`` is there without the other, or ``labels`` with
            ``label_time``, or without ``id`` or ``wait``.

    Example:
        >>> flights = Schema(
        ...     name="flights", time="time_hour", target="arr_delay",
        ...     features=Features(numeric=("dep_delay", "distance"), categorical=("carrier",)))
        >>> flights.columns
        ('time_hour', 'arr_delay', 'dep_delay', 'distance', 'carrier')
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset(
        {
            *("id", "keep", "time_format", "time_zone", "label_time", "wait"),
            *("task", "classes", "positive", "costs", "calibration", "labels"),
            *("baseline", "figures", "format"),
        }
    )

    name: str = Field(min_length=1)
    time: str = Field(min_length=1)
    target: str = Field(min_length=1)
    features: Features
    id: str | None = Field(default=None, min_length=1)
    keep: tuple[str, ...] = ()
    time_format: str | None = None
    time_zone: str | None = None
    label_time: str | None = Field(default=None, min_length=1)
    wait: int | None = Field(default=None, ge=1, le=LONGEST)
    task: Literal["regression", "classification"] = "regression"
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    costs: Costs | None = None
    calibration: Literal["none", "isotonic", "sigmoid"] = "none"
    labels: Labels | None = None
    csv: Csv = Csv()
    format: TopicFormat = TopicFormat()
    baseline: BaselineKeys = BaselineKeys()
    figures: FigureKeys = FigureKeys()

    @field_validator("wait", mode="before")
    @classmethod
    def _read_wait(cls, wait: object) -> object:
        return None if wait is None else check_duration(parse_duration(wait))

    @field_validator("classes", mode="before")
    @classmethod
    def _read_classes(cls, classes: object) -> object:
        return None if classes is None else read_classes(classes)

    @field_validator("positive", mode="before")
    @classmethod
    def _read_positive(cls, positive: object) -> object:
        return None if positive is None else read_class(positive)

    @field_validator("time_format")
    @classmethod
    def _check_time_format(cls, form: str | None) -> str | None:
        from model.times import FORMATS, check_form  # here, to load no numpy where no time is named

        try:
            if form is not None:
                check_form(form)
        except ValueError as error:
            raise ValueError(f"must be {FORMATS}: {error}") from error
        return form

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, zone: str | None) -> str | None:
        from model.zones import find_zone  # here, to load no zones where none is named

        if zone is not None and find_zone(zone) is None:
            raise ValueError('must be an IANA name such as "America/Sao_Paulo"')
        return zone

    @model_validator(mode="after")
    def _check(self) -> Schema:
        if not self.numeric and not self.categorical:
            raise ValueError("features: at least one numeric or categorical column is needed")
        self._check_calendar()
        self._check_encoders()
        for column in self.columns:
            if not column or column.startswith(RESERVED):
                raise ValueError(
                    f"column {column!r}: a name must not be empty, and must not begin with "
                    f"{RESERVED!r}"
                )
        roles = self.roles if self.labels is None else (self.target, *self.roles)
        for column in roles:
            if roles.count(column) > 1:
                raise ValueError(f"column {column!r} has two roles: each column may have one")
        self._check_carried()
        self._check_labels()
        check_keys(self)
        self._check_comparing()
        return self

    def _check_comparing(self) -> None:
        given = [("baseline.by", name) for name in self.baseline.by]
        given += [("figures.by", self.figures.by)] if self.figures.by else []
        for key, has in (
            ("baseline.season", self.baseline.season),
            ("figures.by", self.figures.by),
        ):
            if self.classifies and has:
                raise ValueError(f"{key}: must be left out where the target is a class")
        for key, column in given:
            if column not in (*self.categorical, *self.passed):
                raise ValueError(
                    f"{key}: column {column!r}: must be a categorical feature, or a column in keep "
                    "that has no other role"
                )
        if self.labels is not None and self.figures.by and self.figures.by not in self.keep:
            raise ValueError("figures.by: must be in keep, too, where labels are a stream")
        for column in self.baseline.by:
            if self.baseline.by.count(column) > 1:
                raise ValueError(
                    f"baseline.by: column {column!r} is named twice: it must be named once"
                )

    def _check_calendar(self) -> None:
        known = {self.target, self.id, self.label_time, *self.read_numeric, *self.categorical}
        for source in self.calendar_sources:
            if source == self.label_time:
                raise ValueError(
                    f"features.calendar: column {source!r} is not known when the question is "
                    "asked: must be another column of times"
                )
            if source in known:
                raise ValueError(
                    f"features.calendar: column {source!r} has another role: must be the time, or "
                    "a column of times that has none"
                )
        for name in self.calendar_columns:
            if name in (*self.roles, *self.keep, self.id, *self.calendar_sources):
                raise ValueError(
                    f"features.calendar: {name!r} is a calendar feature and a column that the "
                    "schema names: rename the column in the data"
                )

    def _check_encoders(self) -> None:
        features = (*self.numeric, *self.categorical)
        for name, one in self.features.encoders:
            if name not in features:
                known = ", ".join(features)
                raise ValueError(
                    f"features.encoders: {name!r} must be one of the features: {known}"
                )
            given = one.model_fields_set - {"add_indicator"}
            if name not in self.categorical and (given or not one.add_indicator):
                raise ValueError(
                    f"features.encoders: {name!r} is numeric: must be as {{ add_indicator = true }}"
                )
            if one.encoder == "target" and self.classifies:
                raise ValueError(
                    f'features.encoders: {name!r}: encoder = "target" has means of a number: must '
                    'be "onehot" where task = "classification"'
                )
            indicator = f"{name}_missing"
            if one.add_indicator and indicator in features:
                raise ValueError(
                    f"features.encoders: the indicator of {name!r} has the name of another "
                    f"feature, {indicator!r}: rename the column in the data"
                )

    def _check_labels(self) -> None:
        if self.labels is not None:
            self._check_label_stream()
        elif (self.label_time is None) != (self.wait is None):
            given, lacking = "label_time", "wait"
            if self.label_time is None:
                given, lacking = lacking, given
            raise ValueError(f'{given} needs {lacking}, as label_time = "arrived", wait = "2d"')
        if not self.has_later_labels:
            return
        for column in self.keep:
            if column in (self.target, self.label_time):
                raise ValueError(
                    f"keep: column {column!r} is not known when the question is asked: "
                    "outcomes/ has it, with label_time"
                )
            season = ("season",) if self.baseline.season else ()
            if column in (*TAKEN_BY_LABELS, *season):
                raise ValueError(
                    f"keep: column {column!r}: outcomes and predictions have a column of their "
                    "own of that name: rename it in the data"
                )

    def _check_label_stream(self) -> None:
        if self.labels is not None and self.labels.fill is not None:
            self._check_fill(self.labels.fill)
        if self.label_time is not None:
            raise ValueError(
                "labels: goes without label_time: labels are a column of the rows, or a stream of "
                "their own"
            )
        for name, example in (("id", 'id = "flight"'), ("wait", 'wait = "2d"')):
            if getattr(self, name) is None:
                raise ValueError(f"labels: needs {name}, as {example}")

    def _check_fill(self, fill: float | str) -> None:
        """Checks that what no answer means is a target."""
        if not self.classifies:
            if isinstance(fill, str):
                raise ValueError(f"labels.missing: {MISSING}")
        elif self.classes is not None and read_class(fill) not in self.classes:
            raise ValueError(
                f'labels.missing: must be "drop" or one of the classes {", ".join(self.classes)}'
            )

    @property
    def fill(self) -> float | str | None:
        """The target of a question without a label, as a label has it; None: it is not known."""
        found = None if self.labels is None else self.labels.fill
        return read_class(found) if self.classifies and found is not None else found

    def _check_carried(self) -> None:
        if self.id in (self.time, self.target, *self.read_numeric, self.label_time or self.time):
            raise ValueError(
                f"id: column {self.id!r} has another role: the id must be a column of its own, "
                "or a categorical feature"
            )
        for column in self.keep:
            if self.keep.count(column) > 1:
                raise ValueError(f"keep: column {column!r} is named twice: it must be named once")
            if column in TAKEN:
                raise ValueError(
                    f"keep: column {column!r}: predictions have a column of their own of that "
                    f"name (as {', '.join(TAKEN)}): rename it in the data"
                )

    @property
    def numeric(self) -> tuple[str, ...]:
        """The numeric features that are learned from: those that are read, then the calendar's."""
        return self.features.numeric + self.calendar_columns

    @property
    def read_numeric(self) -> tuple[str, ...]:
        """The numeric features that are read, in the order of the schema."""
        return self.features.numeric

    @property
    def calendar_columns(self) -> tuple[str, ...]:
        """The features that are computed from columns of times, in the order of the schema.

        They follow the calendar by construction: that they drift says nothing of the data.
        """
        return tuple(one.name for features in self.calendar.values() for one in features)

    @property
    def calendar(self) -> dict[str, tuple[CalendarFeature, ...]]:
        """The features that are computed from columns of times, by these columns."""
        return {
            source: calendar_features(source, parts) for source, parts in self.features.calendar
        }

    @property
    def calendar_sources(self) -> tuple[str, ...]:
        """The columns of times from which features are computed; the time may be one."""
        return tuple(source for source, _ in self.features.calendar)

    @property
    def encoders(self) -> dict[str, ColumnEncoder]:
        """The features that are encoded in a way of their own, with how."""
        return dict(self.features.encoders)

    @property
    def max_categories(self) -> dict[str, int]:
        """The features of which the schema says how many values have a column."""
        found = {name: one.max_categories for name, one in self.features.encoders}
        return {name: most for name, most in found.items() if most is not None}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that a row needs to be predicted: what the features are made of."""
        return (*self.read_numeric, *self.categorical, *self.calendar_sources)

    @property
    def categorical(self) -> tuple[str, ...]:
        """The categorical features, in the order of the schema."""
        return self.features.categorical

    @property
    def roles(self) -> tuple[str, ...]:
        """The columns that models need: time, target, numeric, categorical, the label's time.

        The target is none of them if labels are a stream of their own.
        """
        target = () if self.labels is not None else (self.target,)
        known = () if self.label_time is None else (self.label_time,)
        return (self.time, *target, *self.read_numeric, *self.categorical, *known)

    @property
    def passed(self) -> tuple[str, ...]:
        """The columns in ``keep`` that have no other role, in the order of the schema."""
        return tuple(column for column in self.keep if column not in self.roles)

    @property
    def carried(self) -> tuple[str, ...]:
        """The id and the columns in ``keep``, each once, but for those that have another role."""
        named = self.keep if self.id is None else (self.id, *self.keep)
        return tuple(dict.fromkeys(column for column in named if column not in self.roles))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, once: ``roles``, what is ``carried``, the calendar's."""
        read = (*self.roles, *self.carried)
        return (*read, *(name for name in self.calendar_sources if name not in read))

    @property
    def dated(self) -> bool:
        """Whether the event time is read."""
        return self.time in self.columns

    @property
    def has_label_time(self) -> bool:
        """Whether rows have the time at which their label became known, and it is read."""
        return self.label_time is not None and self.label_time in self.columns

    @property
    def has_later_labels(self) -> bool:
        """Whether labels come later than the rows that they belong to, in them or apart."""
        return self.has_label_time or self.labels is not None

    def without_label_time(self) -> Schema:
        """The schema of rows that are only asked about: their label is not known yet."""
        if self.label_time is None:
            return self
        return self.model_copy(update={"label_time": None, "wait": None})

    def joined(self) -> Schema:
        """The schema of questions with their answers, once they have met: both are in a row."""
        if self.labels is None:
            return self
        return self.model_copy(update={"label_time": self.labels.time, "labels": None})

    @property
    def classifies(self) -> bool:
        """Whether the target is a class."""
        return self.task == "classification"

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that are read as numbers: of target and numeric features."""
        read, target = set(self.columns), () if self.classifies else (self.target,)
        return tuple(name for name in (*target, *self.read_numeric) if name in read)

    @property
    def categories(self) -> tuple[str, ...]:
        """The columns that are read as categories: of target and categorical features."""
        read, target = set(self.columns), (self.target,) if self.classifies else ()
        return tuple(name for name in (*target, *self.categorical) if name in read)


class ScoringSchema(Schema):
    """A schema for rows that are only to be predicted: time and target are not needed.

    They are read if they are in ``keep``, the time if calendar features are computed from it.
    Without its time a row counts in 1970.

    Example:
        >>> features = Features(numeric=("x",))
        >>> schema = Schema(name="s", time="t", target="y", features=features, id="k")
        >>> ScoringSchema.of(schema).columns
        ('x', 'k')
    """

    @classmethod
    def of(cls, schema: Schema) -> ScoringSchema:
        """The same schema, for scoring alone."""
        return cls.model_validate_json(schema.model_dump_json())

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, once: the features and what is carried."""
        named = self.keep if self.id is None else (self.id, *self.keep)
        read = (*self.read_numeric, *self.categorical, *named, *self.calendar_sources)
        return tuple(dict.fromkeys(read))


class PartialSchema(Schema):
    """A schema without some of its columns, which are not read.

    Example:
        >>> features = Features(numeric=("x",), categorical=("c",))
        >>> schema = Schema(name="s", time="t", target="y", features=features)
        >>> PartialSchema.of(schema, ("t", "c")).columns
        ('y', 'x')
    """

    read: tuple[str, ...] = ()

    @classmethod
    def of(cls, schema: Schema, lacking: Sequence[str]) -> PartialSchema:
        """The same schema without the columns that are lacking."""
        numeric = tuple(name for name in schema.read_numeric if name not in lacking)
        categorical = tuple(name for name in schema.categorical if name not in lacking)
        calendar = tuple(pair for pair in schema.features.calendar if pair[0] not in lacking)
        # Not validated: what is left may be no schema, as one without its time.
        return cls.model_construct(
            name=schema.name,
            time=schema.time,
            target=schema.target,
            features=Features(numeric=numeric, categorical=categorical, calendar=calendar),
            id=None if schema.id in lacking else schema.id,
            keep=tuple(name for name in schema.keep if name not in lacking),
            **{name: getattr(schema, name) for name in type(schema).model_fields if name in _REST},
            read=tuple(name for name in schema.columns if name not in lacking),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read."""
        return self.read


_REST = frozenset(Schema.model_fields) - {"name", "time", "target", "features", "id", "keep"}


def load_schema(path: str) -> Schema:
    """Reads a schema from a TOML file.

    Args:
        path: a local file.

    Returns:
        The schema.

    Raises:
        UserError: if the file cannot be read, is not TOML, or is not a schema; the message
            names the file, the key and what it must be.
    """
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"--schema {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--schema {path}: is not UTF-8 text: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"--schema {path}: is not TOML: {error}") from error
    return schema_of(raw, f"--schema {path}")


def schema_of(raw: dict[str, Any], where: str) -> Schema:
    """The schema of its keys.

    Args:
        raw: as a TOML file has them.
        where: names what holds them, for messages.

    Raises:
        UserError: if they are no schema.
    """
    try:
        return Schema.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error)}") from error


def as_schema(schema: Schema | Mapping[str, Any] | str | Path) -> Schema:
    """A schema, of itself, of its keys or of the path of a TOML file.

    Raises:
        UserError: if it is not one.
    """
    if isinstance(schema, Schema):
        return schema
    if isinstance(schema, Mapping):
        return schema_of(dict(schema), "schema")
    return load_schema(str(schema))
