"""How often alerts are false, and how soon true ones come.

    python -m benchmarks.alerts

Streams are made by numpy: rows of two numbers and a category, and a target. In each refresh a line
fitted to the refreshes before predicts it, and the refresh's figures are those of a report, by the
functions that make reports. In streams that do not change each alert is a false one. In others a
change is planted: it counts as found if within three refreshes an alert names it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.alerts import Alert, find_alerts
from model.asof import format_iso
from model.batch import SECOND
from model.changes import AlertRules, Thresholds
from model.drift import make_profile, measure_drift
from model.encoder import Encoder, standardization
from model.memory import Memory, join, remember
from model.metrics import Metrics
from model.statistics import summarize

Vector = npt.NDArray[np.float64]

HOUR = 3_600 * SECOND
ROWS = 60
"""Number of rows of a refresh."""
WINDOW = 12
"""Number of refreshes that a model is trained on."""
REFRESHES = 240
"""Number of refreshes of a stream."""
PLANTED = 150
"""The refresh in which a change begins."""
SOON = 3
"""Number of refreshes in which it has to be found."""
KINDS = 5
RULES = AlertRules(Thresholds(0.25, 0.5), "y", HOUR)
START = 1_767_225_600 * SECOND


class Rows(NamedTuple):
    """The rows of a stream, shape (refreshes, rows); kinds are whole numbers from 0 on."""

    x: Vector
    z: Vector
    kind: npt.NDArray[np.int64]
    y: Vector


def autoregression(rng: np.random.Generator, size: int, phi: float) -> Vector:
    """A series x[t] = phi x[t-1] + e[t], of variance 1."""
    steps = rng.normal(size=size) * np.sqrt(1 - phi * phi)
    series = np.empty(size)
    last = rng.normal()
    for place, step in enumerate(steps):
        series[place] = last = phi * last + step
    return series


def make_rows(rng: np.random.Generator, level: Any, wave: Any) -> Rows:
    """Rows around levels by refresh; the target is a line of both numbers and a kind's effect."""
    shape = (len(level), ROWS)
    x = 10 + 2 * (level[:, None] + rng.normal(size=shape))
    z = 5 + wave[:, None] + rng.normal(size=shape)
    kind = rng.integers(0, KINDS, size=shape)
    y = 100 + 3 * x + 2 * z + 2.0 * kind + 6 * rng.normal(size=shape)
    return Rows(x, z, kind, y)


def shuffled(rng: np.random.Generator) -> Rows:
    """Levels that stay."""
    return make_rows(rng, np.zeros(REFRESHES), np.zeros(REFRESHES))


def wandering(phi: float) -> Callable[[np.random.Generator], Rows]:
    """Levels that are autoregressions."""

    def made(rng: np.random.Generator) -> Rows:
        return make_rows(rng, *(autoregression(rng, REFRESHES, phi) for _ in "xz"))

    return made


def daily(amplitude: float) -> Callable[[np.random.Generator], Rows]:
    """Levels that have days, and wander a little."""

    def made(rng: np.random.Generator) -> Rows:
        hour = 2 * np.pi * (np.arange(REFRESHES) / 24 + rng.uniform())
        wander = autoregression(rng, REFRESHES, 0.8)
        return make_rows(rng, amplitude * np.sin(hour), amplitude * np.cos(hour) + 0.5 * wander)

    return made


def office(rng: np.random.Generator) -> Rows:
    """Levels of a working day and a night, and an error that is larger by day."""
    day = (np.arange(REFRESHES) + rng.integers(24)) % 24 < 9
    rows = make_rows(rng, 2.0 * day, autoregression(rng, REFRESHES, 0.5))
    return rows._replace(y=rows.y + 6 * day[:, None] * rng.normal(size=rows.y.shape))


def noisy(rng: np.random.Generator) -> Rows:
    """An error whose size wanders: a log-normal AR(1)."""
    rows = make_rows(rng, *(autoregression(rng, REFRESHES, 0.5) for _ in "xz"))
    size = np.exp(0.4 * autoregression(rng, REFRESHES, 0.9))[:, None]
    return rows._replace(y=rows.y + 6 * size * rng.normal(size=rows.y.shape))


STREAMS: dict[str, Callable[[np.random.Generator], Rows]] = {
    "shuffled": shuffled,
    "AR(1), 0.5": wandering(0.5),
    "AR(1), 0.9": wandering(0.9),
    "AR(1), 0.99": wandering(0.99),
    "daily, gentle": daily(1.0),
    "daily, steep": daily(4.0),
    "day and night": office,
    "error that wanders": noisy,
}
"""Streams that do not change."""


def late(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where a planted change is: from the middle of its first refresh on."""
    found = np.zeros(shape, bool)
    found[PLANTED:] = True
    found[PLANTED, : ROWS // 2] = False
    return found


def shift_x(rows: Rows) -> Rows:
    """Eight standard deviations of the rows of a refresh."""
    return rows._replace(x=rows.x + 16 * late(rows.x.shape))


def rescale_x(factor: float, offset: float = 0.0) -> Callable[[Rows], Rows]:
    """Another unit."""

    def change(rows: Rows) -> Rows:
        return rows._replace(x=np.where(late(rows.x.shape), factor * rows.x + offset, rows.x))

    return change


def blank_x(rows: Rows) -> Rows:
    """A third of the values are null."""
    odd = late(rows.x.shape) & (np.arange(ROWS) % 3 == 0)
    return rows._replace(x=np.where(odd, np.nan, rows.x))


def new_kind(rows: Rows) -> Rows:
    """A quarter of the rows have a category that was never there."""
    odd = late(rows.x.shape) & (np.arange(ROWS) % 4 == 0)
    return rows._replace(kind=np.where(odd, KINDS, rows.kind))


def flip_target(rows: Rows) -> Rows:
    """The sign turns."""
    return rows._replace(y=np.where(late(rows.y.shape), -rows.y, rows.y))


def flip_centred(rows: Rows) -> Rows:
    """The target is mirrored about its mean: its distribution stays."""
    centre = rows.y.mean()
    return rows._replace(y=np.where(late(rows.y.shape), 2 * centre - rows.y, rows.y))


def shift_target(rows: Rows) -> Rows:
    """A constant is added."""
    return rows._replace(y=rows.y + 30 * late(rows.y.shape))


CHANGES: dict[str, tuple[Callable[[Rows], Rows], str, frozenset[str]]] = {
    "shift of a column": (shift_x, "x", frozenset({"mean_shift"})),
    "unit, x 1000": (rescale_x(1000.0), "x", frozenset({"unit"})),
    "unit, x 2.54": (rescale_x(2.54), "x", frozenset({"unit"})),
    "unit, x 1.8 + 32": (rescale_x(1.8, 32.0), "x", frozenset({"unit"})),
    "nulls": (blank_x, "x", frozenset({"nulls"})),
    "new category": (new_kind, "kind", frozenset({"new_values"})),
    "target flipped": (flip_target, "y", frozenset({"flipped", "bias"})),
    "target flipped about its mean": (flip_centred, "y", frozenset({"flipped"})),
    "target shifted": (shift_target, "y", frozenset({"bias"})),
}
"""Planted changes: what is done to rows, and which alert has to come."""


def report(rows: Rows, place: int) -> Metrics | None:
    """The report of a refresh; None without rows to train on before it."""
    if not place:
        return None
    before = slice(max(0, place - WINDOW), place)
    x, z, y = (column[before].ravel() for column in (rows.x, rows.z, rows.y))
    kind = rows.kind[before].ravel()
    means, scales = standardization([summarize(x), summarize(z)])
    kinds = np.unique(kind)
    encoder = Encoder(("x", "z"), means, scales, {"kind": tuple(map(str, kinds))})

    def encode(x: Vector, z: Vector, kind: npt.NDArray[np.int64]) -> Vector:
        scores = np.nan_to_num((np.stack([x, z], axis=1) - means) / scales)
        hot = kind[:, None] == kinds
        return np.hstack([scores, hot, ~hot.any(axis=1, keepdims=True)])

    matrix = encode(x, z, kind)
    ridge = 1e-3 * len(y) * np.eye(matrix.shape[1])
    weights = np.linalg.solve(matrix.T @ matrix + ridge, matrix.T @ (y - y.mean()))
    profile = make_profile(matrix, matrix @ weights + y.mean(), encoder).with_units(encoder)
    x, z, target = rows.x[place], rows.z[place], rows.y[place]
    now = encode(x, z, rows.kind[place])
    prediction = now @ weights + y.mean()
    nulls = [int(np.isnan(x).sum()), int(np.isnan(z).sum()), 0]
    found = profile.histogram(np.ascontiguousarray(now[:, :2].T), now, prediction, nulls)
    error = prediction - target
    start = START + place * HOUR
    figures: dict[str, Any] = {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "bias": float(error.mean()),
        "slope": float(np.cov(prediction, target)[0, 1] / prediction.var(ddof=1)),
    }
    return Metrics.model_construct(
        refresh_start=format_iso(start),
        model="m",
        scored=len(target),
        labelled=len(target),
        drift=measure_drift(found, profile),
        **figures,
    )


def alerts_of(
    rows: Rows, first: int = 0, last: int = REFRESHES
) -> Iterator[tuple[int, list[Alert]]]:
    """The alerts of the refreshes of a stream, from one to before another."""
    made = ((place, report(rows, place)) for place in range(min(last, len(rows.x))))
    memory = join(remember(one) for _, one in made if one is not None)
    places = [int((start - START) // HOUR) for start in memory.starts]
    for number, place in enumerate(places):
        if place >= first:
            low = max(0, number - RULES.remembered)
            known = Memory(
                memory.names, memory.starts[low : number + 1], memory.values[low : number + 1]
            )
            yield place, find_alerts(known, "m", RULES)


def count_false(
    stream: Callable[[np.random.Generator], Rows], seeds: range
) -> tuple[int, int, list[str]]:
    """How many refreshes after the first 20 have an alert, of how many; and the alerts' lines."""
    false, all_of_them, lines = 0, 0, []
    for seed in seeds:
        for place, found in alerts_of(stream(np.random.default_rng(seed))):
            all_of_them += place >= 20
            held = [one for one in found if one.state != "over"]
            false += bool(held)
            lines += [f"{seed}: {one}" for one in held if one.state == "new"]
    return false, all_of_them, lines


def count_found(
    stream: Callable[[np.random.Generator], Rows], change: str, seeds: range
) -> tuple[int, list[str]]:
    """In how many streams the change is found soon and named; and what was found in the others."""
    alter, column, names = CHANGES[change]
    found, missed = 0, []
    for seed in seeds:
        rows = alter(stream(np.random.default_rng(seed)))
        alerts = [
            one
            for _, some in alerts_of(rows, PLANTED, PLANTED + SOON)
            for one in some
            if one.column == column and one.state != "over"
        ]
        if any(one.what in names for one in alerts):
            found += 1
        else:
            missed.append(f"{seed}: {[str(one) for one in alerts]}")
    return found, missed


def main() -> None:
    """Prints a table of false alarms, and one of planted changes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="streams of each kind")
    parser.add_argument("--show", action="store_true", help="shows what was found, or was not")
    options = parser.parse_args()
    seeds = range(options.seeds)
    print(
        "| stream | refreshes with an alert, of those after the first 20 | share |\n|---|---|---|"
    )
    for name, stream in STREAMS.items():
        false, refreshes, lines = count_false(stream, seeds)
        print(f"| {name} | {false} of {refreshes:,} | {false / refreshes:.5f} |", flush=True)
        if options.show:
            print("\n".join(lines))
    print(
        "\n| change | " + " | ".join(PLANTED_IN) + " |\n|---" * 1 + "|---" * len(PLANTED_IN) + "|"
    )
    for change in CHANGES:
        cells = []
        for name in PLANTED_IN:
            found, missed = count_found(STREAMS[name], change, seeds)
            cells.append(f"{found} of {len(seeds)}")
            if options.show and missed:
                print(name, change, *missed, sep="\n   ")
        print(f"| {change} | {' | '.join(cells)} |", flush=True)


PLANTED_IN = ("shuffled", "AR(1), 0.5", "AR(1), 0.9", "daily, gentle", "day and night")
"""The streams in which changes are planted."""

if __name__ == "__main__":
    main()
