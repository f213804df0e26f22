"""Spark Structured Streaming: a file source, ``foreachBatch``, pandas in the driver.

As its documentation has it: ``readStream`` with a schema, ``trigger(availableNow=True)``, and a
function that takes each micro-batch as a DataFrame; Arrow makes it a pandas one. A folder with a
file a window is read by ``maxFilesPerTrigger``, a window a micro-batch; a file is one micro-batch,
all of which the driver holds. The function cuts the rows by event time and keeps the window that
has not ended yet for the next micro-batch. Two local cores, as the forest has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from benchmarks.data import FEATURES
from benchmarks.loop import Window
from benchmarks.peers.work import Done, Turn, Work, parse_work

COLUMNS = ", ".join(f"{name} DOUBLE" for name in ("y", *FEATURES))


def session(folder: Path, more: dict[str, str] | None = None) -> Any:
    """A local session that says only what went wrong, and writes below the folder alone."""
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.log.level": "ERROR",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        **(more or {}),
    }
    return SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()


@dataclass
class Windows:
    """The function for ``foreachBatch``.

    Attributes:
        work: what was asked for.
        turn: who takes the windows.
        open: the rows of the window that has not ended yet.
    """

    work: Work
    turn: Turn
    open: list[Any] = field(default_factory=list)

    def __call__(self, batch: Any, _: int) -> None:
        """Takes a micro-batch; every window that it ends is scored and trained on."""
        frame = pd.concat([*self.open, batch.toPandas().sort_values("time", kind="stable")])
        starts = frame["time"].dt.floor(f"{self.work.window}s")
        *ended, (_, last) = list(frame.groupby(starts))
        for _, rows in ended:
            self.turn.take(as_window(rows))
        self.open = [last]

    def finish(self) -> None:
        """Takes the last window, when the stream has ended."""
        for rows in self.open:
            self.turn.take(as_window(rows))


def as_window(rows: Any) -> Window:
    """A window's rows as arrays."""
    features = np.ascontiguousarray(rows[list(FEATURES)].to_numpy())
    return Window(features, rows["y"].to_numpy())


def stream(work: Work) -> str:
    """Runs the query to the end of the file; gives the line of what was done."""
    spark = session(work.output / "spark")
    source = spark.readStream.schema(f"time TIMESTAMP, {COLUMNS}").option("maxFilesPerTrigger", 1)
    if work.input.is_dir():
        events = source.parquet(str(work.input))
    else:
        events = source.option("pathGlobFilter", work.input.name).parquet(str(work.input.parent))
    line = take_all(events, work)
    spark.stop()
    return line


def take_all(events: Any, work: Work) -> str:
    """Takes the windows of a stream of rows to its end; gives the line of what was done."""
    windows = Windows(work, Turn(work, Done()))
    writer = events.writeStream.foreachBatch(windows).trigger(availableNow=True)
    writer.option("checkpointLocation", str(work.output / "checkpoint")).start().awaitTermination()
    windows.finish()
    return windows.turn.done.line()


if __name__ == "__main__":
    print(stream(parse_work(__doc__)))
