"""Promotions: which model was pinned, unpinned or rolled back to, and which the gate refused.

``promotions.ndjson`` in the run's folder has a line for each such act. An act holds from the
refresh that begins at ``since`` on, in event time: a resumed run reads it, and chooses the same
models.

While a job runs, an act waits in ``pin.json`` until the source's planner takes it: it appends the
act with a ``since`` that the watermark has not reached, before it lets the watermark go on. So no
row of that refresh has been scored, and whoever scores one finds the act. Of a run that does not
write, the act is appended at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from model import files
from model.asof import from_datetime, parse_iso, parse_name
from model.manifest import ClassTrial, Reference, Trial
from model.skipped import Skipped

RECORD, ASKED = "promotions.ndjson", "pin.json"
"""The files of a run's folder: the acts, and the one that waits for the planner."""
LONGEST = 4_096
"""Maximum number of bytes of a line; a longer one is not an act."""
MOST_WHY = 300
"""Maximum number of characters of a reason."""


class Act(BaseModel):
    """A line of ``promotions.ndjson``; its fields are a contract.

    Attributes:
        what: ``pin``, ``unpin``, ``rollback``, or ``refused`` (by the gate).
        when: of a refusal the end of the model's window, else when it was asked for.
        since: the start of the first refresh for which it holds.
        before: ``from`` in JSON: the model that would serve at ``since`` without the act; null
            where that is not known, as of a job that has not trained it yet.
        to: the model that is to serve, or was not to; null for ``unpin``.
        sha256: of ``to``.
        why: one line.
        figures: of the trial, if the gate refused a model after one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    format: Literal[1] = 1
    what: Literal["pin", "unpin", "rollback", "refused"]
    when: AwareDatetime
    since: AwareDatetime
    before: str | None = Field(None, alias="from")
    to: str | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    why: str = Field("", max_length=MOST_WHY, pattern=r"^[^\x00-\x1f\x7f]*$")
    figures: Trial | ClassTrial | None = None

    @field_validator("before", "to")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None:
            parse_name(name)  # never a path
        return name

    @property
    def reference(self) -> Reference | None:
        """The model that it pins; None if it pins none."""
        if self.what not in ("pin", "rollback") or self.to is None or self.sha256 is None:
            return None
        return Reference(self.to, self.sha256)

    def as_json(self) -> bytes:
        """Its line, with the line's end."""
        return self.model_dump_json(by_alias=True).encode() + b"\n"


def refusal(skipped: Skipped, sha256: str) -> Act:
    """The act of the gate, of a model that it has refused."""
    end = parse_iso(skipped.window_end)
    return Act.model_validate(
        {
            **{"what": "refused", "when": end, "since": end, "from": None, "to": skipped.name},
            **{"sha256": sha256, "why": skipped.reason, "figures": skipped.trial},
        }
    )


def parse_act(line: bytes) -> Act | None:
    """The act of a line; None if it is not one, as of a line that was cut short."""
    if len(line) > LONGEST:
        return None
    try:
        act = Act.model_validate_json(line)
    except ValidationError:
        return None
    pins = act.what in ("pin", "rollback")
    return None if pins and act.reference is None else act


def read(path: str) -> list[Act]:
    """All acts of a file, oldest first; lines that are not acts are left out."""
    try:
        lines = files.read_whole(path).splitlines()
    except FileNotFoundError:
        return []
    return [act for line in lines if (act := parse_act(line)) is not None]


def append(path: str, act: Act) -> None:
    """Appends an act; it is on the disk when this returns.

    A local file takes the line in one write, whoever else appends; an object is written anew.
    """
    if not files.is_local(path):
        before = files.read_whole(path) if files.exists(path) else b""
        files.write_whole(path, before + act.as_json())
        return
    number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(number).st_size
        cut = size > 0 and os.pread(number, 1, size - 1) != b"\n"  # a write before was cut short
        os.write(number, (b"\n" if cut else b"") + act.as_json())
        os.fsync(number)
    finally:
        os.close(number)
    files.keep_folder(str(Path(path).parent / "x"))
    files.flush()


def tidy(path: str) -> None:
    """Puts a file's acts in the order of ``since``, each once: the same bytes in every run."""
    acts = read(path)
    if not acts:
        return
    once = {act.as_json(): act for act in acts}
    ranked = sorted(
        once, key=lambda line: (from_datetime(once[line].since), once[line].what != "refused")
    )
    files.write_whole(path, b"".join(ranked), within=path)


def find_pin(acts: list[Act], refresh: int | None = None) -> Reference | None:
    """The model that is pinned for a refresh; None if the newest accepted one serves.

    Args:
        acts: oldest first.
        refresh: its start, microseconds; None: after all acts.
    """
    act = find_act(acts, refresh)
    return None if act is None else act.reference


def find_act(acts: list[Act], refresh: int | None = None) -> Act | None:
    """The act of a user that holds for a refresh; None before the first.

    Args:
        acts: oldest first.
        refresh: its start, microseconds; None: after all acts.
    """
    mine = [act for act in acts if act.what != "refused"]
    if refresh is not None:
        mine = [act for act in mine if from_datetime(act.since) <= refresh]
    newest = max(mine, key=lambda act: from_datetime(act.since), default=None)
    if newest is None:
        return None
    # of acts that hold from one refresh on, the last one
    return [act for act in mine if act.since == newest.since][-1]


def describe_pin(acts: list[Act], asked: Act | None = None) -> str | None:
    """Which model is pinned, since when and why, and what waits for the job; None if nothing is.

    Args:
        acts: oldest first.
        asked: the act that waits in ``pin.json``, if there is one.
    """
    parts = []
    act = find_act(acts)
    if act is not None and act.reference is not None:
        why = f" ({act.why})" if act.why else ""
        parts.append(f"{act.to} is pinned since {act.since:%Y-%m-%d %H:%M:%S}{why}")
    if asked is not None:
        parts.append(f"{asked.what} {asked.to or ''}".strip() + " waits for the next refresh")
    return "; ".join(parts) or None


def find_protected(folder: str) -> set[str]:
    """The models of a run that retention must leave: what was pinned, or is asked to be.

    Those of acts that are over, too: a run that is resumed, or replayed, scores with them again.
    """
    asked = read_asked(files.join(folder, ASKED))
    acts = [*read(files.join(folder, RECORD)), *([] if asked is None else [asked])]
    return {act.to for act in acts if act.what != "refused" and act.to is not None}


def repeat(before: str, path: str) -> None:
    """Appends the acts of the users of another run, which is made once more."""
    for act in read(before):
        if act.what != "refused":
            append(path, act)


def read_asked(path: str) -> Act | None:
    """The act that waits in ``pin.json``; None if there is none that can be read."""
    try:
        return parse_act(files.read_whole(path))
    except (FileNotFoundError, files.NotAFile):
        return None
