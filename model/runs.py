"""The run folder: what a run writes and where. Its layout is a contract; see docs/design.md.

Everything that shows, serves or resumes a run reads this folder and nothing else, so it works
for a run on any runner, while it runs and afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model import files
from model.alerts import Alert, from_ndjson
from model.asof import parse_name
from model.errors import UserError
from model.metrics import Metrics
from model.reach import prepare_file_systems, reach
from model.schema import explain
from model.schemes import check_scheme, local_path
from model.skipped import Skipped

NAME = "????????T??????Z"
"""A glob of the names of refreshes and windows, as ``20260101T001200Z``."""


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
