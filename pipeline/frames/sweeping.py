"""``pipeline.sweep``: windows, cadences and learners side by side on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from model.arrays import Matrix
from model.batch import column, event_times, row_ids
from model.errors import UserError
from model.labels import find_events
from model.pooling import pool_skill_best
from model.validation import Reject
from pipeline.frames.backtesting import OPTIONS, Book, check_options, refuse_rejects
from pipeline.frames.combinations import LEARNERS, Plans, plan
from pipeline.frames.comparison import Sweep
from pipeline.frames.guess import SchemaLike, read_frame
from pipeline.frames.progress import bar
from pipeline.frames.replay import Refresh, Scored
from pipeline.frames.rows import Input, refreshes
from pipeline.frames.tables import as_file, hide_path


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


def run(plans: Plans, done: Callable[[int], None], say: Callable[[str], str] = str) -> Sweep:
    """Runs the combinations over the rows.

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
    for found, combinations in zip(plans.inputs, plans.combinations, strict=True):
        rejected: list[Reject] = []
        for combination in combinations:
            combination.predictions = np.full(rows, np.nan)
        books = [Book(found.settings) for _ in combinations]
        for refresh in refreshes(found, rejected.extend):
            _note(refresh, found, times, target)
            for combination, book in zip(combinations, books, strict=True):
                scored = combination.replay.step(refresh)
                book.add(refresh, scored)
                _keep(scored, combination.predictions)
                done(sum(batch.num_rows for batch in refresh.batches))
        for combination, book in zip(combinations, books, strict=True):
            combination.skill_best = pool_skill_best(book.metrics(found.until))
        try:
            refuse_rejects(found, len(rejected), rejected)
        except UserError as error:
            raise UserError(say(str(error))) from error
    every = [combination for mine in plans.combinations for combination in mine]
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
