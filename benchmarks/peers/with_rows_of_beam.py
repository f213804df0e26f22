"""Beam, row by row: the same runner as the job's, but each row is an element of its own.

As its documentation has it: ``ReadFromParquet`` gives a dict a row; rows are stamped, windowed,
grouped; a window's model is stamped with the window's end, so that the rows of the next window
find it as their side input (the pattern "slowly updating side input using windowing").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io import ReadFromParquet
from apache_beam.pvalue import AsSingleton
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.combiners import TupleCombineFn
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue

from benchmarks.data import FEATURES
from benchmarks.loop import Floats, Window
from benchmarks.peers.work import Done, Model, Work, parse_work, predict, train

Row = dict[str, Any]


def features(rows: list[Row]) -> Floats:
    """The features of rows, of shape (rows, columns)."""
    return np.array([[row[name] for name in FEATURES] for row in rows])


class Train(beam.DoFn):
    """Trains a window's model, and stamps it so that it falls into the next window."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def process(
        self, keyed: tuple[str, Iterable[Row]], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[TimestampedValue[Model]]:
        """One model."""
        rows = sorted(keyed[1], key=itemgetter("time"))
        values = Window(features(rows), np.array([row["y"] for row in rows]))
        number = int(window.start) // self._work.window
        yield TimestampedValue(train(self._work, values, number), window.end)


def judge(row: Row, model: Model | None) -> tuple[int, int, float]:
    """One row: how many rows, how many scored, their absolute error."""
    if model is None:
        return 1, 0, 0.0
    return 1, 1, abs(row["y"] - float(predict(model, features([row]))[0]))


def build(root: beam.Pipeline, work: Work) -> Any:
    """The graph; what comes out is one (rows, scored, error)."""
    rows = (
        root
        | ReadFromParquet(str(work.input))
        | "Stamp" >> beam.Map(lambda row: TimestampedValue(row, row["time"].timestamp()))
        | beam.WindowInto(FixedWindows(work.window))
    )
    models = (
        rows
        | beam.WithKeys("all")
        | beam.GroupByKey()
        | beam.ParDo(Train(work))
        | "NextWindow" >> beam.WindowInto(FixedWindows(work.window))
    )
    return (
        rows
        | "Judge" >> beam.Map(judge, AsSingleton(models, default_value=None))
        | "AllWindows" >> beam.WindowInto(GlobalWindows())
        | beam.CombineGlobally(TupleCombineFn(sum, sum, sum))
    )


def tell(sums: tuple[int, int, float], work: Work) -> None:
    """Prints the line of what was done; the models are counted by their files."""
    rows, scored, error = sums
    print(Done(rows, scored, len(list(work.output.glob("*.joblib"))), error).line(), flush=True)


if __name__ == "__main__":
    asked_for = parse_work(__doc__)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        build(pipeline, asked_for) | "Tell" >> beam.Map(tell, asked_for)
