"""Makes and locks a run's folder, ready for a new run or for one that is resumed.

What is in it and how it is read: ``model.runs``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

from model import files
from model.errors import UserError
from model.reach import reach
from model.runs import NAME, WRITTEN, RunFolder
from model.schemes import check_scheme, local_path
from pipeline import lock
from pipeline.lock import FolderLock
from pipeline.settings import RENAMED, Settings, option

RUNS = "runs"
TRIAL = "correnteza-check-"
"""The folder of a trial (``pipeline.check``) is named so; it is gone soon."""
NOT_KEPT = {
    *("output", "resume", "overwrite", "runner", "on_interrupt", "shared", "webhook"),
    *("strict", "max_rejected"),
}
"""Options that settings.json leaves out: another value of them gives the same run."""

OF_TOPICS = ("kafka_config", "until", "idle", "replay")
"""Options that settings.json has only of a run on a topic."""
ADDED = {"min_rows": 1, "latest": None, "offset": 0, "gate": "none", "alert_run_length": 1000.0}
"""How a run went whose settings.json is older than these options."""


def settings_content(settings: Settings) -> dict[str, Any]:
    """The content of settings.json: the options that decide the run's files, and the schema."""
    options = settings.model_dump(mode="json", by_alias=True, exclude=NOT_KEPT | {"schema_file"})
    if not settings.source_param:
        del options["source_param"]
    for name in ("people_delay", "labels"):  # which came later
        if options[name] is None:
            del options[name]
    found = {**options, **settings.resolved, "schema": settings.row_schema.model_dump(mode="json")}
    if not found["offset"]:
        del found["offset"]
    if not settings.reads_topic:
        for name in OF_TOPICS:
            del found[name]
    return found


def find_folder(settings: Settings) -> RunFolder:
    """Finds the run's folder; writes nothing.

    Raises:
        UserError: if it holds anything and neither --resume nor --overwrite is given, if it
            cannot be looked at, or if a run to resume had other settings.
    """
    if settings.output is None:
        return RunFolder(next(fresh_paths()))
    check_scheme(local_path(settings.output), "--output")
    folder = RunFolder(settings.output.rstrip("/") or "/")
    path = folder.path
    reach(path, "--output")
    try:
        holds = holds_anything(path)
    except (OSError, ValueError) as error:  # a file system that Beam does not know
        raise UserError(f"--output {path}: cannot be looked at: {_brief(error)}") from error
    if settings.resume:
        if not lacks_settings(folder):
            _check_same(folder, settings)
    elif holds and not settings.overwrite:
        if (writer := lock.find_writer(path)) is not None:
            raise UserError(lock.refusal(path, writer))
        raise UserError(
            f"--output {path}: is not empty; --resume goes on with its run, --overwrite replaces it"
        )
    elif holds and not (_holds_run(folder) or lacks_settings(folder)):
        raise UserError(
            f"--overwrite {path}: holds no run (no settings.json of one in it): name another "
            "folder, or empty this one"
        )
    return folder


def _holds_run(folder: RunFolder) -> bool:
    try:
        return "format" in folder.read_settings()
    except UserError:
        return False


def lacks_settings(folder: RunFolder) -> bool:
    """Whether a folder has a run's reports or models, but no settings.json that can be read."""
    if _holds_run(folder):
        return False
    made = ((folder.metrics, f"{NAME}.json"), (folder.models, f"{NAME}/manifest.json"))
    return any(files.list_files(*place) for place in made)


def lock_folder(folder: RunFolder, settings: Settings) -> tuple[RunFolder, FolderLock]:
    """Takes a run's folder for this process.

    Args:
        folder: what ``find_folder`` has found.
        settings: all options.

    Returns:
        The folder, or another fresh one if somebody else has just taken that, and its lock.

    Raises:
        UserError: if another process holds it, or it cannot be written; as ``find_folder``.
    """
    if settings.output is None:
        for path in fresh_paths():
            with suppress(FileExistsError):
                return RunFolder(path), FolderLock(path).acquire(new=True)
    held = FolderLock(folder.path).acquire()
    try:
        return find_folder(settings), held  # another run may have come and gone meanwhile
    except BaseException:
        held.release()
        raise


def open_folder(
    folder: RunFolder, settings: Settings, besides: dict[str, Any] | None = None
) -> None:
    """Makes the folder ready: empty but for what ``--resume`` goes on from.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        sweep(folder)
        if settings.overwrite:
            clear(folder)
        if settings.resume and lacks_settings(folder):  # they may be of other settings than these
            for path in files.list_files(folder.metrics, f"{NAME}.json"):
                files.remove(path)
            files.flush()
        for path in (folder.ended, folder.drain, folder.until):
            files.remove(path)
        folder.write_json(folder.settings, {**settings_content(settings), **(besides or {})})
        files.keep_folder(folder.path)
        files.flush()
        _point_latest(folder, settings)
    except OSError as error:
        raise UserError(f"--output {folder.path}: cannot be written: {_brief(error)}") from error


def fresh_paths() -> Iterator[str]:
    """Paths below ``runs/`` that nothing has yet, named by this moment, without end."""
    name = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for number in itertools.count(1):
        path = Path(RUNS, name if number == 1 else f"{name}-{number}")
        if not path.exists():
            yield str(path)


def _point_latest(folder: RunFolder, settings: Settings) -> None:
    """Points ``runs/latest`` at the run, wherever it is on this machine."""
    if not files.is_local(folder.path) or Path(folder.path).name.startswith(TRIAL):
        return
    link = Path(RUNS, f".latest.{os.getpid()}")
    try:
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(os.path.realpath(folder.path), os.path.realpath(RUNS)))
        link.replace(Path(RUNS, "latest"))
    except OSError:
        link.unlink(missing_ok=True)
        if settings.output is None:
            raise


def _brief(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def holds_anything(path: str) -> bool:
    """Whether there is anything at or below a path, but for a lock.

    Raises:
        UserError: if it is a file.
    """
    if not files.is_local(path):
        return bool(files.list_files(path, "**"))
    if Path(path).is_file():
        raise UserError(f"--output {path}: is a file; must be a folder")
    return Path(path).is_dir() and any(found.name != lock.NAME for found in Path(path).iterdir())


def clear(folder: RunFolder) -> None:
    """Removes what a run wrote into a folder, and nothing else."""
    for pattern in WRITTEN:
        for path in files.list_files(folder.path, pattern):
            files.remove(path)
    for pattern in WRITTEN if files.is_local(folder.path) else ():
        for parent in list(PurePath(pattern).parents)[:-1]:
            for found in Path(folder.path).glob(str(parent)):
                files.remove_folder_if_empty(str(found))


def sweep(folder: RunFolder) -> None:
    """Removes the halves of files that a killed run left behind (local folders only)."""
    for pattern in WRITTEN if files.is_local(folder.path) else ():
        parts = PurePath(pattern).with_name(f".*{files.PART}")
        for part in Path(folder.path).glob(str(parts)):
            part.unlink(missing_ok=True)


def _check_same(folder: RunFolder, settings: Settings) -> None:
    before = ADDED | folder.read_settings()
    values = {"offset": 0} | settings_content(settings)
    differ = [name for name, value in values.items() if before.get(name) != value]
    # An option that follows another one, as --every does --window, differs with it.
    given = [name for name in differ if settings.has(_field(name))]
    if differ:
        changes = [
            f"{option(_field(name))} was {before.get(name)!r}, is {values[name]!r}"
            for name in given or differ
        ]
        raise UserError(f"--resume {folder.path}: its run had other settings: {'; '.join(changes)}")


def _field(key: str) -> str:
    """The field of ``Settings`` that a key of settings.json is of."""
    return {"schema": "schema_file", **RENAMED}.get(key, key)
