"""The run folder: what a run writes and where. Its layout is a contract; see docs/design.md.

Everything that shows, serves or resumes a run reads this folder and nothing else, so it works
for a run on any runner, while it runs and afterwards.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model import files
from model.alerts import Alert, from_ndjson
from model.asof import parse_name
from model.errors import UserError
from model.metrics import Metrics
from model.schema import explain
from model.schemes import check_scheme, local_path
from model.skipped import Skipped
from pipeline import lock
from pipeline.lock import FolderLock
from pipeline.reach import prepare_file_systems, reach
from pipeline.settings import Settings, option

RUNS = "runs"
TRIAL = "correnteza-check-"
"""The folder of a trial (``pipeline.check``) is named so; it is gone soon."""
NAME = "????????T??????Z"
WRITTEN = (
    *(
        "settings.json",
        "status.json",
        "ended.json",
        "drain.json",
        f"timing/{NAME}.json",
        f"metrics/{NAME}.json",
        f"alerts/{NAME}.ndjson",
        f"skipped/{NAME}.json",
    ),
    *(f"models/{NAME}/manifest.json", f"models/{NAME}/model.joblib", f"sample/{NAME}.parquet"),
    *(f"predictions/{NAME}/*.parquet", f"rejected/{NAME}/*.ndjson", "rejected/undated/*.ndjson"),
)
"""All files of a run, as globs."""
NOT_KEPT = {
    *("output", "resume", "overwrite", "runner", "on_interrupt", "shared", "webhook"),
    *("strict", "max_rejected"),
}
"""Options that settings.json leaves out: another value of them gives the same run."""

ADDED = {"min_rows": 1, "latest": None}
"""How a run went whose settings.json is older than these options."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        path: local, or on any file system that Beam knows.

    Example:
        >>> RunFolder("runs/a").metrics
        'runs/a/metrics'
    """

    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", local_path(self.path))  # of file:///runs/a

    @property
    def models(self) -> str:
        """The store: ``<window end>/manifest.json`` and ``model.joblib``."""
        return self._part("models")

    @property
    def metrics(self) -> str:
        """``<refresh start>.json``."""
        return self._part("metrics")

    @property
    def alerts(self) -> str:
        """``<refresh start>.ndjson``, of the refreshes that have any."""
        return self._part("alerts")

    @property
    def predictions(self) -> str:
        """``<refresh start>/<shard>.parquet``."""
        return self._part("predictions")

    @property
    def sample(self) -> str:
        """``<refresh start>.parquet``."""
        return self._part("sample")

    @property
    def rejected(self) -> str:
        """``<refresh start or undated>/<part>.ndjson``."""
        return self._part("rejected")

    @property
    def timing(self) -> str:
        """``<window end>.json``."""
        return self._part("timing")

    @property
    def skipped(self) -> str:
        """``<window end>.json``, of the windows that made no model."""
        return self._part("skipped")

    @property
    def settings(self) -> str:
        """``settings.json``: the options that decide what the run writes."""
        return self._part("settings.json")

    @property
    def status(self) -> str:
        """``status.json``: the run's state."""
        return self._part("status.json")

    @property
    def ended(self) -> str:
        """``ended.json``: there when the stream has ended and all of it is written."""
        return self._part("ended.json")

    @property
    def drain(self) -> str:
        """``drain.json``: who writes it asks the source to end with its refresh."""
        return self._part("drain.json")

    def _part(self, name: str) -> str:
        return files.join(self.path, name)

    def reports(self) -> list[Metrics]:
        """The reports that are written, in the order of their refreshes."""
        found = files.list_files(self.metrics, f"{NAME}.json")
        return [Metrics.model_validate_json(files.read_whole(path)) for path in found]

    def reported(self) -> set[int]:
        """The starts of the refreshes that have a report, microseconds."""
        found = files.list_files(self.metrics, f"{NAME}.json")
        return {parse_name(PurePath(path).stem) for path in found}

    def skips(self) -> list[Skipped]:
        """The windows that made no model, oldest first."""
        found = files.list_files(self.skipped, f"{NAME}.json")
        return [Skipped.model_validate_json(files.read_whole(path)) for path in sorted(found)]

    def alerted(self, besides: Collection[str] = ()) -> list[str]:
        """The names of the reported refreshes that have alerts, oldest first.

        Args:
            besides: these are left out.
        """
        found = [PurePath(path).stem for path in files.list_files(self.alerts, f"{NAME}.ndjson")]
        new = [name for name in found if name not in besides]
        return [name for name in new if files.exists(files.join(self.metrics, f"{name}.json"))]

    def read_alerts(self, refresh: str) -> list[Alert]:
        """The alerts of a refresh, by the name of its report; none if it has none."""
        try:
            return from_ndjson(files.read_whole(files.join(self.alerts, f"{refresh}.ndjson")))
        except FileNotFoundError:
            return []

    def fit_seconds(self, window_end: str) -> float | None:
        """How long the fit of a window took, by the name of its artefact."""
        try:
            data = files.read_whole(files.join(self.timing, f"{window_end}.json"))
        except FileNotFoundError:
            return None
        return float(json.loads(data)["fit_seconds"])

    def write_json(self, path: str, content: dict[str, Any]) -> None:
        """Writes one of the folder's JSON files, whole; the folder has to be there."""
        data = {"format": 1, **content}
        text = json.dumps(data, indent=2, allow_nan=False) + "\n"
        files.write_whole(path, text.encode(), within=path)


def kept(settings: Settings) -> dict[str, Any]:
    """What settings.json says: the options that decide the run's files, and the schema."""
    options = settings.model_dump(mode="json", exclude=NOT_KEPT | {"schema_file"})
    if not settings.source_param:
        del options["source_param"]
    return {**options, **settings.resolved, "schema": settings.meaning.model_dump(mode="json")}


def find_folder(settings: Settings) -> RunFolder:
    """Finds the run's folder; writes nothing.

    Raises:
        UserError: if it holds anything and neither --resume nor --overwrite is given, if it
            cannot be looked at, or if a run to resume had other settings.
    """
    if settings.output is None:
        return RunFolder(next(fresh()))
    check_scheme(local_path(settings.output), "--output")
    folder = RunFolder(settings.output.rstrip("/") or "/")
    path = folder.path
    reach(path, "--output")
    try:
        holds = holds_anything(path)
    except (OSError, ValueError) as error:  # a file system that Beam does not know
        raise UserError(f"--output {path}: cannot be looked at: {_brief(error)}") from error
    if settings.resume:
        if not lost_settings(folder):
            _check_same(folder, settings)
    elif holds and not settings.overwrite:
        if (writer := lock.writer_of(path)) is not None:
            raise UserError(lock.refusal(path, writer))
        raise UserError(
            f"--output {path}: is not empty; --resume goes on with its run, --overwrite replaces it"
        )
    elif holds and not (_holds_run(folder) or lost_settings(folder)):
        raise UserError(
            f"--overwrite {path}: holds no run (no settings.json of one in it): name another "
            "folder, or empty this one"
        )
    return folder


def _holds_run(folder: RunFolder) -> bool:
    try:
        return "format" in earlier(folder)
    except UserError:
        return False


def lost_settings(folder: RunFolder) -> bool:
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
        for path in fresh():
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
        if settings.resume and lost_settings(folder):  # they may be of other settings than these
            for path in files.list_files(folder.metrics, f"{NAME}.json"):
                files.remove(path)
            files.flush()
        for path in (folder.ended, folder.drain):
            files.remove(path)
        folder.write_json(folder.settings, {**kept(settings), **(besides or {})})
        files.keep_folder(folder.path)
        files.flush()
        _point_latest(folder, settings)
    except OSError as error:
        raise UserError(f"--output {folder.path}: cannot be written: {_brief(error)}") from error


def fresh() -> Iterator[str]:
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
        raise UserError(f"--output {path}: is a file; a folder is allowed")
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


def check_folder(folder: RunFolder) -> None:
    """Refuses a local path that is no folder, before it is said what it lacks.

    Raises:
        UserError: names it.
    """
    check_scheme(folder.path, "")
    prepare_file_systems([folder.path])
    if files.is_local(folder.path) and not Path(folder.path).is_dir():
        raise UserError(f"{folder.path}: is no folder; a run's folder is allowed")


def earlier(folder: RunFolder) -> dict[str, Any]:
    """The settings of the run that a folder holds.

    Raises:
        UserError: if it holds none.
    """
    check_scheme(folder.path, "")
    prepare_file_systems([folder.path])
    reach(folder.path, "run folder")
    try:
        data = files.read_whole(folder.settings)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder.path}: holds no run: no settings.json in it") from error
    try:
        found: dict[str, Any] = TypeAdapter(dict[str, Any]).validate_json(data)
    except ValidationError as error:
        raise UserError(f"{folder.settings}: is not a run's: {explain(error)}") from error
    return found


def _check_same(folder: RunFolder, settings: Settings) -> None:
    before = ADDED | earlier(folder)
    differ = [
        f"{option(name)} was {before.get(name)!r}, is {value!r}"
        for name, value in kept(settings).items()
        if before.get(name) != value
    ]
    if differ:
        raise UserError(f"--resume {folder.path}: its run had other settings: {'; '.join(differ)}")
