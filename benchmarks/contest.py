"""The contest: all contenders do the same work in turns, several times; rates are ratios."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.contenders import Contender, Job, Loop, Peer, Work, once
from benchmarks.measure import Measured, Pair

RIDGE = Work("ridge", 100_000, 4_000_000, 20_000_000)
FOREST = Work("forest", 10_000, 50_000, 400_000)
SHARES = {
    "ridge": {"direct": 0.5, "prism": 0.25, "flink": 0.15},
    "forest": {"direct": 0.9, "prism": 0.9, "flink": 0.9},
}
"""Of the plain loop's rate so much must be reached on each runner."""
GATED = 0.7
"""With the gate, which is on by default, the ridge must reach so much of its rate without it."""
TIMES = {
    "ridge": {"Bytewax": 4.0, "Spark foreachBatch": 10.0, "row-by-row Beam": 300.0},
    "forest": dict.fromkeys(peers.PEERS, 1.0),
}
"""So many times a peer's rate the job must reach on the embedded runner."""

GATED_JOB = Job("direct", "auto")


@dataclass
class Entry:
    """A contender with its work, and what was measured.

    Attributes:
        contender, work: who does what.
        share: the least share of the plain loop's rate that is allowed.
        pairs: a small and a large run, one pair a repetition; the loop has more.
        ratios: of each pair its rate by the plain loop's beside it.
    """

    contender: Contender
    work: Work
    share: float | None = None
    pairs: list[Pair] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Rows per second of added work."""
        return [pair.rate(self.work.large - self.work.small) for pair in self.pairs]

    @property
    def startups(self) -> list[float]:
        """Seconds that no row takes."""
        return [pair.startup(self.work.small, self.work.large) for pair in self.pairs]

    @property
    def peak(self) -> int:
        """The most bytes that its process held over the large file."""
        return max(pair.large.peak for pair in self.pairs)

    @property
    def held(self) -> bool | None:
        """Whether the median ratio reaches its share; None: nothing is asked."""
        return None if self.share is None else statistics.median(self.ratios) >= self.share


def entries(ridge: Work, forest: Work, names: list[str]) -> list[Entry]:
    """All entries whose contender's name holds one of the words (all, of none), the loops first.

    Args:
        ridge: the loop's and the job's work with that learner; a peer has its own.
        forest: the same.
        names: words to choose by, as ``direct`` or ``Spark``.
    """
    made = [Entry(Loop(), ridge), Entry(Loop(), forest)]
    for work in (ridge, forest):
        shares = SHARES[work.learner]
        made += [Entry(Job(runner), work, share) for runner, share in shares.items()]
        made.append(Entry(GATED_JOB, work))
    for name, peer in peers.PEERS.items():
        made += [Entry(Peer(name), Work(learner, *own)) for learner, own in peer.sizes.items()]
    return [
        one
        for one in made
        if isinstance(one.contender, Loop)
        or not names
        or any(word.lower() in one.contender.name.lower() for word in names)
    ]


class Contest:
    """Repetitions of all entries.

    Attributes:
        entries: the two loops first.
        folder: for the files.
        tell: shows a line of progress.
    """

    def __init__(self, entries: list[Entry], folder: Path, tell: Callable[[str], None]) -> None:
        self.entries = entries
        self.folder = folder
        self.tell = tell
        self._maes: dict[tuple[str, int, int], list[float]] = {}

    def repeat(self, number: int) -> None:
        """One repetition: each entry in turn, beginning with another one each time.

        Machines change pace from one minute to the next, so who takes the loop's windows has a
        loop beside it: the loop's small file, its own two, the loop's large one. For the others,
        tens of times slower, the loop's last rate does.

        Raises:
            RuntimeError: if one fails, or does not do the plain loop's work.
        """
        loops, others = self.entries[:2], self.entries[2:]
        for loop in loops:
            self._note(loop, loop, self._pair(loop))
        turn = number % len(others) if others else 0
        for entry in (*others[turn:], *others[:turn]):
            loop = next(one for one in loops if one.work.learner == entry.work.learner)
            if number == 0 and entry.contender.warms_up:
                self._once(entry, entry.work.small)
            if entry.work.window == loop.work.window:
                small = self._once(loop, loop.work.small)
                pair = self._pair(entry)
                beside = Pair(small, self._once(loop, loop.work.large))
                self._note(loop, loop, beside)
            else:
                pair = self._pair(entry)
            self._note(entry, loop, pair)

    def _note(self, entry: Entry, loop: Entry, pair: Pair) -> None:
        entry.pairs.append(pair)
        entry.ratios.append(entry.rates[-1] / loop.rates[-1])
        self.tell(
            f"{entry.work.learner}: {entry.contender.name}: {entry.rates[-1]:,.0f} rows/s, "
            f"{entry.ratios[-1]:.4f} of the loop, start-up {entry.startups[-1]:.1f} s"
        )

    def _pair(self, entry: Entry) -> Pair:
        return Pair(*(self._once(entry, rows) for rows in entry.work[2:]))

    def _once(self, entry: Entry, rows: int) -> Measured:
        work = entry.work
        maes = [] if isinstance(entry.contender, Loop) else self.find_maes(work, rows)
        done = once(entry.contender, work, rows, self.folder, maes)
        if isinstance(entry.contender, Loop):
            self._maes[work.learner, work.window, rows] = read_maes(done)
        return done

    def find_maes(self, work: Work, rows: int) -> list[float]:
        """The plain loop's MAEs of such work; it is run if it has not been."""
        key = work.learner, work.window, rows
        if key not in self._maes:
            self._maes[key] = read_maes(once(Loop(), work, rows, self.folder, []))
        return self._maes[key]


def read_maes(done: Measured) -> list[float]:
    """What the plain loop printed."""
    messages: list[float] = json.loads(done.output.splitlines()[-1])
    return messages


def times(entries: list[Entry]) -> list[tuple[str, str, float, float]]:
    """By peer: the learner, the name, how many times its rate the job has, and must have.

    Both rates as shares of the loop's beside them: so they are comparable whenever they were
    measured.
    """
    found = []
    for entry in entries:
        learner = entry.work.learner
        asked = TIMES[learner].get(entry.contender.name)
        mine = find_job(entries, learner)
        if asked is not None and mine is not None:
            factor = statistics.median(mine.ratios) / statistics.median(entry.ratios)
            found.append((learner, entry.contender.name, factor, asked))
        if entry.contender == GATED_JOB and learner == "ridge" and mine is not None:
            factor = statistics.median(entry.ratios) / statistics.median(mine.ratios)
            found.append((learner, "itself without the gate", factor, GATED))
    return found


def find_job(entries: list[Entry], learner: str) -> Entry | None:
    """The job's entry with a learner, on the embedded runner, without the gate."""
    for one in entries:
        if one.contender == Job("direct") and one.work.learner == learner:
            return one
    return None
