"""``pipeline.sweep``: windows, cadences and learners side by side on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Matrix
from model.asof import Cadence
from model.batch import TIME_TYPE, column, event_times, row_ids
from model.errors import UserError
from model.labels import find_events
from model.replay import Refresh, Replay, Scored, TrainsOn
from model.schema import Schema
from model.validation import Reject
from model.wording import format_count
from pipeline.frames.backtesting import OPTIONS, check_options, refuse_rejects, replay_of
from pipeline.frames.guess import SchemaLike, read_frame
from pipeline.frames.learning import NamedLearner, parse_learner
from pipeline.frames.progress import bar
from pipeline.frames.rows import Input, prepare_input, refreshes
from pipeline.frames.tables import as_file, hide_path
from pipeline.settings import settings_from
from pipeline.window import option

ALL, STATIC = "all", "static"
"""Windows of another kind: all rows so far; and the first window alone, never trained again."""
LEARNERS = ("ridge", "boosting", "forest")
FEWEST_PERIODS = 5
"""With fewer periods than these no difference between two models is clear."""
CLEAR = 2.0
"""Standard errors by which two mean errors must differ to be called different."""
MOST = 200
"""Maximum number of contenders."""


def sweep(
    frame: Any,
    schema: SchemaLike = None,
    *,
    windows: Sequence[Any] | None = None,
    every: Any = None,
    learners: Sequence[Any] = LEARNERS,
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
) -> Sweep:
    """Backtests windows, cadences and learners side by side, and says whether retraining pays.

    Each combination is a ``backtest``, digit by digit. Two more stand beside them for each learner:
    one trained on all rows so far, and a static one, trained once on the first whole window of the
    longest length. All are compared on the rows that every one of them has predicted; where labels
    have a time of their own, on those whose label came within the wait.

    Args:
        frame: as for ``backtest``.
        schema: as for ``backtest``.
        windows: lengths, as ``["7d", "28d"]``; None: one that fits the rows, and four times
            that.
        every: how long a model serves, or several such; None: the shortest of the windows.
        learners: names, names with parameters as ``"boosting(max_iter=50)"``, or regressors.
        time: as for ``backtest``, as are the other keys of a schema.
        target: see ``time``.
        numeric: see ``time``.
        categorical: see ``time``.
        id: see ``time``.
        time_format: see ``time``.
        time_zone: see ``time``.
        label_time: see ``time``.
        wait: see ``time``.
        progress: whether a bar is shown; None: in a notebook or on a terminal.
        options: as for ``backtest``.

    Raises:
        UserError: for a table, a schema, a window, a learner or an option that will not do.

    Example:
        >>> import pandas as pd
        >>> hours = pd.date_range("2026-01-01", periods=2_000, freq="h")
        >>> frame = pd.DataFrame({"at": hours, "x": range(2_000), "y": range(0, 4_000, 2)})
        >>> found = sweep(frame, time="at", target="y", windows=["7d", "14d"], learners=["ridge"])
        >>> found.table.select(["learner", "window", "every"]).to_pylist()[0]
        {'learner': 'ridge', 'window': 'all', 'every': '7d'}
    """
    keys: dict[str, Any] = {"time": time, "target": target, "numeric": numeric}
    keys |= {"categorical": categorical, "id": id, "time_format": time_format}
    keys |= {"time_zone": time_zone, "label_time": label_time, "wait": wait}
    table, meaning = read_frame(frame, schema, keys)
    given = check_options(options, [name for name in OPTIONS if name not in ("window", "every")])
    with as_file(table, meaning) as path:
        plans = plan(path, meaning, windows, every, learners, given)
        with bar(plans.work, "sweep", progress) as done:
            return run(plans, done, lambda text: hide_path(text, path))


@dataclass(eq=False)
class Contender:
    """One combination of a learner, a window and a cadence.

    Attributes:
        learner: what is trained.
        window: its length as the user gave it, ``all`` or ``static``.
        every: how long a model serves, likewise.
        replay: what trains it.
        predictions: of all rows, by their ids; NaN where there is none.
    """

    learner: NamedLearner
    window: str
    every: str
    replay: Replay
    predictions: Matrix = field(default_factory=lambda: np.empty(0))

    @property
    def is_static(self) -> bool:
        """Whether it is trained once, and never again."""
        return self.window == STATIC

    @property
    def seconds(self) -> float:
        """How long its fits and predictions took."""
        return self.replay.fit_seconds + self.replay.score_seconds


class Plans(NamedTuple):
    """What a sweep runs.

    Attributes:
        inputs: the rows, cut for each cadence.
        contenders: those of each cadence.
        longest: the length of the window of the static models, as the user gave it.
    """

    inputs: list[Input]
    contenders: list[list[Contender]]
    longest: str

    @property
    def work(self) -> int:
        """How many rows are predicted in all."""
        rows = self.inputs[0].plan.rows
        return rows * sum(len(mine) for mine in self.contenders)


def plan(
    path: str,
    schema: Schema,
    windows: Sequence[Any] | None,
    every: Any,
    learners: Sequence[Any],
    options: dict[str, Any],
    progress: Callable[[str], None] = lambda line: None,
) -> Plans:
    """Looks through files, and makes the contenders.

    Args:
        path: a glob of files.
        schema: what the columns mean.
        windows: as for ``sweep``.
        every: as for ``sweep``.
        learners: as for ``sweep``.
        options: of the command line, by name.
        progress: takes a line, often, on how far the look through the files is.

    Raises:
        UserError: as ``sweep``.
    """
    if isinstance(learners, str) or not isinstance(learners, Iterable):
        learners = [learners]
    kinds = [parse_learner(learner) for learner in learners]
    if not kinds:
        raise UserError("learners: at least one is needed")
    if isinstance(windows, str) or (windows is not None and not isinstance(windows, Iterable)):
        windows = [windows]
    asked = None if windows is None else [one for one in windows if one not in (ALL, STATIC)]
    first = prepare_input(
        path, schema, {**options, "window": "auto"} if not asked else options, progress
    )
    if not first.plan.chunks:
        raise UserError("no row: at least one is needed")
    length = first.settings.window
    lengths = _seconds(asked or [length, *([4 * length] if windows is None else [])])
    cadences = _seconds(_as_list(every) or [min(lengths)])
    number = len(kinds) * len(cadences) * (len(lengths) + 2)
    if number > MOST:
        raise UserError(f"{number} combinations: must be at most {MOST}")
    inputs = []
    contenders = []
    base = {"latest": first.settings.latest, **options, "input": path, "schema_file": schema.name}
    for cadence in sorted(cadences):
        mine = []
        for kind, (window, trains_on) in product(kinds, _kinds(lengths)):
            given = {**base, "window": window, "every": cadence}
            given |= {"learner": kind.learner, "learner_param": kind.parameters}
            settings = settings_from(given, schema)
            replay = replay_of(settings, trains_on=trains_on, histograms=False, keep=1)
            title = {"all": ALL, "first": STATIC}.get(trains_on, option(window))
            mine.append(Contender(kind, title, option(cadence), replay))
        inputs.append(Input(first.plan, settings, first.messages[:1]))
        contenders.append(mine)
    return Plans(inputs, contenders, option(max(lengths)))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _seconds(lengths: Sequence[Any]) -> list[int]:
    """Durations as the command line takes them, each once, the shortest first."""
    found = {settings_from({"window": length}).window for length in lengths}
    return sorted(found)


def _kinds(lengths: Sequence[int]) -> list[tuple[int, TrainsOn]]:
    windows: list[tuple[int, TrainsOn]] = [(length, "window") for length in lengths]
    return [*windows, (max(lengths), "all"), (max(lengths), "first")]


def run(plans: Plans, done: Callable[[int], None], say: Callable[[str], str] = str) -> Sweep:
    """Runs the contenders over the rows.

    Args:
        plans: what ``plan`` returned.
        done: takes how many more rows were predicted.
        say: rewrites a message.

    Raises:
        UserError: if too many rows do not fit the schema, or none was predicted by all.
    """
    rows = plans.inputs[0].plan.rows
    times = np.full(rows, np.iinfo(np.int64).min)
    target = np.full(rows, np.nan)
    for found, contenders in zip(plans.inputs, plans.contenders, strict=True):
        rejected: list[Reject] = []
        for contender in contenders:
            contender.predictions = np.full(rows, np.nan)
        for refresh in refreshes(found, rejected.extend):
            _note(refresh, found, times, target)
            for contender in contenders:
                _keep(contender.replay.step(refresh), contender.predictions)
                done(sum(batch.num_rows for batch in refresh.batches))
        try:
            refuse_rejects(found, len(rejected), rejected)
        except UserError as error:
            raise UserError(say(str(error))) from error
    every = [contender for mine in plans.contenders for contender in mine]
    shortest = plans.inputs[0].settings.cadence
    messages = tuple(say(line) for line in plans.inputs[0].messages)
    return Sweep(every, times, target, shortest, plans.longest, messages)


def _note(refresh: Refresh, found: Input, times: Any, target: Matrix) -> None:
    schema = found.settings.row_schema
    for batch in refresh.batches:
        ids = row_ids(batch)
        times[ids] = event_times(batch)
        target[ids] = column(batch, schema.target)
        if schema.has_label_time:
            expired = ~find_events(batch, schema, refresh.start).answered
            target[ids[expired]] = np.nan


def _keep(scored: list[Scored], predictions: Matrix) -> None:
    for one in scored:
        if one.prediction is not None:
            predictions[row_ids(one.batch)] = one.prediction


class Verdict(NamedTuple):
    """Whether retraining pays.

    Attributes:
        pays: True, False, or None if no difference is clear.
        text: that in a sentence.
    """

    pays: bool | None
    text: str


RESULTS = pa.schema(
    [
        *((name, pa.string()) for name in ("learner", "window", "every")),
        ("rows", pa.int64()),
        *((name, pa.float64()) for name in ("mae", "rmse", "gain", "least")),
        ("models", pa.int64()),
        ("skipped", pa.int64()),
        ("seconds", pa.float64()),
    ]
)


class Sweep:
    """What a sweep has found.

    Attributes:
        contenders: those that were compared, the one of least error first.
        without: those that made no model in time, and are not compared.
        rows: how many rows all of them have predicted.
        longest: the length of the window that the static models were trained on.
        messages: lines on what was read.
    """

    def __init__(
        self,
        contenders: list[Contender],
        times: npt.NDArray[np.int64],
        target: Matrix,
        shortest: Cadence,
        longest: str,
        messages: tuple[str, ...],
    ) -> None:
        labelled = np.isfinite(target)
        able = [c for c in contenders if np.isfinite(c.predictions[labelled]).any()]
        self.without = [contender for contender in contenders if contender not in able]
        self.longest = longest
        self.messages = messages
        self._times, self._target = times, target
        if not able:
            raise UserError(
                "no combination has predicted any row with a target: the windows are too long for "
                "these rows, or hold fewer than min_rows"
            )
        common = labelled & np.all([np.isfinite(c.predictions) for c in able], axis=0)
        self.rows = int(common.sum())
        if not self.rows:
            raise UserError(
                "no row was predicted by all combinations: leave out those that predict late, as "
                f"the longest window ({longest})"
            )
        self._common = common
        errors = {id(c): np.abs(c.predictions[common] - target[common]) for c in able}
        self.contenders = sorted(able, key=lambda c: errors[id(c)].mean())
        self.errors = np.stack([errors[id(c)] for c in self.contenders])
        """Absolute errors of the compared rows, shape (contenders, rows)."""
        every, offset = shortest.every, shortest.offset
        starts = (times[common] - offset) // every * every + offset
        self.periods, self._place = np.unique(starts, return_inverse=True)
        """The starts of the periods, of the shortest cadence, that hold compared rows."""

    @cached_property
    def by_period(self) -> Matrix:
        """The mean absolute error of each period, shape (contenders, periods)."""
        counts = np.bincount(self._place)
        return np.stack([np.bincount(self._place, weights=row) / counts for row in self.errors])

    @cached_property
    def table(self) -> pa.Table:
        """A row a combination, the one of least error first.

        ``mae`` and ``rmse`` are over the rows that all have predicted; ``gain`` is how much less
        error it has than the static model of the same learner, as a share; ``least`` the share of
        the periods in which it had the least error of all; ``seconds`` those of its fits and
        predictions. Those that made no model in time are at the end, without figures.
        """
        best = self.by_period == self.by_period.min(axis=0)
        least = best.mean(axis=1)
        rows = [
            self._row(contender, errors, share)
            for contender, errors, share in zip(self.contenders, self.errors, least, strict=True)
        ]
        rows += [self._row(contender, None, None) for contender in self.without]
        return pa.Table.from_pylist(rows, RESULTS)

    def _row(
        self, contender: Contender, errors: Matrix | None, least: float | None
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "learner": contender.learner.title,
            "window": contender.window,
            "every": contender.every,
            "rows": 0 if errors is None else len(errors),
            "models": contender.replay.trained,
            "skipped": len(contender.replay.skipped),
            "seconds": round(contender.seconds, 3),
        }
        if errors is not None:
            row |= {"mae": float(errors.mean()), "rmse": float(np.sqrt(np.square(errors).mean()))}
            row |= {"gain": self._gain(contender, errors), "least": least}
        return row

    def _gain(self, contender: Contender, errors: Matrix) -> float | None:
        for other, theirs in zip(self.contenders, self.errors, strict=True):
            same = (other.learner, other.every) == (contender.learner, contender.every)
            if other.is_static and same:
                mean = float(theirs.mean())
                return 1 - float(errors.mean()) / mean if mean else None
        return None

    @property
    def best(self) -> Contender:
        """The combination of least error."""
        return self.contenders[0]

    def title(self, contender: Contender) -> str:
        """What a combination is called, as ``ridge 28d``; with its cadence if there are several."""
        name = f"{contender.learner.title} {contender.window}"
        several = len({one.every for one in (*self.contenders, *self.without)}) > 1
        return f"{name} every {contender.every}" if several else name

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the best that is retrained has clearly less error than the best static one."""
        trained = next((c for c in self.contenders if not c.is_static), None)
        static = next((c for c in self.contenders if c.is_static), None)
        if trained is None or static is None:
            missing = "retrained" if trained is None else "static"
            return Verdict(None, f"no {missing} model predicted these rows: nothing to compare")
        mine, theirs = (self.errors[self.contenders.index(c)] for c in (trained, static))
        ours, other = self.title(trained), f"{self.title(static)} (first {self.longest})"
        if len(self.periods) < FEWEST_PERIODS:
            number = format_count(len(self.periods), "period")
            return Verdict(None, f"{number} of rows are too few to say whether retraining pays")
        difference = theirs - mine
        sums = np.bincount(self._place, weights=difference - difference.mean())
        error = float(np.sqrt(np.square(sums).sum())) / len(difference)
        mean = float(difference.mean())
        if abs(mean) <= CLEAR * error:
            return Verdict(
                None, f"no clear difference between {ours} and {other}, which is never retrained"
            )
        winner, loser = (mine, theirs) if mean > 0 else (theirs, mine)
        share = f"{1 - winner.mean() / loser.mean():.1%}"
        if mean > 0:
            return Verdict(True, f"retraining pays: {ours} has {share} less error than {other}")
        return Verdict(
            False, f"retraining does not pay: {other} has {share} less error than {ours}"
        )

    @cached_property
    def predictions(self) -> pa.Table:
        """All rows in the order of their ids: id, time, target, and a column a combination."""
        seen = self._times > np.iinfo(np.int64).min
        columns = {
            "id": pa.array(np.flatnonzero(seen)),
            "time": pa.array(self._times[seen]).cast(TIME_TYPE),
            "target": pa.array(self._target[seen], from_pandas=True),
        }
        for contender in (*self.contenders, *self.without):
            columns[self.title(contender)] = pa.array(contender.predictions[seen], from_pandas=True)
        return pa.table(columns)

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON takes them."""
        return {
            "format": 1,
            "rows": self.rows,
            "periods": len(self.periods),
            "static_window": self.longest,
            "retraining_pays": self.verdict.pays,
            "verdict": self.verdict.text,
            "combinations": self.table.to_pylist(),
        }

    def __repr__(self) -> str:
        number = format_count(len(self.contenders) + len(self.without), "combination")
        rows = format_count(self.rows, "row")
        return f"<sweep of {number} on {rows}: {self.title(self.best)} has the least error>"

    def _repr_html_(self) -> str:
        from pipeline.frames.html import sweep_html

        return sweep_html(self)
