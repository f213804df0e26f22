"""The sections of a schema that say what errors are compared with, and by what they are split.

```toml
[baseline]
season = "1d"        # the mean in the same of 24 slots of a day
by = ["station"]     # the last value is that of the same station

[figures]
by = "carrier"       # errors of the values of a column with the most rows
```
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from model.durations import LONGEST, check_duration, parse_duration
from model.section import Section

SLOTS = 24
"""Number of slots of a season."""


class BaselineKeys(Section):
    """What baselines there are.

    Attributes:
        season: the length of a season, in seconds (TOML: ``1d``); None: there is no such baseline.
        by: the columns that name an entity, features or kept ones: the last value is then that of
            the same entity.
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"season", "by"})

    season: int | None = Field(default=None, ge=SLOTS, le=LONGEST, multiple_of=SLOTS)
    by: tuple[str, ...] = ()

    @field_validator("season", mode="before")
    @classmethod
    def _read_season(cls, season: object) -> object:
        if season is None:
            return None
        seconds = check_duration(parse_duration(season), SLOTS)
        if seconds % SLOTS:
            raise ValueError(
                f"must be a duration that {SLOTS} slots divide into whole seconds, as 1d, 12h or "
                f"{-(-seconds // SLOTS) * SLOTS}s"
            )
        return seconds


class FigureKeys(Section):
    """How figures are split.

    Attributes:
        by: a column, a categorical feature or a kept one: its values with the most rows have
            figures of their own; None: there are none.
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"by"})

    by: str | None = Field(default=None, min_length=1)
