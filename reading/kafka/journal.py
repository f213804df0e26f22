"""What a run keeps of its topic in ``source/``, so that it can be resumed, and replayed.

* ``offsets.json``: where each partition began, and where it ends if that was decided at the launch;
* ``<refresh start>.json``: by partition the offsets [from, to) that were planned while the
  watermark stood in that refresh, written at its end;
* ``labels/``: the same of a topic of labels;
* ``idle/<n>.json``: that a partition became idle, or came back; written before it is acted on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError

from model import files
from model.asof import format_iso, format_name, from_datetime
from model.errors import UserError
from model.store import is_name
from reading.kafka.planning import Decision

FORMAT = 1


class Offsets(BaseModel):
    """Where a run began in its topic.

    Attributes:
        begin: each partition's first offset.
        end: the offset at which each partition ends; None if that was not decided.
        until: the time at which the run ends, if labels have a time and it was decided.
    """

    begin: dict[int, int] = Field(min_length=1)
    end: dict[int, int] | None = None
    until: AwareDatetime | None = None

    def as_json(self) -> dict[str, object]:
        """The content of the file; ``until`` is there only if it was decided."""
        found: dict[str, object] = {"begin": self.begin, "end": self.end}
        if self.until is not None:
            found["until"] = format_iso(from_datetime(self.until))
        return found


class _Decided(BaseModel):
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    state: Literal["idle", "back"]
    time: AwareDatetime | None


@dataclass(frozen=True)
class Journal:
    """The journal in a run's folder.

    Attributes:
        path: ``source/`` in it.
        within: the folder, made if need be, below which it lies; None: ``path`` itself.
    """

    path: str
    within: str | None = None

    @property
    def labels(self) -> Journal:
        """The journal of the topic of labels, in the same folder."""
        return Journal(files.join(self.path, "labels"), within=self.path)

    @property
    def offsets(self) -> str:
        """The path of ``offsets.json``."""
        return files.join(self.path, "offsets.json")

    def write_offsets(self, offsets: Offsets) -> None:
        """Keeps where the run begins and ends; it is on the disk when this returns."""
        self._write("offsets.json", {"format": FORMAT, **offsets.as_json()})

    def read_offsets(self) -> Offsets | None:
        """Where the run began; None if nothing says so.

        Raises:
            UserError: if the file is damaged.
        """
        try:
            return Offsets.model_validate_json(files.read_whole(self.offsets))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise _damaged(self.offsets, error) from error

    def write_ranges(self, refresh: int, ranges: Mapping[int, tuple[int, int]]) -> None:
        """Keeps what was planned while the watermark stood in a refresh.

        Args:
            refresh: its start, microseconds.
            ranges: by partition the first offset, and the one behind the last.
        """
        name = f"{format_name(refresh)}.json"
        pairs = {str(p): list(ranges[p]) for p in sorted(ranges)}
        self._write(name, {"format": FORMAT, **pairs})

    def last_refresh(self) -> str | None:
        """The name of the last refresh that the watermark has left; None if it has left none."""
        names = [PurePath(path).stem for path in files.list_files(self.path, "*.json")]
        return max(filter(is_name, names), default=None)

    def write_decision(self, number: int, decision: Decision) -> None:
        """Keeps a decision, by its number from 0; it is on the disk when this returns."""
        time = None if decision.time is None else format_iso(decision.time)
        self._write(f"idle/{number}.json", {"format": FORMAT, **decision._asdict(), "time": time})

    def read_decisions(self) -> list[Decision]:
        """The decisions, in their order.

        Raises:
            UserError: if a file is damaged, or one is missing among them.
        """
        found = {}
        for path in files.list_files(files.join(self.path, "idle"), "*.json"):
            if PurePath(path).stem.isdigit():
                found[int(PurePath(path).stem)] = path
        if sorted(found) != list(range(len(found))):
            raise UserError(f"{self.path}/idle: a decision is missing among {len(found)}")
        return [_read_decision(found[number]) for number in sorted(found)]

    def _write(self, name: str, content: Mapping[str, object]) -> None:
        path = files.join(self.path, *name.split("/"))
        text = json.dumps(content, indent=2) + "\n"
        files.write_whole(path, text.encode(), within=self.within or self.path)
        files.flush()


def _read_decision(path: str) -> Decision:
    try:
        read = TypeAdapter(_Decided).validate_json(files.read_whole(path))
    except ValidationError as error:
        raise _damaged(path, error) from error
    time = None if read.time is None else from_datetime(read.time)
    return Decision(read.partition, read.offset, read.state, time)


def _damaged(path: str, error: ValidationError) -> UserError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return UserError(f"{path}: is not a run's: {place}: {first['msg']}")
