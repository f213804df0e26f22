"""Baselines: what is predicted without a model, which a model has to beat.

* ``mean``: the mean target of the window that the model was trained on;
* ``last``: the target of the row before, in its own partition or of its own entity;
* ``season``: the mean target of the model's window in the same slot of a season.

Where the target is a class, ``shares`` takes the place of ``mean``: the class shares of the model's
window; ``last`` is sure of the class of the row before. Their errors are log losses.

``last`` needs the row before, which may lie in another batch, or in a refresh long ago. So each
part of a stream is a ``Chain``: what is known of its inside, and its first and last targets. Chains
merge as the parts follow each other, batches in a refresh and refreshes in a run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import fsum, log
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from model.arrays import Matrix
from model.batch import Key
from model.blocks import Places, find_starts, number_blocks, sum_blocks
from model.exact import Exact, add_exactly, sum_exactly
from model.groups import Named

Ints = npt.NDArray[np.int64]

BASELINES = ("mean", "last", "season")
"""The names of all baselines; of those that are equally good the first is the best."""
CLASS_BASELINES = ("shares", "last")
"""The same where the target is a class."""
LEAST = 1e-15
"""Least probability of which a logarithm is taken."""
MISSED = -log(LEAST)
"""The log loss of a row whose class had no probability."""
Target: TypeAlias = float | str
"""A number, or the name of a class."""
REMEMBERED = 20
"""Number of refreshes before a refresh whose errors choose its best baseline."""


class Tally(NamedTuple):
    """The error of a baseline over some rows.

    Attributes:
        rows: for how many it predicts anything.
        absolute: the sum of |target - prediction| over these: exact within a refresh, rounded once
            for later ones.
    """

    rows: int = 0
    absolute: float | Exact = 0.0

    def add(self, other: Tally) -> Tally:
        """The error over both."""
        return Tally(self.rows + other.rows, self.absolute + other.absolute)

    @property
    def mae(self) -> float | None:
        """The mean absolute error; None without a row."""
        return float(self.absolute) / self.rows if self.rows else None

    def field(self) -> list[Any]:
        """The error as JSON has it, to the last digit."""
        return [self.rows, (Exact() + self.absolute).field()]

    @classmethod
    def of_field(cls, field: list[Any]) -> Tally:
        """The error of its field."""
        rows, absolute = field
        return cls(rows, Exact.of_field(absolute))

    def rounded(self) -> Tally:
        """The same with a rounded sum."""
        return Tally(self.rows, float(self.absolute))


def miss(target: Target, predicted: Target) -> float:
    """The error of a prediction: the distance of two numbers; of classes 1 if they differ.

    Example:
        >>> miss(3.0, 1.0), miss("no", "yes")
        (2.0, 1.0)
    """
    if isinstance(target, str) or isinstance(predicted, str):
        return float(target != predicted)
    return abs(target - predicted)


class Chain(NamedTuple):
    """Rows that follow each other, of one entity or several.

    Attributes:
        inner: the error of predicting each scored row by the row before it in here (``miss``).
        firsts: of each entity whose first row in here was scored, its target: what came before
            it is not known in here.
        lasts: of each entity, the target of its last row.
    """

    inner: Tally = Tally()
    firsts: Mapping[str, Target] = {}
    lasts: Mapping[str, Target] = {}

    def merge(self, other: Chain) -> Chain:
        """Both parts, where the other one follows this one."""
        met = [name for name in other.firsts if name in self.lasts]
        errors = (Exact.of(miss(other.firsts[e], self.lasts[e])) for e in met)
        between = Tally(len(met), sum_exactly(errors))
        still = {name: first for name, first in other.firsts.items() if name not in self.lasts}
        return Chain(
            self.inner.add(other.inner).add(between),
            {**self.firsts, **still},
            {**self.lasts, **other.lasts},
        )

    def rounded(self) -> Chain:
        """The same with a rounded sum, and entities in the order of their names."""
        firsts, lasts = (dict(sorted(each.items())) for each in (self.firsts, self.lasts))
        return Chain(self.inner.rounded(), firsts, lasts)


class Link(NamedTuple):
    """A batch's chain and its place among those of its refresh.

    Attributes:
        place: the start of its serve window, then its key. Batches are cut at the edges of serve
            windows, so this order is one of rows, however the rows are cut into batches.
        chain: of its rows that have a target.
    """

    place: tuple[int, int, int, int]
    chain: Chain


def join_links(links: Iterable[Link]) -> Chain:
    """The chain of all links, in the order of their places."""
    ordered = sorted(links, key=lambda link: link.place)
    return reduce(Chain.merge, (link.chain for link in ordered), Chain())


def dump_links(links: Iterable[Link]) -> list[Any]:
    """Links as JSON has them, to the last digit."""
    return [[place, [inner.field(), firsts, lasts]] for place, (inner, firsts, lasts) in links]


def load_links(fields: Iterable[Any]) -> tuple[Link, ...]:
    """Links of their fields, as JSON has them."""
    return tuple(Link(_place(place), _chain(*chain)) for place, chain in fields)


def _place(place: list[int]) -> tuple[int, int, int, int]:
    slot, partition, start, part = place
    return slot, partition, start, part


def _chain(inner: list[Any], firsts: Mapping[str, Target], lasts: Mapping[str, Target]) -> Chain:
    return Chain(Tally.of_field(inner), firsts, lasts)


Targets: TypeAlias = Matrix | npt.NDArray[np.object_]
"""Numbers, or the names of classes; shape (rows,)."""


def _follow(target: Targets) -> Matrix:
    """The error of predicting each row but the first by the one before it."""
    if target.dtype == object:
        return np.asarray(target[1:] != target[:-1], np.float64)
    return np.abs(np.diff(target))


def _plain(target: Any) -> Target:
    return target if isinstance(target, str) else float(target)


def make_chain(target: Targets, scored: bool, entity: str, ids: Ints | None = None) -> Chain:
    """The chain of rows of one entity.

    Args:
        target: shape (rows,), in their order, without NaN or null.
        scored: whether a model has predicted them.
        entity: its name.
        ids: of the rows, by which they lie in blocks; None: they are one block.

    Example:
        >>> make_chain(np.array([1.0, 4.0, 2.0]), True, "0").rounded()
        Chain(inner=Tally(rows=2, absolute=5.0), firsts={'0': 1.0}, lasts={'0': 2.0})
    """
    if not len(target):
        return Chain()
    lasts = {entity: _plain(target[-1])}
    if not scored:
        return Chain(lasts=lasts)
    starts = find_starts(ids, len(target))
    errors = np.append(0.0, _follow(target))
    inner = Tally(len(target) - 1, _sum_steps(errors, errors[starts], starts))
    return Chain(inner, {entity: _plain(target[0])}, lasts)


def _sum_steps(errors: Matrix, between: Matrix, starts: Places) -> Exact:
    """The sum of steps from one row to the next: those within blocks, and each between two.

    Args:
        errors: of the step to each row; a row of ``starts`` counts as 0.
        between: of the steps between blocks.
        starts: where blocks begin.
    """
    errors[starts] = 0.0
    return sum_blocks(errors, starts) + add_exactly(between)


def make_chains(target: Targets, scored: bool, entities: Named, ids: Ints | None = None) -> Chain:
    """The chain of rows of several entities.

    Args:
        target: shape (rows,), in their order, without NaN or null.
        scored: whether a model has predicted them.
        entities: of each row; one without an entity has no row before it.
        ids: of the rows, by which they lie in blocks; None: they are one block.

    Example:
        >>> entities = Named(np.array([0, 1, 0]), ["a", "b"])
        >>> chain = make_chains(np.array([1.0, 4.0, 2.0]), True, entities)
        >>> chain.inner.rounded(), dict(chain.lasts)
        (Tally(rows=1, absolute=1.0), {'a': 2.0, 'b': 4.0})
    """
    known = entities.codes >= 0
    codes, target = entities.codes[known], target[known]
    if not len(target):
        return Chain()
    begins = find_starts(None if ids is None else ids[known], len(target))
    blocks = number_blocks(begins, len(target))
    order = np.argsort(codes, kind="stable")
    codes, target, blocks = codes[order], target[order], blocks[order]
    same = codes[1:] == codes[:-1]
    ends = np.flatnonzero(np.append(~same, True))
    starts = np.append(0, ends[:-1] + 1)
    names = [entities.names[code] for code in codes[ends].tolist()]
    lasts = dict(zip(names, target[ends].tolist(), strict=True))
    if not scored:
        return Chain(lasts=lasts)
    steps = _follow(target)
    near = same & (blocks[1:] == blocks[:-1])
    # Back in the order of rows: that of entities' names is the batch's.
    errors = np.zeros(len(target))
    errors[order[1:][near]] = steps[near]
    absolute = sum_blocks(errors, begins) + add_exactly(steps[same & ~near])
    inner = Tally(int(np.count_nonzero(same)), absolute)
    return Chain(inner, dict(zip(names, target[starts].tolist(), strict=True)), lasts)


class Before(NamedTuple):
    """Where the rows of a batch stand, by which the row before each is found.

    Attributes:
        slot: the start of the batch's serve window, microseconds.
        key: the batch's.
        entities: of each row; None: a partition has its rows in one line.
    """

    slot: int
    key: Key
    entities: Named | None = None

    def links(
        self,
        target: Targets,
        labelled: npt.NDArray[np.bool_],
        scored: bool,
        ids: Ints | None = None,
    ) -> tuple[Link, ...]:
        """The batch's link; none if it has no target.

        Args:
            target: of the labelled rows.
            labelled: which rows have a target, shape (rows,).
            scored: whether a model has predicted them.
            ids: of the labelled rows, by which they lie in blocks; None: they are one block.
        """
        if not len(target):
            return ()
        place = (self.slot, *self.key)
        if self.entities is None:
            return (Link(place, make_chain(target, scored, str(self.key.partition), ids)),)
        return (Link(place, make_chains(target, scored, self.entities.take(labelled), ids)),)


class RefreshSummary(NamedTuple):
    """What later refreshes need of one.

    Attributes:
        labelled: scored rows with a target that count in it.
        tallies: the errors of the baselines but ``last``, by name.
        chain: that of ``last``.
    """

    labelled: int = 0
    tallies: Mapping[str, Tally] = {}
    chain: Chain = Chain()

    def as_fields(self) -> dict[str, Any]:
        """The summary as JSON has it, to the last digit."""
        return {
            "labelled": self.labelled,
            "baselines": {name: list(tally) for name, tally in self.tallies.items()},
            "last": {
                "inner": list(self.chain.inner),
                "firsts": dict(self.chain.firsts),
                "lasts": dict(self.chain.lasts),
            },
        }

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> RefreshSummary:
        """The summary of its fields."""
        last = fields["last"]
        chain = Chain(Tally(*last["inner"]), last["firsts"], last["lasts"])
        tallies = {name: Tally(*tally) for name, tally in fields["baselines"].items()}
        return cls(fields["labelled"], tallies, chain)


@dataclass
class Past:
    """What is known of the refreshes before one.

    Attributes:
        lasts: the newest target of each entity.
        recent: the errors of all baselines in the newest ``REMEMBERED`` refreshes that had any,
            with how many scored rows had a target.
    """

    lasts: dict[str, Target] = field(default_factory=dict)
    recent: deque[tuple[int, Mapping[str, Tally]]] = field(
        default_factory=lambda: deque(maxlen=REMEMBERED)
    )

    def follow(self, chain: Chain) -> Tally:
        """The error of ``last`` in the refresh that follows; of classes how many are missed."""
        met = [name for name in chain.firsts if name in self.lasts]
        between = fsum(miss(chain.firsts[name], self.lasts[name]) for name in met)
        return chain.inner.add(Tally(len(met), between))

    def tally(self, summary: RefreshSummary) -> dict[str, Tally]:
        """The errors of all baselines in the refresh that follows; of classes log losses."""
        last = self.follow(summary.chain)
        if "shares" in summary.tallies:
            last = Tally(last.rows, float(last.absolute) * MISSED)
        return {**summary.tallies, "last": last}

    def add(self, summary: RefreshSummary | None) -> None:
        """Takes in the refresh that follows; None: it leaves nothing."""
        if summary is None:
            return
        if summary.labelled:
            self.recent.append((summary.labelled, self.tally(summary)))
        self.lasts.update(summary.chain.lasts)

    def best(self) -> str | None:
        """The baseline of least error over the refreshes before; None if there is none.

        One that predicts fewer than half of the rows is not compared with those of all rows.
        """
        rows = sum(labelled for labelled, _ in self.recent)
        errors = {}
        for name in (*CLASS_BASELINES[:1], *BASELINES):
            tallies = [found[name] for _, found in self.recent if name in found]
            total = Tally(sum(t.rows for t in tallies), fsum(t.absolute for t in tallies))
            if total.mae is not None and 2 * total.rows >= rows:
                errors[name] = total.mae
        return min(errors, key=errors.__getitem__, default=None)
