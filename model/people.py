"""Synthetic people: rows that can be made anywhere, in any order, and are always the same.

The records of the project's forerunner (``Faker("pt_BR")``) as an endless table: row i is a pure
function of the settings and i. Faker only fills pools of names, cities, states and jobs, once a
process; rows draw from them by a counter-based generator (SplitMix64 over seed, field and index:
Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). Figures
are made by ``+ - * /`` and rounding alone, which give the same digits on every processor;
library sines and exponentials need not.

In the ``original`` kind salario is independent of everything, so no model can learn it. In
the ``learnable`` kind it rises with idade (ever more slowly) and with idh, has a factor for each
estado and each cargo, and noise. It drifts with event time: the factor of each cargo swings with
a phase of its own in 15 to 30 minutes, and all salaries swing together in three hours. A model
that is not retrained is soon worth little.

The ``classes`` kind is the learnable one with two columns more: ``contratado``, ``sim`` or ``nao``,
more probable the higher the expected salary is (its square over that plus the square of
``FAIR``), and ``faixa``, the band of the salary (``BANDS``). Both drift as salaries do.

``cidade`` is drawn without regard to ``estado``, as in the original: it need not lie there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import ID, LATE, SECOND, TIME, TIME_TYPE
from model.durations import parse_duration
from model.errors import UserError
from model.schema import Features, Schema

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint64]

KINDS = ("learnable", "original", "classes")
SCHEMA = Schema(
    name="people",
    time="timestamp",
    target="salario",
    features=Features(numeric=("idade", "idh"), categorical=("estado", "cargo")),
)
CLASSES = SCHEMA.model_copy(
    update={"target": "contratado", "task": "classification", "positive": "sim"}
)
"""The schema of the ``classes`` kind."""
FIELDS = (
    *("nome", "idade", "salario", "cidade", "estado", "cargo", "idh"),
    *("latitude", "longitude", "timestamp", "geracao_id"),
)
"""The columns of a person, in order."""
CLASS_FIELDS = ("contratado", "faixa")
"""Further columns of the ``classes`` kind."""
FAIR = 7_000.0
"""The expected salary for which ``contratado`` is as likely ``sim`` as ``nao``."""
BANDS = {"alta": 9_000.0, "baixa": 0.0, "media": 5_000.0}
"""The bands of ``faixa``, each with its least salary."""
ANSWERED = "respondido"
"""A further column, of people whose salary is known later than they come: when it is."""
PERSON = "pessoa"
"""A further column of these: which person it is, by which an answer finds its question."""
APART = "people"
"""What ``--labels`` is where the salaries of people are a stream of their own."""

SILENT = 0.02
"""The share of people whose salary is never known, where it is known later."""
TARDY = 0.01
"""The share of rows that come later than ``disorder`` allows."""

JOBS_SWING, ALL_SWING, ALL_PERIOD = 0.3, 0.1, 3 * 3600 * SECOND
"""How far salaries drift: by 30 % in each job, by 10 % all together, in three hours."""


def parse_delays(text: str | None) -> tuple[int, int] | None:
    """The least and the greatest of two durations, microseconds; None of none.

    Raises:
        ValueError: if they are none.

    Example:
        >>> parse_delays("0s..5m"), parse_delays(None)
        ((0, 300000000), None)
    """
    if text is None:
        return None
    least, _, greatest = text.partition("..")
    return parse_duration(least) * SECOND, parse_duration(greatest) * SECOND


@dataclass(frozen=True)
class People:
    """An endless table of people, and the order in which they arrive.

    Rows arrive in the order of their index, each at its nominal time. With ``disorder`` the
    event time is a delay before that: for 99 rows in 100 up to ``disorder``, for the others
    up to three times as much. The source's watermark is the nominal time less ``disorder``;
    a row whose event time is before it is late, and counts at the watermark's time.

    Attributes:
        kind: ``learnable``, ``original`` or ``classes``.
        seed: any integer; another seed gives other pools and other rows.
        rate: rows per second of event time, as the decimal number that it is printed as.
        start: nominal time of row 0, microseconds since the epoch.
        disorder: microseconds, 0 or more.
        delay: how long after their event time salaries are known, from the least to the greatest,
            microseconds; None: at once. Of some people (``SILENT``) they never are.

    Raises:
        UserError: if the kind is unknown, or rate, disorder or delay is out of range.

    Example:
        >>> people = People("learnable", seed=42, rate=250, start=0)
        >>> people.rows(1000, 1010, ["idade", "salario"]).schema.names
        ['__id', '__time', '__late', 'idade', 'salario']
        >>> people.rows(1000, 1010).slice(4, 2) == people.rows(1004, 1006)
        True
        >>> people.time(500), people.index_at(2_000_000)
        (2000000, 500)
    """

    kind: str
    seed: int
    rate: float
    start: int
    disorder: int = 0
    delay: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"people {self.kind!r}: must be {', '.join(KINDS[:-1])} or {KINDS[-1]}")
        if not 0 < self.rate <= 1e9:
            raise UserError(f"rate {self.rate}: must be above 0 and at most 1e9 rows a second")
        if self.disorder < 0:
            raise UserError(f"disorder {self.disorder}: must be 0 microseconds or more")
        if self.delay is not None and not 0 <= self.delay[0] <= self.delay[1]:
            raise UserError(f"delay {self.delay}: must be from 0 to more microseconds, or the same")

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns of a person."""
        own = (*FIELDS, *CLASS_FIELDS) if self.kind == "classes" else FIELDS
        return own if self.delay is None else (*own, ANSWERED, PERSON)

    def rows(self, first: int, stop: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """The rows from ``first`` to before ``stop``: the first part of ``arrivals``."""
        return self.arrivals(first, stop, columns)[0]

    def arrivals(
        self, first: int, stop: int, columns: Sequence[str] | None = None
    ) -> tuple[pa.RecordBatch, Ints]:
        """The rows from ``first`` to before ``stop``, and where each counts in time.

        Args:
            first: index of the first row, 0 or more.
            stop: index after the last row, up to 2**53, in the year 294,000 at the latest
                (an int64 of microseconds); no row if not above ``first``.
            columns: the fields to make, of ``fields``; None for all.

        Returns:
            A raw batch without a tag (``__id``, ``__time``, ``__late``, then the fields in
            the order asked for), and the rows' stamps in microseconds: the event time, or,
            for a late row, the source's watermark when it arrives.

        Raises:
            UserError: if people have no such column.
        """
        draw = _Draw(self, *self._number(first, stop))
        late = pa.array(draw.delay > self.disorder)
        return self._batch(draw, "timestamp", late, columns), draw.stamps

    def answers(
        self, among: tuple[int, int], span: tuple[int, int], asked: int, columns: Sequence[str]
    ) -> pa.RecordBatch:
        """The people whose salary becomes known in a span of time: a batch of their labels.

        Args:
            among: between which indices people are looked at (``asked_before``).
            span: from when, and until before when, microseconds.
            asked: people that are stamped before have no question, and are left out.
            columns: the fields to make.

        Returns:
            A raw batch without a tag, as of ``rows``; ``__time`` is when the salary is known.
        """
        draw, (begin, end) = _Draw(self, *self._number(*among)), span
        known = draw.times + draw.wait
        draw = draw.take(~draw.silent & (known >= begin) & (known < end) & (draw.stamps >= asked))
        never = pa.array(np.zeros(len(draw.index), np.bool_))
        return self._batch(draw, ANSWERED, never, columns)

    def asked_before(self, begin: int, end: int) -> tuple[int, int]:
        """Between which indices the people lie whose salary is known in a span of time."""
        assert self.delay is not None
        least, greatest = self.delay
        return self.index_at(begin - greatest), self.index_at(end - least + 3 * self.disorder)

    def _number(self, first: int, stop: int) -> tuple[Ints, Ints]:
        """The indices and nominal times of a range of rows."""
        index: Ints = np.arange(first, stop, dtype=np.int64)
        return index, self.start + _floor_multiples(self.step, first, len(index))

    def _batch(
        self, draw: _Draw, time: str, late: pa.Array, columns: Sequence[str] | None
    ) -> pa.RecordBatch:
        arrays = {ID: pa.array(draw.index), TIME: draw.column(time), LATE: late}
        for name in self.fields if columns is None else columns:
            arrays[name] = draw.column(name)
        return pa.RecordBatch.from_pydict(arrays)

    @property
    def step(self) -> Fraction:
        """Microseconds from one row's nominal time to the next one's, exact."""
        return SECOND / Fraction(str(self.rate))

    def time(self, index: int) -> int:
        """The nominal time of row ``index``, microseconds since the epoch, rounded down."""
        return self.start + math.floor(index * self.step)

    def index_at(self, time: int) -> int:
        """The least index whose nominal time is ``time`` (microseconds) or later."""
        return max(0, math.ceil((time - self.start) / self.step))


class _Draw:
    """The figures of some rows, drawn when first asked for."""

    def __init__(self, people: People, index: Ints, nominal: Ints) -> None:
        self.people = people
        self.pools = _pools(people.seed)
        self.index = index
        self.nominal = nominal

    def take(self, chosen: npt.NDArray[np.bool_]) -> _Draw:
        """Those of some of the rows."""
        return _Draw(self.people, self.index[chosen], self.nominal[chosen])

    def column(self, name: str) -> pa.Array:
        """The field of that name."""
        if name not in self.people.fields:
            raise UserError(f"column {name!r}: people have {', '.join(self.people.fields)}")
        if name in self.pools.words:
            codes = pa.array(self.places(name).astype(np.int32))
            return pa.DictionaryArray.from_arrays(codes, self.pools.words[name])
        if name == PERSON:
            return pa.array(self.index)
        if name in ("latitude", "longitude"):
            return pa.nulls(len(self.index), pa.float64())
        if name == "timestamp":
            return pa.array(self.times).view(TIME_TYPE)
        if name == ANSWERED:
            return pa.array(self.times + self.wait, mask=self.silent).view(TIME_TYPE)
        if name in CLASS_FIELDS:
            return self._classes(name)
        if name == "salario" and self.people.delay is not None:
            return pa.array(self.salario, mask=self.silent)
        return pa.array(getattr(self, name))

    def _classes(self, name: str) -> pa.Array:
        if name == "contratado":
            squared = np.square(self._expected())
            hired = self.uniform("hired") * (squared + FAIR * FAIR) < squared
            names, codes = ["nao", "sim"], hired.astype(np.int32)
        else:
            salary = self.salario
            names, codes = sorted(BANDS), np.ones(len(salary), np.int32)  # baixa
            codes[salary >= BANDS["media"]] = 2
            codes[salary >= BANDS["alta"]] = 0
        mask = None if self.people.delay is None else self.silent
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=mask), pa.array(names))

    def places(self, name: str) -> Ints:
        """Where in its pool the rows' value of that field stands."""
        return self.below(len(self.pools.words[name]), name)

    def below(self, bound: int, stream: str) -> Ints:
        """Integers from 0 to before ``bound`` (far below 2**32)."""
        # The high half of a product, in place of a remainder: no division.
        scaled = (self.bits(stream) >> np.uint64(32)) * np.uint64(bound)
        return (scaled >> np.uint64(32)).view(np.int64)

    def uniform(self, stream: str) -> Floats:
        """Numbers from 0 to before 1."""
        return (self.bits(stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def bell(self, stream: str) -> Floats:
        """Nearly normal numbers of mean 0 and variance 1: sums of four uniform ones."""
        bits = self.bits(stream)
        parts = [(bits >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
        return (sum(parts[1:], parts[0]) / 65_535.0 - 2.0) * math.sqrt(3.0)

    def bits(self, stream: str) -> Bits:
        return _bits(self.people.seed, stream, self.index)

    @cached_property
    def delay(self) -> Ints:
        """Microseconds from event time to arrival; above ``disorder`` for late rows."""
        most = self.people.disorder
        if not most:
            return np.zeros(len(self.index), np.int64)
        share = self.uniform("delay")
        tardy = most + 1 + np.floor(share * (2 * most))
        delay = np.where(self.uniform("tardy") < TARDY, tardy, np.floor(share * (most + 1)))
        return delay.astype(np.int64)

    @property
    def wait(self) -> Ints:
        """Microseconds from event time until the salary is known."""
        assert self.people.delay is not None
        least, greatest = self.people.delay
        share = self.uniform("answer")
        return least + np.floor(share * (greatest - least + 1)).astype(np.int64)

    @property
    def silent(self) -> npt.NDArray[np.bool_]:
        """Whose salary is never known."""
        return self.uniform("silent") < SILENT

    @property
    def times(self) -> Ints:
        """Event times, microseconds."""
        return self.nominal - self.delay

    @property
    def stamps(self) -> Ints:
        """Where the rows count in time: those that are late where the watermark stands."""
        return np.maximum(self.times, self.nominal - self.people.disorder)

    @property
    def geracao_id(self) -> Ints:
        return (self.nominal - self.people.start) // SECOND

    @cached_property
    def idade(self) -> Ints:
        return 18 + self.below(63, "idade")

    @cached_property
    def idh(self) -> Floats:
        return (500 + self.below(401, "idh")) / 1000.0

    @property
    def salario(self) -> Floats:
        if self.people.kind == "original":
            return (150_000 + self.below(1_350_001, "salario")) / 100.0
        noise = 0.2 * self.bell("salario")
        grown = self._expected() * (1 + noise + noise * noise / 2)
        return np.rint(grown * 100) / 100

    def _expected(self) -> Floats:
        """What a learnable salario would be without noise."""
        life = (self.idade - 18) / 62
        pay = 3000 * (0.7 + life * (1.2 - 0.6 * life)) * (0.6 + 0.5 * self.idh)
        estado, cargo = self.places("estado"), self.places("cargo")
        period = self.pools.periods[cargo]
        job = 1 + JOBS_SWING * _wave(self.times + self.pools.phases[cargo], period)
        everyone = 1 + ALL_SWING * _wave(self.times, ALL_PERIOD)
        return pay * self.pools.states[estado] * self.pools.jobs[cargo] * job * everyone


@dataclass(frozen=True)
class _Pools:
    """What the rows of one seed draw from, and what its places are worth.

    Attributes:
        words: the values of each field of text.
        states, jobs: a factor of salario for each estado and cargo.
        periods, phases: microseconds, how each cargo's factor swings.
    """

    words: dict[str, pa.Array]
    states: Floats
    jobs: Floats
    periods: Ints
    phases: Ints


@lru_cache(maxsize=8)
def _pools(seed: int) -> _Pools:
    from faker import Faker  # slow to import: only who makes rows pays for it

    fake = Faker("pt_BR")
    fake.seed_instance(seed)
    words = {
        "nome": _draw_distinct(fake.name, 2000),
        "cidade": _draw_distinct(fake.city, 500),
        "estado": _draw_distinct(fake.estado_nome, 600),
        "cargo": _draw_distinct(fake.job, 200).slice(0, 40),
    }
    states, jobs = len(words["estado"]), len(words["cargo"])
    phases = _bits(seed, "phases", np.arange(jobs)) % np.uint64(1800 * SECOND)
    return _Pools(
        words,
        0.8 + 0.4 * _shuffle_evenly(seed, "states", states),
        0.5 + 2.0 * _shuffle_evenly(seed, "jobs", jobs) ** 2,
        ((900 + 900 * _shuffle_evenly(seed, "periods", jobs)) * SECOND).astype(np.int64),
        phases.astype(np.int64),
    )


def _draw_distinct(draw: Callable[[], str], times: int) -> pa.Array:
    """What comes of drawing so many times, without repeats, in order."""
    return pa.array(dict.fromkeys(draw() for _ in range(times)), pa.string())


def _shuffle_evenly(seed: int, stream: str, count: int) -> Floats:
    """Numbers evenly spaced from 0 to 1, shuffled."""
    places = np.argsort(_bits(seed, stream, np.arange(count)), kind="stable")
    return places / (count - 1)


def _bits(seed: int, stream: str, index: Ints) -> Bits:
    """64 random bits for each index: SplitMix64, keyed by the seed and the stream's name."""
    gamma = np.uint64(0x9E3779B97F4A7C15)
    name = int.from_bytes(stream.encode(), "little")  # names have eight letters at most
    key = _splitmix64(_splitmix64(np.array([seed % 2**64], np.uint64)) + np.uint64(name))
    return _splitmix64(key + index.view(np.uint64) * gamma)


def _splitmix64(bits: Bits) -> Bits:
    """SplitMix64's finaliser."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _wave(time: Ints, period: Ints | int) -> Floats:
    """A wave from -1 to 1, much like a sine, made of parabolas; microseconds."""
    place = time % period / period * 2 - 1
    wave: Floats = 4 * place * (1 - np.abs(place))
    return wave


def _floor_multiples(step: Fraction, first: int, count: int) -> Ints:
    """``floor(i * step)`` for ``count`` numbers i from ``first`` on, exact."""
    top, bottom = step.numerator, step.denominator
    whole, rest = divmod(top, bottom)
    piece = 2**62 // bottom  # k * rest stays below 2**62: no int64 overflows
    floors = np.empty(count, np.int64)
    for low in range(0, count, piece):
        base, carry = divmod((first + low) * top, bottom)
        k = np.arange(min(piece, count - low), dtype=np.int64)
        floors[low : low + piece] = base + k * whole + (carry + k * rest) // bottom
    return floors
