"""``pipeline.backtest``: the job on a table of this process, with what it makes in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from model.alerts import Alert, replay_alerts
from model.answers import outcome_fields
from model.arrays import Matrix
from model.baselines import Past
from model.batch import TIME_TYPE
from model.cohorts import Cohort
from model.errors import UserError
from model.learners import check
from model.metrics import LABEL_COUNTS, Metrics, compute_metrics, merge, order_sums
from model.pooling import pool
from model.schema import Schema
from model.skipped import Skipped
from model.validation import Reject
from model.wording import format_count
from pipeline.frames.answers import Answers
from pipeline.frames.guess import SchemaLike, read_frame
from pipeline.frames.learning import learner_options
from pipeline.frames.models import Models
from pipeline.frames.progress import bar
from pipeline.frames.replay import Refresh, Replay, Scored, pool_sums
from pipeline.frames.rows import Input, prepare_input, refreshes
from pipeline.frames.tables import as_file, hide_path
from pipeline.settings import Settings
from transforms.sinks.predictions import prediction_batch, prediction_layout

OPTIONS = (
    *("window", "every", "latency", "offset", "lag", "min_rows", "gate", "sample_rows"),
    *("batch_rows", "keep", "drift_psi", "drift_shift", "strict", "max_rejected", "latest", "seed"),
)
"""The options of the command line that a backtest takes."""
COUNTED: list[tuple[str, pa.DataType]] = [
    ("refresh_start", TIME_TYPE),
    ("refresh_end", TIME_TYPE),
    ("model", pa.string()),
    *((name, pa.int64()) for name in ("rows", "scored", "unlabelled", "late", "rejected")),
]
FIGURES = pa.schema(
    [
        *COUNTED,
        *((name, pa.float64()) for name in ("mae", "rmse", "r2", "baseline_mae", "skill")),
        ("labelled", pa.int64()),
        *((name, pa.float64()) for name in ("target_mean", "target_squares", "skill_best")),
        ("best_baseline", pa.string()),
    ]
)
CLASS_FIGURES = pa.schema(
    [
        *COUNTED,
        *((name, pa.float64()) for name in ("log_loss", "baseline_log_loss", "skill")),
        *((name, pa.int64()) for name in ("labelled", "unseen")),
        *((name, pa.float64()) for name in ("brier", "accuracy", "f1", "precision", "recall")),
        *((name, pa.float64()) for name in ("roc_auc", "average_precision", "calibration_error")),
        ("skill_best", pa.float64()),
        ("best_baseline", pa.string()),
    ]
)
REJECTS_KEPT = 1_000
"""Maximum number of rejected rows that are kept; all are counted."""


def backtest(
    frame: Any,
    schema: SchemaLike = None,
    *,
    learner: Any = "forest",
    learner_param: Mapping[str, Any] | None = None,
    time: str | None = None,
    target: str | None = None,
    numeric: list[str] | None = None,
    categorical: list[str] | None = None,
    id: str | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    label_time: str | None = None,
    wait: str | int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Backtest:
    """Trains on windows of a table and predicts the rows that follow each, as the job does.

    It gives the figures, predictions and models of ``python -m pipeline`` on the same rows, to
    the last digit, without a file or folder of yours. The rows need not be sorted.

    Args:
        frame: a table of pandas, Polars or Arrow, or with the Arrow PyCapsule interface.
        schema: what the columns mean: the path of a TOML file, its keys, or a ``Schema``.
        learner: ``forest``, ``ridge`` (of classes ``logistic``), ``boosting``,
            ``package.module:Class``, or a regressor (classifier) of an importable class, which is
            not fitted itself.
        learner_param: parameters of the learner's constructor.
        time: in the place of a schema: the event time's column.
        target: the column that is to be predicted; all others are features, by their types.
        numeric: the numeric features, where they are not to be guessed.
        categorical: the categorical features, likewise.
        id: the column with your own key of a row, as in a schema.
        time_format: how times are written, as in a schema.
        time_zone: of times without one, as in a schema.
        label_time: the column with when the target became known, as in a schema.
        wait: how long a row waits for its label, as in a schema.
        progress: whether a bar is shown (by tqdm); None: in a notebook or on a terminal.
        options: the command line's, as ``window="7d"``, ``every="1d"``, ``lag=2``, ``seed=1``;
            durations may be seconds.

    Raises:
        UserError: for a table, a schema or an option that will not do.

    Example:
        >>> import pandas as pd
        >>> hours = pd.date_range("2026-01-03", periods=480, freq="h")
        >>> frame = pd.DataFrame({"at": hours, "x": range(480), "y": range(0, 960, 2)})
        >>> result = backtest(frame, time="at", target="y", learner="ridge", window="4d")
        >>> result.reports["rows"].to_pylist()
        [96, 96, 96, 96, 96]
        >>> result.predictions.column_names
        ['id', 'time', 'target', 'prediction', 'model', 'late']
    """
    keys: dict[str, Any] = {"time": time, "target": target, "numeric": numeric}
    keys |= {"categorical": categorical, "id": id, "time_format": time_format}
    keys |= {"time_zone": time_zone, "label_time": label_time, "wait": wait}
    table, meaning = read_frame(frame, schema, keys)
    given = {**check_options(options), **learner_options(learner, learner_param)}
    with as_file(table, meaning) as path:
        found = prepare_input(path, meaning, given, lambda line: None)
        return _run(found, path, progress)


def check_options(options: dict[str, Any], allowed: Sequence[str] = OPTIONS) -> dict[str, Any]:
    """The options that were given.

    Raises:
        UserError: for one that is not allowed.
    """
    for name in options:
        if name not in allowed:
            raise UserError(
                f"{name}=: is not an option of this function; must be one of {', '.join(allowed)}"
            )
    return {name: value for name, value in options.items() if value is not None}


def replay_of(settings: Settings, **others: Any) -> Replay:
    """A replay with a run's options.

    Raises:
        UserError: if the learner cannot be made or fitted.
    """
    if settings.row_schema.labels is not None:
        raise UserError(
            "schema: labels: a stream of labels needs the job (python -m pipeline): join them to "
            "the rows, and name their columns by target and label_time"
        )
    check(*settings.regressor, settings.width, settings.row_schema.task)
    replay: dict[str, Any] = {
        "schema": settings.row_schema,
        "learner": settings.regressor,
        "cadence": settings.cadence,
        "min_rows": settings.least_rows,
        "sample_rows": settings.sample_rows,
        "reduce": settings.by_moments,
        "gate": settings.gate,
        "strict": settings.strict,
        "keep": settings.keep,
    }
    return Replay(**{**replay, **others})


def _run(found: Input, path: str, progress: bool | None) -> Backtest:
    settings = found.settings
    rejected: list[Reject] = []

    def take(rejects: list[Reject]) -> None:
        room = max(0, REJECTS_KEPT - len(rejected))
        rejected.extend(replace(one, where=hide_path(one.where, path)) for one in rejects[:room])

    replay, schema = replay_of(settings), settings.row_schema
    book, lost = Book(settings), 0
    pieces: list[pa.Table] = []
    with bar(found.plan.rows, "backtest", progress) as done:
        for refresh in refreshes(found, take):
            scored = replay.step(refresh)
            book.add(refresh, scored)
            pieces.append(_predictions(scored, schema))
            broken = sum(rows for _, rows in refresh.rejected)
            lost += broken
            done(pieces[-1].num_rows + broken)
        replay.finish(found.until)
    refuse_rejects(found, lost, rejected)
    messages = tuple(hide_path(line, path) for line in found.messages)
    until = found.until
    metrics, answers = book.metrics(until), book.answers
    if answers is None:
        return Backtest(settings, metrics, pieces, replay, rejected, messages)
    replay.prune(until - settings.cadence.every)  # the last refresh may hold labels alone
    later = Later(answers.cohorts(until), answers.outcomes(until))
    return Backtest(settings, metrics, pieces, replay, rejected, messages, later)


class Book:
    """The figures of a replay's refreshes.

    Attributes:
        settings: all options.
        answers: what becomes of its questions, if labels have a time of their own.
    """

    def __init__(self, settings: Settings) -> None:
        schema, self.settings = settings.row_schema, settings
        self.answers: Answers | None = None
        if schema.has_label_time:
            self.answers = Answers(schema, settings.clock, settings.cadence)
        self._metrics: list[Metrics] = []
        self._past = Past()

    def add(self, refresh: Refresh, scored: list[Scored]) -> None:
        """Takes in a refresh, later than all before."""
        if self.answers is not None:
            self.answers.ask(refresh, scored)
        else:
            self._metrics.append(_figures(refresh, scored, self.settings, self._past))

    def metrics(self, until: int) -> list[Metrics]:
        """The figures of each refresh, of a stream that ends at a time, microseconds."""
        if self.answers is None:
            return self._metrics
        found = self.answers.metrics(until)
        return [one.model_copy(update={"files": None}) for one in found]


class Later(NamedTuple):
    """What became of the questions of a backtest whose labels have a time of their own.

    Attributes:
        cohorts: the figures of each refresh's questions, whenever their labels came.
        outcomes: the questions that were answered, in the order of (label time, row id).
    """

    cohorts: list[Cohort]
    outcomes: pa.Table


def refuse_rejects(found: Input, number: int, rejected: list[Reject]) -> None:
    """Refuses input of which more rows are rejected than ``max_rejected`` allows.

    Args:
        found: the input.
        number: how many rows were rejected.
        rejected: some of them, one at least if there is any.

    Raises:
        UserError: with the first one's reason.
    """
    allowed = found.settings.max_rejected
    if number <= allowed * found.plan.rows:
        return
    first = rejected[0]
    raise UserError(
        f"{number:,} of {found.plan.rows:,} rows do not fit the schema, where max_rejected is "
        f"{allowed:g}: the first is {first.where}: {first.reason}"
    )


def _figures(refresh: Refresh, scored: list[Scored], settings: Settings, past: Past) -> Metrics:
    """A refresh's figures; it is added to what is known of the refreshes before."""
    parts = pool_sums(refresh, scored, settings.row_schema, settings.cadence)
    sums = merge(one for _, one in sorted(parts, key=lambda part: order_sums(*part)))
    end = refresh.start + settings.cadence.every
    task = settings.row_schema.task
    found = compute_metrics(sums, refresh.start, end, past=past, task=task)
    past.add(None if sums.figures is None else sums.figures.summary())
    return found.model_copy(update={"files": None})


def _predictions(scored: list[Scored], schema: Schema) -> pa.Table:
    """A refresh's predictions in the order of (event time, row id)."""
    batches = [prediction_batch(one.asked(), schema) for one in scored]
    table = pa.Table.from_batches(batches, prediction_layout(schema))
    times, ids = table["time"].cast(pa.int64()).to_numpy(), table["id"].to_numpy()
    later = np.diff(times)
    if (later >= 0).all() and (np.diff(ids)[later == 0] > 0).all():
        return table  # to sort takes as long as to predict
    return table.take(np.lexsort((ids, times)))


class Backtest:
    """What a backtest has found.

    Attributes:
        settings: all options, with the window that was chosen if none was given.
        schema: what the columns mean.
        metrics: the figures of each refresh, as ``metrics/`` of a run has them (without files).
        models: the newest ``keep`` (3) models that have served, and the last one; ``keep=0``: all.
        skipped: the windows that made no model, and why.
        rejected: the first 1,000 rows that do not fit the schema, with the reason.
        messages: lines on what was read and taken for granted.
        cohorts: the figures of each refresh's questions, whenever their labels came, as
            ``cohorts/`` of a run has them; none unless labels have a time of their own.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: list[Metrics],
        pieces: list[pa.Table],
        replay: Replay,
        rejected: list[Reject],
        messages: tuple[str, ...],
        later: Later | None = None,
    ) -> None:
        self.settings = settings
        self.schema = settings.row_schema
        self.metrics = metrics
        self.models = Models(replay.models)
        self.skipped: list[Skipped] = replay.skipped
        self.rejected = rejected
        self.messages = messages
        self.fit_seconds = replay.fit_seconds
        self.cohorts: list[Cohort] = [] if later is None else later.cohorts
        self._outcomes = None if later is None else later.outcomes
        self._pieces = pieces

    @cached_property
    def reports(self) -> pa.Table:
        """A row a refresh: its times, model, counts and figures of its task.

        If labels have a time of their own, the figures of error are of those that became known in
        the refresh; ``cohorts`` has those of the questions that were asked in it.
        """
        fields = list(CLASS_FIGURES if self.schema.classifies else FIGURES)
        if self.schema.has_label_time:
            fields += [pa.field(name, pa.int64()) for name in LABEL_COUNTS]
        columns = {field.name: [getattr(m, field.name) for m in self.metrics] for field in fields}
        for name in ("refresh_start", "refresh_end"):
            texts = pa.array(columns[name], pa.string())
            columns[name] = texts.cast(pa.timestamp("us", "UTC"))
        return pa.table(columns, schema=pa.schema(fields))

    @cached_property
    def outcomes(self) -> pa.Table:
        """A row for each question that was answered, as in ``outcomes/`` of a run.

        They are in the order of (label time, id); there is none unless labels have a time.
        """
        if self._outcomes is None:
            return outcome_fields(self.schema).empty_table()
        return self._outcomes

    @cached_property
    def predictions(self) -> pa.Table:
        """A row for each accepted row, as in ``predictions/`` of a run, in the order of time.

        ``id`` is the row's number in the frame, from 0.
        """
        if not self._pieces:
            return prediction_layout(self.schema).empty_table()
        return pa.concat_tables(self._pieces)

    @cached_property
    def alerts(self) -> list[Alert]:
        """What is news beside its own past, refresh by refresh."""
        return list(replay_alerts(self.metrics, self.settings.alert_rules))

    def _pair_labels(self) -> tuple[Matrix, Matrix]:
        table = self.outcomes if self.schema.has_label_time else self.predictions
        target, made = (table[name].to_numpy() for name in ("target", "prediction"))
        both = np.isfinite(target) & np.isfinite(made)
        return target[both], made[both]

    @cached_property
    def mae(self) -> float | None:
        """The mean absolute error over all rows with a target that a model has predicted.

        None without any, and where the target is a class.
        """
        if self.schema.classifies:
            return None
        target, made = self._pair_labels()
        return float(np.abs(made - target).mean()) if len(target) else None

    @cached_property
    def log_loss(self) -> float | None:
        """The log loss over all rows with a class that a model has predicted.

        None without any, and where the target is a number.
        """
        return pool(self.metrics).mae if self.schema.classifies else None

    def __repr__(self) -> str:
        rows = format_count(sum(m.rows for m in self.metrics), "row")
        name, error = ("log loss", self.log_loss) if self.schema.classifies else ("MAE", self.mae)
        shown = "no row predicted" if error is None else f"{name} {error:.6g}"
        return f"<backtest of {rows}: {format_count(len(self.metrics), 'refresh')}, {shown}>"

    def _repr_html_(self) -> str:
        from pipeline.frames.html import backtest_html

        return backtest_html(self)
