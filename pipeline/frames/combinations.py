"""What a sweep runs: each combination of a learner, a window and a cadence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from model.arrays import Matrix
from model.errors import UserError
from model.schema import Schema
from pipeline.frames.backtesting import replay_of
from pipeline.frames.learning import NamedLearner, parse_learner
from pipeline.frames.replay import Replay, TrainsOn
from pipeline.frames.rows import Input, prepare_input
from pipeline.settings import settings_from
from pipeline.window import option

ALL, STATIC = "all", "static"
"""Windows of another kind: all rows so far; and the first window alone, never trained again."""
LEARNERS = ("ridge", "boosting", "forest")
MOST = 200
"""Maximum number of combinations."""


@dataclass(eq=False)
class Combination:
    """One combination of a learner, a window and a cadence.

    Attributes:
        learner: what is trained.
        window: its length as the user gave it, ``all`` or ``static``.
        every: how long a model serves, likewise.
        replay: what trains it.
        predictions: of all rows, by their ids; NaN where there is none.
        skill_best: 1 - its error / that of the baseline that was the best of the refreshes before
            each, over the rows that it has predicted; None if there is none.
    """

    learner: NamedLearner
    window: str
    every: str
    replay: Replay
    predictions: Matrix = field(default_factory=lambda: np.empty(0))
    skill_best: float | None = None

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
        combinations: those of each cadence.
        longest: the length of the window of the static models, as the user gave it.
    """

    inputs: list[Input]
    combinations: list[list[Combination]]
    longest: str

    @property
    def work(self) -> int:
        """How many rows are predicted in all."""
        rows = self.inputs[0].plan.rows
        return rows * sum(len(mine) for mine in self.combinations)


def plan(
    path: str,
    schema: Schema,
    windows: Sequence[Any] | None,
    every: Any,
    learners: Sequence[Any],
    options: dict[str, Any],
    progress: Callable[[str], None] = lambda line: None,
) -> Plans:
    """Looks through files, and makes the combinations.

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
    if schema.classifies:
        raise UserError(
            "schema: task: windows and learners are compared by errors of numbers: must be "
            '"regression"; of classes, compare the log_loss of a pipeline.backtest of each'
        )
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
    combinations = []
    base = {"latest": first.settings.latest, **options, "input": path, "schema_file": schema.name}
    for cadence in sorted(cadences):
        mine = []
        for kind, (window, trains_on) in product(kinds, _kinds(lengths)):
            given = {**base, "window": window, "every": cadence}
            given |= {"learner": kind.learner, "learner_param": kind.parameters}
            settings = settings_from(given, schema)
            replay = replay_of(settings, trains_on=trains_on, histograms=False, keep=1)
            title = {"all": ALL, "first": STATIC}.get(trains_on, option(window))
            mine.append(Combination(kind, title, option(cadence), replay))
        inputs.append(Input(first.plan, settings, first.messages[:1]))
        combinations.append(mine)
    return Plans(inputs, combinations, option(max(lengths)))


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
