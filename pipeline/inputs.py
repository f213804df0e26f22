"""The files that a run has read, as its settings.json keeps them, so that ``--resume`` knows them.

A row's id is its place in the files, and predictions, samples and the order of a fit go by it. So
known files keep their places, new ones come behind them, and one that changed is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from model.asof import format_iso
from model.errors import UserError
from model.runs import RunFolder
from model.wording import first_few
from reading import Plan

LABEL_FILES = "label_files"
"""The entry of settings.json on the files of labels."""


class KnownFile(BaseModel):
    """A file that a run has read.

    Attributes:
        path: as the input has it.
        size: bytes, as stored.
        first: the id of its first row.
        rows: how many it has.
        checksum: of its text, or of its footer (Parquet). The time of writing would not do: a
            copy has another.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    size: int
    first: int
    rows: int
    checksum: str


def known_files(plan: Plan) -> list[KnownFile]:
    """What is kept of a plan's files, in its order."""
    return [
        KnownFile(
            path=file.path,
            size=file.size,
            first=file.first,
            rows=file.rows,
            checksum=f"{file.checksum:08x}",
        )
        for file in plan.files
    ]


def files_setting(source: Any) -> dict[str, Any]:
    """The entry of settings.json on a source's files; empty if it reads none."""
    found = {}
    for key, each in (("files", source), (LABEL_FILES, getattr(source, "labels", None))):
        plan = getattr(getattr(each, "work", None), "plan", None)
        if isinstance(plan, Plan):
            found[key] = [file.model_dump() for file in known_files(plan)]
    return found


def files_before(folder: RunFolder, key: str = "files") -> list[KnownFile]:
    """The files that the run in a folder has read; none if its settings have no such entry.

    Args:
        folder: the run's.
        key: of the entry.

    Raises:
        UserError: if the entry is damaged.
    """
    try:
        found = folder.read_settings().get(key, [])
    except UserError:  # the settings were lost: the run begins anew
        return []
    try:
        return TypeAdapter(list[KnownFile]).validate_python(found)
    except ValidationError as error:
        raise UserError(f"{folder.settings}: is not a run's: {key}: {error}") from error


def check_known(plan: Plan, known: Sequence[KnownFile], folder: RunFolder) -> None:
    """Checks that the files that a run has read are there as they were.

    Args:
        plan: of the same input, now; the known files come first in it.
        known: the files, in the order of their ids.
        folder: the run's, for the message.

    Raises:
        UserError: names those that changed or are gone.
    """
    now = {file.path: file for file in known_files(plan)}
    gone = [file.path for file in known if file.path not in now]
    changed = [
        f"{file.path} ({file.rows:,} rows, now {now[file.path].rows:,})"
        for file in known
        if file.path in now and not _is_same(now[file.path], file)
    ]
    for paths, what in ((gone, "not there any more"), (changed, "not as the run has read it")):
        if paths:
            raise UserError(
                f"--resume {folder.path}: {first_few(paths)}: {what}: put it back as it was, or "
                "begin a new run with another --output"
            )


def _is_same(one: KnownFile, other: KnownFile) -> bool:
    return (one.rows, one.checksum, one.first) == (other.rows, other.checksum, other.first)


def check_none_new(plan: Plan, known: Sequence[KnownFile], folder: RunFolder) -> None:
    """Checks that there are only known files: what a savepoint holds has no place for others.

    Raises:
        UserError: names those that are new.
    """
    new = [file.path for file in plan.files[len(known) :]]
    if new:
        raise UserError(
            f"--resume {folder.path}: {first_few(new)}: new, where the run goes on from a "
            "savepoint or is updated: move it out of --input, or go on without these"
        )


def check_new(
    plan: Plan,
    known: Sequence[KnownFile],
    missing: int,
    folder: RunFolder,
    option: str = "--input",
) -> None:
    """Checks that new files have no row in what a run has reported.

    Args:
        plan: the input, now.
        known: the files that the run has read.
        missing: the start of the first refresh that is not reported, microseconds.
        folder: the run's, for the message.
        option: names the files.

    Raises:
        UserError: names those that have.
    """
    least: dict[int, int] = {}
    for chunk in plan.chunks:
        if chunk.file >= len(known):
            least[chunk.file] = min(chunk.least, least.get(chunk.file, chunk.least))
    early = [
        f"{plan.files[file].path} (from {format_iso(time)})"
        for file, time in sorted(least.items())
        if time < missing
    ]
    if early:
        raise UserError(
            f"--resume {folder.path}: {first_few(early)}: new, with rows before "
            f"{format_iso(missing)}, up to which the run has reported: move it out of {option}, "
            "or begin a new run with another --output"
        )
