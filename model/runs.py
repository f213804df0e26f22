"""The run folder: what a run writes and where. Its layout is a contract; see docs/design.md.

Everything that shows, serves or resumes a run reads this folder and nothing else, so it works
for a run on any runner, while it runs and afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from model import files, promotions
from model.alerts import Alert, from_ndjson
from model.asof import from_datetime, parse_iso, parse_name
from model.batch import SECOND
from model.cohorts import Clock, Cohort
from model.display import ENDED
from model.errors import UserError
from model.metrics import STREAM_COUNTS, Metrics
from model.problems import explain
from model.reach import prepare_file_systems, reach
from model.schema import Schema
from model.schemes import check_scheme, local_path
from model.skipped import Skipped
from model.topic_status import TopicStatus
from model.wording import format_count

NAME = "????????T??????Z"
"""A glob of the names of refreshes and windows, as ``20260101T001200Z``."""
WRITTEN = (
    *(
        "settings.json",
        "status.json",
        "ended.json",
        "drain.json",
        "until.json",
        "pruned.json",
        "promotions.ndjson",
        "pin.json",
        f"timing/{NAME}.json",
        f"metrics/{NAME}.json",
        f"summaries/{NAME}.json",
        f"known/{NAME}.parquet",
        f"alerts/{NAME}.ndjson",
        f"skipped/{NAME}.json",
    ),
    *(f"models/{NAME}/manifest.json", f"models/{NAME}/model.joblib", f"sample/{NAME}.parquet"),
    *(f"refused/{NAME}/manifest.json", f"refused/{NAME}/model.joblib"),
    *(f"outcomes/{NAME}/*.parquet", f"cohorts/{NAME}.json"),
    *(f"questions/{NAME}/*.parquet", f"labels/{NAME}/*.parquet"),
    *("source/offsets.json", f"source/{NAME}.json", "source/idle/*.json"),
    *("source/labels/offsets.json", f"source/labels/{NAME}.json", "source/labels/idle/*.json"),
    *(f"predictions/{NAME}/*.parquet", f"rejected/{NAME}/*.ndjson", "rejected/undated/*.ndjson"),
)
"""All files of a run but for its lock, as globs."""


class Questions(NamedTuple):
    """What became of a run's questions, by its ended.json: questions = answered + expired + open.

    Attributes:
        questions: rows that were asked.
        answered: those whose label came within the wait.
        expired: those whose wait was over without one.
        open: those that were still to be answered when the stream ended.
    """

    questions: int
    answered: int
    expired: int
    open: int

    def line(self) -> str:
        """A summary of them in one line.

        Example:
            >>> Questions(10, 7, 1, 2).line()
            '10 questions: 7 answered, 1 expired, 2 open'
        """
        return (
            f"{format_count(self.questions, 'question')}: {self.answered:,} answered, "
            f"{self.expired:,} expired, {self.open:,} open"
        )


class RunSettings(BaseModel):
    """Fields of settings.json that its readers need; window, every and offset are in seconds."""

    data_schema: Schema = Field(alias="schema")
    learner: str
    window: int = Field(gt=0)
    every: int = Field(gt=0)
    lag: int = Field(1, gt=0)
    offset: int = 0
    live: bool = False

    @property
    def clock(self) -> Clock | None:
        """When questions can be answered, microseconds; None unless labels have a time."""
        wait = self.data_schema.wait
        if wait is None:
            return None
        return Clock(self.every * SECOND, wait * SECOND, self.offset * SECOND)


class Delay(BaseModel):
    """How late a live run is: the 95th percentile, seconds."""

    p95: float


class Status(BaseModel):
    """A run's status.json; what it may lack has a default."""

    state: str
    rows_read: int = 0
    rate: float = 0.0
    watermark: AwareDatetime | None = None
    updated: AwareDatetime
    delays: dict[str, Delay] = {}
    topic: TopicStatus | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the run has recorded that it ended."""
        return self.state in ENDED

    def age(self, now: datetime) -> float:
        """Seconds since it was written."""
        return (now - self.updated).total_seconds()


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
    def refused(self) -> str:
        """The store of the models that the gate has refused, which serve nothing."""
        return self._part("refused")

    @property
    def metrics(self) -> str:
        """``<refresh start>.json``."""
        return self._part("metrics")

    @property
    def summaries(self) -> str:
        """``<refresh start>.json``: what later refreshes need of one."""
        return self._part("summaries")

    @property
    def known(self) -> str:
        """``<refresh start>.parquet``: targets that became known in it, if labels come later."""
        return self._part("known")

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
    def outcomes(self) -> str:
        """``<refresh start of the label>/<shard>.parquet``, where labels have a time."""
        return self._part("outcomes")

    @property
    def cohorts(self) -> str:
        """``<refresh start>.json``, where labels have a time."""
        return self._part("cohorts")

    @property
    def questions(self) -> str:
        """``<refresh start>/<shard>.parquet``, where labels are a stream of their own."""
        return self._part("questions")

    @property
    def labels(self) -> str:
        """``<refresh start>/<shard>.parquet``: for which questions labels were offered."""
        return self._part("labels")

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

    @property
    def until(self) -> str:
        """``until.json``: where the stream ends, where labels have a time."""
        return self._part("until.json")

    @property
    def promotions(self) -> str:
        """``promotions.ndjson``: models that were pinned, or refused by the gate."""
        return self._part(promotions.RECORD)

    def describe_pin(self) -> str | None:
        """Which model is pinned, and what waits for the job, in a line; None if nothing is."""
        acts = promotions.read(self.promotions)
        return promotions.describe_pin(acts, promotions.read_asked(self.asked_pin))

    @property
    def asked_pin(self) -> str:
        """``pin.json``: an act that waits until the job's source takes it."""
        return self._part(promotions.ASKED)

    @property
    def pruned(self) -> str:
        """``pruned.json``: refreshes before it may lack their files, which were removed."""
        return self._part("pruned.json")

    @property
    def source(self) -> str:
        """``source/``: the journal of a run on a topic (``reading.kafka.journal``)."""
        return self._part("source")

    def pruned_before(self) -> int:
        """Refreshes before this may lack their files; microseconds, -2**63 if none may."""
        try:
            before = parse_iso(str(parse_json(files.read_whole(self.pruned))["before"]))
        except (FileNotFoundError, ValueError, KeyError):
            return -(2**63)
        return from_datetime(before)

    def _part(self, name: str) -> str:
        return files.join(self.path, name)

    def check(self) -> None:
        """Checks that a local path is a folder.

        Raises:
            UserError: if it is not; if its address is of a file system that is not known here.
        """
        check_scheme(self.path, "")
        prepare_file_systems([self.path])
        if files.is_local(self.path) and not Path(self.path).is_dir():
            raise UserError(f"{self.path}: is not a folder; must be a run's folder")

    def read_settings(self) -> dict[str, Any]:
        """settings.json, as it stands.

        Raises:
            UserError: if the folder holds no run, or is not reached.
        """
        check_scheme(self.path, "")
        prepare_file_systems([self.path])
        reach(self.path, "run folder")
        try:
            data = files.read_whole(self.settings)
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path}: holds no run: no settings.json in it") from error
        try:
            return TypeAdapter(dict[str, Any]).validate_json(data)
        except ValidationError as error:
            raise UserError(f"{self.settings}: is not a run's: {explain(error)}") from error

    def parse_settings(self, found: dict[str, Any]) -> RunSettings:
        """The settings that readers need, of what ``read_settings`` has returned.

        Raises:
            UserError: if one is missing or has another type.
        """
        try:
            return RunSettings.model_validate(found)
        except ValidationError as error:
            raise UserError(f"{self.settings}: is not a run's: {explain(error)}") from error

    def read_status(self) -> Status:
        """status.json.

        Raises:
            FileNotFoundError: if the run has not written one yet.
            OSError: if it cannot be read.
            ValueError: if it is not a run's.
        """
        return Status.model_validate_json(files.read_whole(self.status))

    def has_ended(self) -> bool:
        """Whether the stream has ended and all of it is written.

        Raises:
            OSError: if the folder cannot be read.
        """
        return files.exists(self.ended)

    def report_names(self) -> list[str]:
        """The names of the refreshes that have a report, oldest first."""
        return [PurePath(path).stem for path in files.list_files(self.metrics, f"{NAME}.json")]

    def read_report(self, refresh: str) -> Metrics:
        """The report of a refresh, by its name.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it is not one.
        """
        data = files.read_whole(files.join(self.metrics, f"{refresh}.json"))
        return Metrics.model_validate_json(data)

    def reports(self) -> list[Metrics]:
        """The reports that are written, in the order of their refreshes.

        Raises:
            OSError: if one cannot be read.
            ValueError: if one is not valid.
        """
        return [self.read_report(name) for name in self.report_names()]

    def reported(self) -> set[int]:
        """The starts of the refreshes that have a report, microseconds."""
        return set(map(parse_name, self.report_names()))

    def skip_names(self) -> list[str]:
        """The names of the windows that made no model, oldest first."""
        found = files.list_files(self.skipped, f"{NAME}.json")
        return [PurePath(path).stem for path in found]

    def read_skip(self, window_end: str) -> Skipped:
        """Why a window made no model, by its name.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is not a run's.
        """
        data = files.read_whole(files.join(self.skipped, f"{window_end}.json"))
        return Skipped.model_validate_json(data)

    def skips(self) -> list[Skipped]:
        """The windows that made no model, oldest first."""
        return [self.read_skip(name) for name in self.skip_names()]

    def samples(self) -> dict[str, str]:
        """The paths of the samples by the names of their refreshes, oldest first."""
        found = files.list_files(self.sample, f"{NAME}.parquet")
        return {PurePath(path).stem: path for path in found}

    def prediction_files(self) -> dict[str, list[str]]:
        """The paths of the predictions by the names of their refreshes, oldest first."""
        return self._shards(self.predictions)

    def outcome_files(self) -> dict[str, list[str]]:
        """The paths of predictions with their labels, where these have a time of their own.

        By the names of the refreshes in which the labels became known, oldest first.
        """
        return self._shards(self.outcomes)

    def _shards(self, folder: str) -> dict[str, list[str]]:
        shards: dict[str, list[str]] = {}
        for path in files.list_files(folder, f"{NAME}/*.parquet"):
            shards.setdefault(PurePath(path).parent.name, []).append(path)
        return shards

    def read_cohorts(self, most: int) -> list[Cohort]:
        """The figures of refreshes by when questions were asked, oldest first.

        Args:
            most: maximum number: of more, these are the newest.

        Raises:
            ValueError: if a file holds no cohort.
        """
        found = files.list_files(self.cohorts, f"{NAME}.json")[-most:]
        return [Cohort.model_validate_json(files.read_whole(path)) for path in found]

    def count_questions(self) -> Questions | None:
        """What became of all questions when the stream had ended; None if labels have no time."""
        try:
            written = parse_json(files.read_whole(self.ended))
            return Questions(*(int(written[name]) for name in Questions._fields))
        except (OSError, ValueError, KeyError):
            return None

    def count_labels(self) -> dict[str, int]:
        """What else came in the stream of labels of a run that has ended; empty without one.

        ``labels_read`` and ``labels_open`` are not known of a run of an older version.
        """
        try:
            written = parse_json(files.read_whole(self.ended))
            counted = ("label_late", *STREAM_COUNTS)
            names = ("labels_read", *counted, "labels_open")
            there = [name for name in names if name in counted or name in written]
            return {name: int(written[name]) for name in there}
        except (OSError, ValueError, KeyError):
            return {}

    def reject_files(self) -> list[str]:
        """The paths of the rejects, newest first; those without a readable time at the end."""
        paths = files.list_files(self.rejected, "*/*.ndjson")
        dated = {path: PurePath(path).parent.name != "undated" for path in paths}
        return sorted(paths, key=lambda path: (dated[path], path), reverse=True)

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

    def timed(self) -> list[str]:
        """The names of the windows whose fit was timed, oldest first."""
        return [PurePath(path).stem for path in files.list_files(self.timing, f"{NAME}.json")]

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


def parse_json(data: bytes) -> dict[str, Any]:
    """A JSON object whose numbers are all finite.

    Raises:
        ValueError: if it is not one, or too deeply nested.

    Example:
        >>> parse_json(b'{"rows": 3}')
        {'rows': 3}
    """
    found = from_json(data, allow_inf_nan=False)
    if not isinstance(found, dict):
        raise ValueError(f"must be an object, is of type {type(found).__name__}")
    json.dumps(found, allow_nan=False)  # 1e999 is read as infinite
    return found
