"""Settings: every option of the job, checked, from the command line or a TOML file."""

from __future__ import annotations

import re
import warnings
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from model import gate as gating
from model import moments, problems
from model.asof import EPOCH, Cadence, format_iso
from model.batch import SECOND
from model.blocks import BLOCK, round_up
from model.changes import RUN_LENGTH, AlertRules, Thresholds
from model.cohorts import Clock
from model.display import PSI_LARGE
from model.durations import (
    LONGEST,
    format_millis,
    parse_duration,
    parse_fine_duration,
    to_millis,
)
from model.errors import UserError
from model.manifest import Learner
from model.people import ANSWERED, APART, CLASSES, PERSON, parse_delays
from model.people import SCHEMA as PEOPLE
from model.schema import Labels, Schema
from model.skipped import default_min_rows
from model.times import parse_time, parse_times
from model.topic_format import TopicFormat
from model.zones import standard_offset
from pipeline.values import address, delays, threshold
from reading.kafka.address import is_kafka, parse_topic

DAY = 86_400
RUNNERS = {
    "DirectRunner": "direct",
    "FnApiRunner": "direct",
    "PrismRunner": "prism",
    "FlinkRunner": "flink",
    "DataflowRunner": "dataflow",
}
AUTO = 0
"""The length of a window that is still to be chosen by the rows of the files."""
START = "2026-01-01T00:00:00Z"
"""The event time of the first synthetic person, unless --start or --live is given."""
EARLIEST, LATEST = (
    (datetime(year, 1, 1, tzinfo=timezone.utc) - EPOCH) // timedelta(microseconds=1)
    for year in (2, 9901)
)
OWN = "own"
"""The source of a run whose source was given as an object (``pipeline.own.run_on``)."""
RENAMED = {"windows": "refreshes"}
"""Options of the release before, which this one accepts with a warning; and their names now."""
MOST_SERVE_WINDOWS = 3_600
"""Maximum number of serve windows of a refresh: its model is sent into each of them."""
SECRET = {"webhook"}
"""Options whose value is shown nowhere."""


def moment(value: Any) -> Any:
    """A time as ISO 8601 in UTC; one without a zone is taken as UTC.

    Raises:
        ValueError: if it is not one.
    """
    if value is None:
        return None
    [at] = parse_times(pa.array([str(value)])).cast(pa.int64()).to_pylist()
    if at is None or not EARLIEST <= at <= LATEST:
        raise ValueError(f"must be an ISO 8601 time of the years 2 to 9900, as {START}")
    return format_iso(at)


def source_name(value: Any) -> Any:
    """The name of a source.

    Raises:
        ValueError: if it is not one.
    """
    if value in (None, "people", "files", "kafka", OWN):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", value):
        raise ValueError(
            "must be people, files, kafka, or package.module:factory of a Beam transform"
        )
    return value


def window_length(value: Any) -> Any:
    """A window's length: a duration of a second or more, or ``AUTO`` from ``auto``.

    Raises:
        ValueError: if it is neither.

    Example:
        >>> window_length("1h"), window_length("auto")
        (3600, 0)
    """
    if value == "auto":
        return AUTO
    length = parse_duration(value)
    if length < 1:
        raise ValueError("must be >= 1 second, as 60, 90s, 5m, 1h, 1d; or auto")
    return length


def end_of_topic(value: Any) -> Any:
    """``now``, or a time.

    Raises:
        ValueError: if it is neither.
    """
    return value if value in (None, "now") else moment(value)


Until = Annotated[str, BeforeValidator(end_of_topic)]
Delays = Annotated[str, BeforeValidator(delays)]
Threshold = Annotated[float | None, BeforeValidator(threshold)]
Duration = Annotated[int, BeforeValidator(parse_duration), Field(le=LONGEST)]
FineDuration = Annotated[
    int | float, BeforeValidator(parse_fine_duration), Field(ge=0.001, le=LONGEST)
]
Moment = Annotated[str, BeforeValidator(moment)]
Source = Annotated[str, BeforeValidator(source_name)]
Runner = Annotated[
    Literal["direct", "prism", "flink", "dataflow"],
    BeforeValidator(lambda value: RUNNERS.get(value, value)),
]


class Settings(BaseModel):
    """All options of a run. Each field is an option: ``sample_rows`` is ``--sample-rows``.

    Raises:
        pydantic.ValidationError: if a value is not allowed; ``settings_from`` explains it in
            one line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    runner: Runner = Field("direct", description="direct (embedded), prism, flink or dataflow")
    output: str | None = Field(
        None, min_length=1, description="the run's folder (a fresh one below runs/)"
    )
    resume: bool = Field(False, description="go on in a folder from its first missing report")
    overwrite: bool = Field(False, description="replace the run that a folder holds")
    source: Source | None = Field(
        None,
        description="people (synthetic), files (the default with --input), or "
        "package.module:factory of a Beam transform",
    )
    source_param: dict[str, Any] = Field(
        default_factory=dict, description="k=v for that factory; may be given more than once"
    )
    people: Literal["learnable", "original", "classes"] = Field(
        "learnable",
        description="learnable (it drifts), original: an independent salary, or classes: who is "
        "hired",
    )
    people_delay: Delays | None = Field(
        None,
        description="how long after they come people's salaries are known, as 0..5m (at once)",
    )
    input: str | None = Field(
        None,
        description="glob of CSV, NDJSON or Parquet files, on any Beam file system; or "
        "kafka://HOST:PORT/TOPIC",
    )
    kafka_config: str | None = Field(
        None,
        min_length=1,
        description="file of librdkafka's properties, as for TLS and a user; what it holds is kept "
        "nowhere",
    )
    until: Until | None = Field(
        None, description="end a topic at the records that are there now, or before a time"
    )
    idle: Annotated[Duration, Field(ge=1)] = Field(
        30, description="a partition without a record for so long no longer holds the others back"
    )
    replay: str | None = Field(
        None,
        min_length=1,
        description="folder of a run on a topic whose reported refreshes are made once more",
    )
    labels: str | None = Field(
        None,
        min_length=1,
        description="glob of files of labels, or a topic, if the schema has [labels]: as --input; "
        "people: their salaries are labels of their own, with --people-delay",
    )
    schema_file: str | None = Field(None, description="TOML that says what the columns mean")
    window: Annotated[int, BeforeValidator(window_length), Field(le=LONGEST)] = Field(
        60,
        description="what a model is trained on: 60, 90s, 5m, 1h, 1d; auto: by the rows of files; "
        "60, or auto if that does not fit files",
    )
    every: Annotated[Duration, Field(ge=1)] | None = Field(
        None, description="how long a model serves; the window is a multiple (= window)"
    )
    latency: FineDuration | None = Field(
        None,
        description="a row is scored so long after at the latest, as 1s or 100ms; divides --every "
        "(= every)",
    )
    offset: Annotated[Duration, Field(ge=0)] | None = Field(
        None,
        description="refreshes begin so long after multiples of --every since 1970 in UTC (0, or "
        "at midnight by the schema's time_zone)",
    )
    refreshes: int | None = Field(
        None,
        ge=0,
        description="stop after so many refreshes; 0: endless (people 12, files all)",
        serialization_alias="windows",  # settings.json's key is a contract
    )
    live: bool = Field(False, description="event time is the wall clock, at --rate")
    rate: float = Field(
        250, gt=0, le=1e9, allow_inf_nan=False, description="rows per second of event time"
    )
    start: Moment | None = Field(
        None, description=f"event time of the first person ({START}; live: now)"
    )
    learner: str = Field(
        "forest",
        description="forest, boosting, ridge (of classes: logistic), or package.module:factory",
    )
    learner_param: dict[str, Any] = Field(
        default_factory=dict, description="k=v for the learner; may be given more than once"
    )
    predictions: Literal["parquet", "none"] = Field(
        "parquet", description="parquet (the default), or none: figures only"
    )
    disorder: Annotated[Duration, Field(ge=0)] = Field(
        0, description="how far people come out of order; rows that come later are late"
    )
    min_rows: int | None = Field(
        None,
        ge=1,
        description="least labelled rows for a model (10 to 20, by the number of features)",
    )
    strict: bool = Field(
        False, description="a fit that fails ends the job, where its window is skipped else"
    )
    gate: gating.Kind = Field(
        "auto",
        description="which models serve: auto (those that show skill in a trial, where that is "
        "cheap), trial (always), last (that beat the last value, too), checks (no trial), none "
        "(all)",
    )
    max_rejected: float = Field(
        0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="share of rejected rows, or labels, beyond which a run that has ended fails "
        "(exit code 1)",
    )
    sample_rows: int = Field(1_000_000, ge=1, description="a window trains on so many at most")
    batch_rows: int = Field(
        10_000,
        ge=1,
        le=10_000_000,
        description="rows of a batch, rounded up to a multiple of 1,024; fewer people stay as few",
    )
    shards: int = Field(4, ge=1, le=1024, description="how many batches are scored side by side")
    lag: int = Field(1, ge=1, le=1000, description="how many refreshes a fit may take")
    keep: int = Field(3, ge=0, description="how many old models stay; 0 keeps all")
    drift_psi: Threshold = Field(
        PSI_LARGE, description="no alert of a population stability index below it; none: of no such"
    )
    drift_shift: Threshold = Field(
        0.5, description="no alert of a mean that moves by fewer deviations; none: of no such"
    )
    alert_run_length: Threshold = Field(
        RUN_LENGTH,
        description="mean number of refreshes from one false alert to the next; none: no alerts",
    )
    webhook: Annotated[SecretStr | None, BeforeValidator(address)] = Field(
        None, description="alerts are posted to this http:// or https:// address, as JSON"
    )
    on_interrupt: Literal["cancel", "drain", "savepoint"] = Field(
        "cancel",
        description="at Ctrl-C: cancel (at once), drain (the refresh that has begun is read, "
        "scored and reported first), or savepoint (Flink)",
    )
    shared: bool = Field(
        False, description="the run's folder is on a volume that all workers reach"
    )
    latest: Moment | None = Field(
        None,
        description="a row after this time is rejected (files: a day after the launch)",
    )
    seed: int = Field(42, ge=0, lt=2**32, description="of people and learners")

    _schema: Schema | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Settings:
        self._schema = (info.context or {}).get("schema", self._schema)
        if self.window == AUTO:
            if not self.reads_files:
                raise ValueError("--window auto needs --input: it goes by the rows of files")
        elif self.window % self.refresh:
            raise ValueError(
                f"--window {self.window}s is not a multiple of --every {self.refresh}s: must be 1, "
                "2, 3, … times --every"
            )
        if self.refresh != AUTO:
            self._check_latency()
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite: only one of them may be given")
        if (self.resume or self.overwrite) and self.output is None:
            raise ValueError("--resume and --overwrite need the run's folder: --output FOLDER")
        if self.reads_files:
            self._check_files()
        elif self.reads_topic:
            self._check_topic()
        elif self.input is not None:
            raise ValueError("--input goes with --source files")
        if not self.reads_topic:
            for name in ("kafka_config", "until", "idle", "replay"):
                if self.has(name):
                    raise ValueError(f"{option(name)} goes with --input kafka://HOST:PORT/TOPIC")
        if self.brings_source:
            self._check_own()
        elif self.source_param:
            raise ValueError("--source-param goes with --source package.module:factory")
        return self

    def _check_latency(self) -> None:
        """A serve window divides its refresh, into not too many."""
        refresh, latency = self.refresh * 1000, to_millis(self.serve_window)
        unit = 1 if latency % 1000 else 1000
        allowed = [unit * d for d in divisors(refresh // unit)]
        given = f"--latency {format_millis(latency)}"
        if refresh % latency:
            nearest = sorted(sorted(allowed, key=lambda d: (abs(d - latency), d))[:5])
            raise ValueError(
                f"{given} does not divide --every {self.refresh}s: must be a divisor, as "
                f"{', '.join(map(format_millis, nearest))}"
            )
        if refresh // latency > MOST_SERVE_WINDOWS:
            least = next(d for d in allowed if d * MOST_SERVE_WINDOWS >= refresh)
            raise ValueError(
                f"{given} divides --every {self.refresh}s into {refresh // latency:,} serve "
                f"windows: must be <= {MOST_SERVE_WINDOWS:,}, as with --latency "
                f"{format_millis(least)}"
            )

    def _check_own(self) -> None:
        if self.schema_file is None and self._schema is None:
            raise ValueError(f"--source {self.source} needs --schema, a TOML file")
        refused = {
            "--live": self.live,
            "--start": self.start is not None,
            "--refreshes": bool(self.refreshes),
            "--on-interrupt drain": self.on_interrupt == "drain",
        }
        for option, given in refused.items():
            if given:
                raise ValueError(
                    f"{option} goes with people and files: a source of your own has its own times "
                    "and its own end"
                )

    def _check_files(self) -> None:
        if self.input is None:
            raise ValueError("--source files needs --input, a glob of files")
        if self.schema_file is None and self._schema is None:
            raise ValueError("--source files needs --schema, a TOML file: see README, 'Your data'")
        for option, given in (("--live", self.live), ("--start", self.start)):
            if given:
                raise ValueError(f"{option} goes with --source people: files have their own times")

    def _check_topic(self) -> None:
        if not is_kafka(self.input):
            raise ValueError("--source kafka needs --input kafka://HOST:PORT/TOPIC")
        parse_topic(str(self.input))
        if self.schema_file is None and self._schema is None:
            raise ValueError("--input kafka://... needs --schema, a TOML file: see docs/kafka.md")
        if self.live:
            raise ValueError("--live goes with --source people: a topic is live without --until")

    def has(self, name: str) -> bool:
        """Whether an option was given, and does not only have its default."""
        return name in self.model_fields_set

    @property
    def reads_files(self) -> bool:
        """Whether rows come from files."""
        if self.source is None:
            return self.input is not None and not is_kafka(self.input)
        return self.source == "files"

    @property
    def reads_topic(self) -> bool:
        """Whether rows come from a Kafka topic."""
        return self.source == "kafka" or (self.source is None and is_kafka(self.input))

    @property
    def follows_topic(self) -> bool:
        """Whether rows come from a Kafka topic that has no end."""
        return self.reads_topic and self.until is None and self.replay is None

    @property
    def brings_source(self) -> bool:
        """Whether rows come from the user's own source."""
        return self.source not in (None, "people", "files", "kafka")

    @property
    def resolved(self) -> dict[str, Any]:
        """The options whose default depends on others, as they come out."""
        return {
            "source": self.source or self._source,
            "live": self.is_live,
            "every": self.refresh,
            "latency": self.serve_window,
            "offset": self.begin_offset,
            "windows": self.refresh_count,
            "min_rows": self.least_rows,
            "latest": self.latest,
            "start": self.start or (START if self._source == "people" else None),
        }

    @property
    def _source(self) -> str:
        """Where rows come from."""
        if self.brings_source:
            return str(self.source)
        return "files" if self.reads_files else "kafka" if self.reads_topic else "people"

    @property
    def is_live(self) -> bool:
        """Whether event time is about the wall clock's."""
        return self.live or self.follows_topic

    @property
    def refresh(self) -> int:
        """``every``, or its default; seconds."""
        return self.every or self.window

    @property
    def serve_window(self) -> int | float:
        """``latency``, or its default; seconds, a fraction if they are not whole.

        Live, that is the least divisor of the refresh that cuts it into no more than 600.
        """
        if self.latency or not self.is_live:
            return self.latency or self.refresh
        return next(d for d in divisors(self.refresh) if d * 600 >= self.refresh)

    @property
    def midnight(self) -> int:
        """``offset``, or by default when the day of the schema's time zone begins; seconds.

        That is without daylight saving: all refreshes have one length.
        """
        zone = self.row_schema.time_zone
        if self.offset is not None or zone is None:
            return self.offset or 0
        return -standard_offset(zone, datetime.now(timezone.utc).year) // SECOND

    @property
    def begin_offset(self) -> int:
        """How long after multiples of ``every`` refreshes begin; seconds.

        Refreshes that neither divide a day nor are days begin where they do without a zone.
        """
        every = self.refresh
        if every == AUTO or (self.offset is None and every % DAY and DAY % every):
            return 0
        return self.midnight % every

    @property
    def cadence(self) -> Cadence:
        """How event time is divided; microseconds."""
        return Cadence(
            window=self.window * SECOND,
            every=self.refresh * SECOND,
            latency=to_millis(self.serve_window) * 1000,
            lag=self.lag,
            offset=self.begin_offset * SECOND,
        )

    @property
    def cut_rows(self) -> int:
        """Rows of a batch, at most: ``batch_rows`` rounded up to whole blocks of rows.

        A live batch of people may have fewer rows than a block, so its replay has to be cut alike.
        """
        few = self._source == "people" and self.batch_rows < BLOCK
        return self.batch_rows if few else round_up(self.batch_rows)

    @property
    def timed(self) -> Cadence | None:
        """How event time is divided, if it is the wall clock; else None."""
        return self.cadence if self.is_live else None

    @property
    def alert_rules(self) -> AlertRules:
        """What is an alert."""
        return AlertRules(
            Thresholds(self.drift_psi, self.drift_shift),
            self.row_schema.target,
            self.cadence.every,
            self.alert_run_length,
        )

    @property
    def least_rows(self) -> int:
        """``min_rows``, or its default."""
        if self.min_rows is not None:
            return self.min_rows
        return default_min_rows(self.width)

    @property
    def latest_time(self) -> int | None:
        """``latest`` in microseconds."""
        return None if self.latest is None else micros_of(self.latest)

    @property
    def width(self) -> int:
        """How many features the schema has."""
        return len(self.row_schema.numeric) + len(self.row_schema.categorical)

    @property
    def by_moments(self) -> bool:
        """Whether the learner is fitted by sums over a window's rows, which need not travel."""
        suffice = moments.suffice(self.learner, self.learner_param, self.row_schema)
        return suffice and self.gate != "last"  # of a sample no row has the one before it

    @property
    def runs_trial(self) -> bool:
        """Whether a model is tried before it may serve."""
        return gating.runs_trial(self.gate, self.learner)

    @property
    def regressor(self) -> Learner:
        """Which learner is trained."""
        return Learner(self.learner, self.learner_param, self.seed)

    @property
    def refresh_count(self) -> int:
        """``refreshes``, or its default; 0: without end."""
        if self.refreshes is not None:
            return self.refreshes
        return 12 if self._source == "people" else 0

    @property
    def endless(self) -> bool:
        """Whether the source never ends by itself."""
        return (self._source == "people" or self.follows_topic) and self.refresh_count == 0

    @cached_property
    def row_schema(self) -> Schema:
        """The schema: the one given, that of the file, or the people's own.

        Raises:
            UserError: if the file is not a schema.
        """
        from model.schema import load_schema

        schema = self._schema
        if schema is None:
            schema = self._people if self.schema_file is None else load_schema(self.schema_file)
        own = schema.labels is not None and schema.labels.format is not None
        if (own or schema.format != TopicFormat()) and not self.reads_topic:
            raise UserError("schema: format: goes with a topic: --input kafka://HOST:PORT/TOPIC")
        if schema.label_time is not None and self.resume and self.predictions == "none":
            raise UserError(
                "--resume: --predictions none: a run whose labels have a time goes on with the "
                "predictions that it has written, and this one writes none"
            )
        self._check_labels(schema)
        return schema

    def _check_labels(self, schema: Schema) -> None:
        """Checks that labels are read if, and only if, they are a stream of their own."""
        people = self._source == "people"
        if schema.labels is None:
            if people and self.labels == APART and self.people_delay is None:
                raise UserError(
                    f"--labels {APART}: needs --people-delay, how long after they come people's "
                    "salaries are known, as 0..5m"
                )
            if self.labels is not None:
                raise UserError(
                    "--labels: the schema has no [labels]: must name their columns, as id = "
                    '"flight", target = "arr_delay", time = "arrived"'
                )
            return
        if not people and not self.reads_files and not self.reads_topic:
            raise UserError(
                "schema: labels: a stream of labels goes with --input, files or a topic, and with "
                "people"
            )
        if people and (self.labels != APART or self.people_delay is None):
            raise UserError(
                f"schema: labels: with people it needs --people-delay and --labels {APART}; else "
                "--input, files or a topic"
            )
        if self.labels is None:
            raise UserError("schema: labels: needs --labels, a glob of files of labels or a topic")
        if is_kafka(self.labels) != self.reads_topic:
            raise UserError(
                "--input, --labels: one is a topic and the other is files: both must be topics, or "
                "both files"
            )
        if self.reads_topic:
            parse_topic(self.labels, option="--labels")
        if self.predictions == "none":
            raise UserError(
                "--predictions none: labels are compared with the predictions that were made when "
                "their questions were asked: must be parquet where the schema has [labels]"
            )

    @property
    def _people(self) -> Schema:
        """The people's schema; where salaries are known later, with when that is, or apart."""
        schema = CLASSES if self.people == "classes" else PEOPLE
        if self.answer_delay is None:
            return schema
        wait = max(1, self.answer_delay[1] // SECOND)
        if self.labels is None:
            return schema.model_copy(update={"label_time": ANSWERED, "wait": wait})
        labels = Labels(id=PERSON, target=schema.target, time=ANSWERED)
        return schema.model_copy(update={"id": PERSON, "wait": wait, "labels": labels})

    @property
    def answer_delay(self) -> tuple[int, int] | None:
        """The least and the greatest of ``people_delay``, microseconds."""
        return parse_delays(self.people_delay)

    @property
    def clock(self) -> Clock:
        """When questions can be answered, if labels have a time; microseconds."""
        wait = (self.row_schema.wait or 0) * SECOND
        return Clock(self.cadence.every, wait, self.cadence.offset)

    @property
    def open_clock(self) -> Clock | None:
        """When questions can be answered; None unless labels have a time of their own."""
        return self.clock if self.row_schema.has_later_labels else None


def divisors(number: int) -> list[int]:
    """All divisors, in order.

    Example:
        >>> divisors(12)
        [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def micros_of(start: str | None) -> int:
    """A setting's time in microseconds; ``START`` if it is None.

    Example:
        >>> micros_of("1970-01-01T00:00:01.5Z")
        1500000
    """
    return parse_time(start or START)


def settings_from(values: dict[str, Any], schema: Schema | None = None) -> Settings:
    """Settings from values by name.

    Args:
        values: the options by name, as ``sample_rows``; an old name is accepted with a warning.
        schema: what the columns mean, in the place of ``schema_file``.

    Raises:
        UserError: names each option that is not allowed, its value and what is.

    Example:
        >>> settings_from({"rate": 0})
        Traceback (most recent call last):
        ...
        model.errors.UserError: --rate 0: must be > 0
    """
    named, old = rename_options(values)
    for message in old:
        warnings.warn(message, FutureWarning, stacklevel=3)
    try:
        return Settings.model_validate(named, context={"schema": schema})
    except ValidationError as error:
        messages = []
        for problem in error.errors():
            message = requirement(problem)
            if problem["loc"]:
                name = str(problem["loc"][0])
                given = "(hidden)" if name in SECRET else problem["input"]
                message = f"{option(name)} {given}: {message}"
            messages.append(message)
        raise UserError("; ".join(messages)) from error


def rename_options(values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Options under the names that they have now, and a warning for each that had another.

    Raises:
        UserError: if an option is given by both names.

    Example:
        >>> rename_options({"windows": 3, "lag": 2})[0]
        {'lag': 2, 'refreshes': 3}
    """
    named, messages = dict(values), []
    for old, new in RENAMED.items():
        if old not in named:
            continue
        if new in named:
            raise UserError(f"{option(new)} and {option(old)}: only {option(new)} may be given")
        named[new] = named.pop(old)
        messages.append(f"{option(old)} is called {option(new)} now; the next release refuses it")
    return named, messages


def requirement(problem: ErrorDetails) -> str:
    """What a value must be, of a problem that pydantic has found.

    Example:
        >>> requirement({"type": "float_parsing", "loc": ("rate",), "msg": "", "input": "x"})
        'must be a number'
    """
    kind = problem["type"]
    if kind == "extra_forbidden":
        return "is not an option"
    if kind == "literal_error":
        return f"must be one of {problem['ctx']['expected']}"
    return problems.requirement(problem)


def option(field: str) -> str:
    """The option of a field: ``--sample-rows`` of ``sample_rows``."""
    return "--schema" if field == "schema_file" else "--" + field.replace("_", "-")
