"""The test kit's other half: runs the whole job on some rows. See ``transforms.testing``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from apache_beam.testing.test_stream import TestStream

from model import files
from model.batch import SECOND
from model.rows import Row
from model.runs import RunFolder
from pipeline.graph import build
from pipeline.settings import settings_from
from transforms.testing import FromBatches, batches, embedded, streamed


def run_graph(
    rows: Sequence[Row],
    folder: str,
    source: Callable[[list[pa.RecordBatch]], Any] = FromBatches,
    **options: Any,
) -> RunFolder:
    """Runs the whole job on rows, in this process: learners, transforms, sinks and all.

    Args:
        rows: dicts by column, in the order of their arrival; a row's id is its index. A row
            that is more than ``disorder`` behind the greatest time before it is late.
        folder: the run's folder, an empty one.
        source: what makes a source of the batches: ``FromBatches``, or ``replay`` to see
            time go by.
        options: the command line's, by their names there with ``_`` for ``-``
            (``schema_file`` for ``--schema``, without which rows are people). ``min_rows`` is 1
            unless it is given: tests have few rows.

    Returns:
        The folder. Its ``reports()`` are the figures of each refresh.

    Raises:
        UserError: if an option is not allowed.

    Example:
        >>> import tempfile
        >>> rows = [{"timestamp": t, "salario": 1000.0 + t, "idade": t % 60, "idh": 0.7,
        ...          "estado": "Bahia", "cargo": "Ator"} for t in range(120)]
        >>> run = run_graph(rows, tempfile.mkdtemp(), learner="ridge", window=60)
        >>> [(report.rows, report.scored) for report in run.reports()]
        [(60, 0), (60, 60)]
    """
    settings = settings_from({"min_rows": 1, **options, "output": folder})
    cadence, disorder = settings.cadence, settings.disorder * SECOND
    made = batches(
        *(rows, settings.row_schema, cadence.latency),
        *(settings.batch_rows, disorder, cadence.offset),
    )
    events = source(made)
    files.make_folder(folder)
    with streamed() if isinstance(events, TestStream) else embedded() as pipeline:
        build(pipeline, events, settings, RunFolder(folder))
    return RunFolder(folder)
