"""What holds of a run at this moment, as Prometheus reads it: state, rows, models, figures.

Everything is computed when ``/metrics`` is asked for, from what the watching thread has read, so
asking costs no look at the folder.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError

from model.alerts import Alert
from model.asof import parse_iso, parse_name
from model.batch import SECOND
from model.display import ENDED
from model.metrics import STREAM_COUNTS, Metrics
from model.pooling import NEWEST, pool_newest
from model.topic_status import TopicStatus
from monitor.questions import QuestionFollower
from monitor.serve.counts import PREFIX
from monitor.serve.damage import KINDS as FILES
from monitor.serve.recording import Records
from monitor.serve.reports import Report
from monitor.serve.serving import Serving

if TYPE_CHECKING:
    from monitor.serve.core import Core

STATES = ("starting", "running", *ENDED, "other")
"""The states of a run, by name; ``starting`` is before its first status."""
SKIPS = ("few_rows", "one_class", "fit_failed", "refused", "other")
"""Why windows make no model."""
ROWS = ("accepted", "scored", "unlabelled", "late", "rejected")
"""What is counted of the rows of refreshes that are reported."""
POOLED = ("labelled", "mae", "rmse", "r2", "baseline_mae", "skill", "skill_best")
"""What is shown of the newest refreshes together."""
CLASS_NAMES = {"mae": "log_loss", "baseline_mae": "baseline_log_loss"}
"""What pooled figures are called where the target is a class."""
COHORT_FIGURES = (
    *("rows", "answered", "expired", "labelled"),
    *("mae", "rmse", "r2", "baseline_mae", "skill"),
    *("log_loss", "baseline_log_loss", "brier", "accuracy", "f1", "precision", "recall"),
    *("roc_auc", "average_precision", "calibration_error", "unseen"),
)
"""What is shown of a cohort, if it has it."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What a report's figure has to be called to become the name of a metric."""


class Gauges(Collector):
    """The gauges of a server.

    Args:
        core: the server's.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def collect(self) -> Iterator[Metric]:
        """The gauges; none of what is not there."""
        core = self._core
        yield from of_looking(core)
        yield from of_run(core)
        yield from of_topic(core)
        yield from of_totals(core)
        if core.records is not None:
            yield from of_records(core.records)
        serving, report = core.models.current, core.reports.newest
        if serving is not None:
            yield from of_model(serving)
        pinned = "1 if a model is pinned: it serves whatever newer ones there are"
        yield gauge("model_pinned", pinned, int(core.models.pinned is not None))
        if report is not None:
            yield from of_report(report)
            yield from of_newest(list(core.reports.known.values())[-NEWEST:])
            yield from of_alerts(core.alerts.of_newest())
        if core.questions is not None:
            yield from of_questions(core.questions)


def of_looking(core: Core) -> Iterator[Metric]:
    """Whether the run's folder is read as it should be."""
    quiet = "Seconds since the last look at the run's folder ended"
    yield gauge("look_age_seconds", quiet, time.monotonic() - core.looked)
    failed = "1 if the last look at the run's folder failed"
    yield gauge("look_failed", failed, int(bool(core.failure)))
    damaged = core.damaged.by_kind()
    help_ = "Files of the run that are not as a run writes them, and are skipped"
    yield by_label("damaged_files", help_, "kind", {kind: damaged[kind] for kind in FILES})


def of_records(records: Records) -> Iterator[Metric]:
    """What is recorded of questions and labels."""
    figures = {
        "recorded_rows": ("Rows that were recorded", "recorded"),
        "unrecorded_rows": ("Rows that were not: too many waited, or it has stopped", "lost"),
        "recorded_bytes": ("Bytes of the files in the folder", "bytes"),
    }
    for name, (help_, field) in figures.items():
        values = {kind: getattr(each, field) for kind, each in records.both.items()}
        yield by_label(name, help_, "kind", values)
    stopped = {kind: int(bool(each.failure)) for kind, each in records.both.items()}
    yield by_label("record_stopped", "1 if nothing more is recorded", "kind", stopped)


def of_run(core: Core) -> Iterator[Metric]:
    """The run's state, as its status.json has it."""
    status = core.status
    state = status.get("state", "starting")
    found = state if state in STATES else "other"
    states = {each: int(each == found) for each in STATES}
    yield by_label("run_state", "1 for the state of the run", "state", states)
    live = "1 if event time is the wall clock, so that a run can lag behind"
    yield gauge("run_live", live, int(bool(core.settings.get("live"))))
    for name, help_ in (
        ("window", "Length of a training window"),
        ("every", "Length of a refresh"),
    ):
        yield gauge(f"run_{name}_seconds", help_, core.settings[name])
    rows = status.get("rows_read")
    if is_figure(rows):
        yield counter("run_rows_read", "Rows read by the run", float(rows))
    updated, watermark = seconds(status.get("updated")), seconds(status.get("watermark"))
    if updated is not None:
        age = "Seconds since the run's status was written"
        yield gauge("run_update_age_seconds", age, time.time() - updated)
    if watermark is not None:
        yield gauge("run_watermark_seconds", "Event time, seconds since the epoch", watermark)
    if watermark is not None and updated is not None and core.settings.get("live"):
        lag = "How far a live run's event time was behind when its status was written"
        yield gauge("run_watermark_lag_seconds", lag, updated - watermark)


def of_topic(core: Core) -> Iterator[Metric]:
    """How far the run has read its topic, by partition; nothing of a run on anything else."""
    try:
        topic = TopicStatus.model_validate(core.status.get("topic"))
    except ValidationError:  # none, or a later version's
        return
    figures = {
        "lag_rows": "Records of a partition that are not read yet",
        "lag_seconds": "From the newest record that is read to the newest that is there, seconds",
        "undecoded_records": "Records of a partition that are no rows of the schema",
        "idle": "1 if the partition is idle: it does not hold the watermark",
    }
    for name, help_ in figures.items():
        field = name.removesuffix("_records")
        found = {p: getattr(one, field) for p, one in topic.by_partition.items()}
        values = {p: float(value) for p, value in found.items() if value is not None}
        yield by_label(f"topic_{name}", help_, "partition", values)


def of_totals(core: Core) -> Iterator[Metric]:
    """What the whole run has come to, by its reports."""
    totals = core.reports.totals
    yield counter("run_refreshes", "Refreshes reported", totals["refreshes"])
    rows = CounterMetricFamily(
        f"{PREFIX}_run_rows", "Rows of the refreshes that are reported", labels=("kind",)
    )
    for kind in ROWS:
        rows.add_metric((kind,), totals["rows" if kind == "accepted" else kind])
    yield rows
    if "answered" in totals:
        help_ = "Questions of the refreshes that are reported, by what became of them"
        closed = {kind: totals[kind] for kind in ("answered", "expired")}
        still = totals["rows"] - sum(closed.values())
        yield by_label("run_questions", help_, "state", {**closed, "open": still})
    if "duplicates" in totals:
        help_ = "What came in the stream of labels beside the answers, by kind"
        kinds = {kind: totals[kind] for kind in ("label_late", *STREAM_COUNTS)}
        yield by_label("run_labels", help_, "kind", kinds)
    skips = core.skips.by_kind()
    windows = CounterMetricFamily(
        f"{PREFIX}_run_skipped_windows",
        "Windows whose model does not serve: none was made, or it was refused",
        labels=("kind",),
    )
    for kind in SKIPS:
        windows.add_metric((kind,), skips[kind])
    yield windows
    alerted = "Refreshes that have alerts"
    yield counter("run_alerted_refreshes", alerted, core.alerts.refreshes)
    yield gauge("models", "Models that the run keeps", len(core.models.names))


def of_model(serving: Serving) -> Iterator[Metric]:
    """The gauges of a model that serves."""
    info = GaugeMetricFamily(f"{PREFIX}_model", "The model that serves", labels=("model", "sha256"))
    info.add_metric(serving.reference, 1)
    yield info
    end = parse_name(serving.reference.name) / SECOND
    age = "Seconds since the end of the window that the model was trained on"
    yield gauge("model_age_seconds", age, time.time() - end)
    since = "When the model was taken up, seconds since the epoch"
    yield gauge("model_since_seconds", since, serving.since)


def of_report(report: Report) -> Iterator[Metric]:
    """The gauges of a report: each of its figures, and how far features and predictions drifted."""
    for name, value in report.items():
        if name not in ("format", "end_seconds") and NAME.fullmatch(name) and is_figure(value):
            yield gauge(f"refresh_{name}", f"{name} of the newest refresh", value)
    baselines = report.get("baselines") or {}
    errors = {name: value for name, value in baselines.items() if is_figure(value)}
    if errors:
        help_ = "Mean absolute error of each baseline in the newest refresh"
        yield by_label("refresh_baselines", help_, "baseline", errors)
    end = seconds(report.get("refresh_end"))
    if end is not None:
        yield gauge("refresh_end_seconds", "End of the newest refresh, since the epoch", end)
    drift = report.get("drift")
    if drift is not None:
        yield of_drift("drift", "Drift of a feature", "feature", drift["features"])
        predictions = {"prediction": drift["prediction"]}
        yield of_drift("prediction_drift", "Drift of the predictions", "of", predictions)
        shares = drift.get("shares")
        if shares is not None:
            yield of_classes("predicted_share", "Share of rows a class was predicted for", shares)


def of_newest(reports: Iterable[Report]) -> Iterator[Metric]:
    """The figures of the newest 20 refreshes together."""
    try:
        found = [Metrics.model_validate(report) for report in reports]
    except ValidationError:  # a later version's
        return
    pooled, names = pool_newest(found), CLASS_NAMES if any(r.classifies for r in found) else {}
    for field in POOLED:
        value, name = getattr(pooled, field), names.get(field, field)
        if is_figure(value):
            yield gauge(f"pooled_{name}", f"{name} of the newest 20 refreshes together", value)


def of_questions(questions: QuestionFollower) -> Iterator[Metric]:
    """The view by question: what is open, and the figures of the newest cohort that is final."""
    still = questions.open()
    counts = {"open": still.open, "asked": still.asked} if still else {"open": 0, "asked": 0}
    help_ = "Questions of the newest refreshes, those that have open ones: all, and the open"
    yield by_label("newest_questions", help_, "state", counts)
    oldest = "Event time since the refresh of the oldest open question began, seconds"
    yield gauge("oldest_open_question_seconds", oldest, still.age if still else 0)
    delay = questions.figures.delay
    if delay is not None:
        help_ = "From questions to the labels that came in the newest refreshes, seconds"
        values = {"p50": delay.p50, "p90": delay.p90, "max": delay.max}
        yield by_label("label_delay_seconds", help_, "quantile", values)
    final = [cohort for cohort in questions.cohorts.kept.values() if cohort.final]
    if not final:
        return
    newest = final[-1]
    for name in COHORT_FIGURES:
        value = getattr(newest, name, None)  # extra fields of the task
        if is_figure(value):
            yield gauge(f"cohort_{name}", f"By question: {name} of the newest final refresh", value)
    end = seconds(newest.refresh_end)
    if end is not None:
        yield gauge("cohort_end_seconds", "End of that refresh, since the epoch", end)


def of_alerts(alerts: list[Alert]) -> Iterator[Metric]:
    """The alerts of the newest refresh that are not over."""
    alerts = [alert for alert in alerts if alert.state != "over"]
    yield gauge("refresh_alerts", "Alerts of the newest refresh", len(alerts))
    labels = ("column", "what")
    figures = GaugeMetricFamily(
        f"{PREFIX}_refresh_alert", "What an alert of the newest refresh is about", labels=labels
    )
    values: dict[tuple[str, str], float] = {}
    for alert in alerts:  # a feature may be called "prediction" too
        key = (alert.column, alert.what)
        values[key] = max(values.get(key, alert.value), alert.value, key=abs)
    for both, value in values.items():
        figures.add_metric(both, value)
    yield figures


def of_drift(name: str, help_: str, label: str, shifts: Mapping[str, Mapping[str, Any]]) -> Metric:
    """A gauge of how far columns have drifted: a value for each of them and each measure."""
    made = GaugeMetricFamily(f"{PREFIX}_refresh_{name}", help_, labels=(label, "measure"))
    for column, measures in shifts.items():
        for measure, value in measures.items():
            if is_figure(value):
                made.add_metric((column, measure), value)
    return made


def gauge(name: str, help_: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(f"{PREFIX}_{name}", help_, value)


def counter(name: str, help_: str, value: float) -> Metric:
    """A counter without labels; its name ends in ``_total``."""
    return CounterMetricFamily(f"{PREFIX}_{name}", help_, value)


def by_label(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with one label."""
    made = GaugeMetricFamily(f"{PREFIX}_{name}", help_, labels=(label,))
    for key, value in values.items():
        made.add_metric((key,), value)
    return made


def of_classes(name: str, help_: str, figures: Mapping[str, Any]) -> Metric:
    """A gauge of a figure of each class."""
    made = GaugeMetricFamily(f"{PREFIX}_refresh_{name}", help_, labels=("class",))
    for each, value in figures.items():
        if is_figure(value):
            made.add_metric((each,), value)
    return made


def is_figure(value: Any) -> TypeGuard[float]:
    """Whether a value of the run's files is a number that Prometheus can hold.

    Example:
        >>> is_figure(1), is_figure(True), is_figure(float("nan")), is_figure(10**400)
        (True, False, False, False)
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def seconds(time_: object) -> float | None:
    """A time of the run's files, ISO 8601, in seconds since the epoch; None if it is not one.

    Example:
        >>> seconds("1970-01-01T00:01:00Z"), seconds(None), seconds("soon")
        (60.0, None, None)
    """
    try:
        return parse_iso(str(time_)).timestamp()
    except ValueError:
        return None
