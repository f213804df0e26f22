"""The whole job from Python, on a source of the user's own: ``run_on``.

``--source package.module:factory`` runs one from the command line. Either way the run's folder is
as any other run's: ``watch``, ``report``, ``serve``, ``models`` and ``--resume`` work on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam

from model.runs import RunFolder
from model.schema import Schema, as_schema
from pipeline.logs import without_noise
from pipeline.resuming import complete
from pipeline.run import run_settings
from pipeline.settings import OWN, settings_from
from pipeline.signals import interruptible


class JobFailed(Exception):
    """A job that failed, or of whose rows too many were rejected (``max_rejected``).

    What was complete before stays in its run's folder.
    """


def run_on(
    source: beam.PTransform[Any, Any] | str,
    schema: Schema | Mapping[str, Any] | str | Path,
    output: str | Path | None = None,
    *,
    beam_options: Sequence[str] = (),
    **options: Any,
) -> RunFolder:
    """Runs the whole job on the user's own source, to its end, as the command line does.

    The run's folder is opened and locked, progress is shown on standard error, and a summary is
    printed at the end.

    Args:
        source: a transform that gives rows (dicts, ``beam.Row`` or NamedTuples), or tagged raw
            batches if it declares ``pyarrow.RecordBatch`` as its output type; or the
            ``package.module:factory`` of one. A row whose event time is before its element's
            stamp is late (``transforms.sources.rows.FromRows``).
        schema: what the columns mean: a ``Schema``, its keys as a dict, or the path of a TOML file.
        output: the run's folder; None: a fresh one below ``runs/``.
        beam_options: Beam's own options, as on a command line.
        options: the command line's, by their names there with ``_`` for ``-``.

    Returns:
        The run's folder. Its ``reports()`` are the figures of each refresh.

    Raises:
        UserError: for what the caller can put right; nothing has run then.
        JobFailed: if the job failed, or rejected more rows than ``max_rejected`` allows.
        KeyboardInterrupt: if it was interrupted.

    Example:
        ``run_on(beam.Create(rows), "tides.toml", "runs/tides", window="1m", learner="ridge")``
    """
    named = source if isinstance(source, str) else OWN
    given = {**options, "source": named, "output": None if output is None else str(output)}
    values, _ = complete(given, beam_options)
    settings = settings_from(values, as_schema(schema))
    with interruptible(), without_noise():
        ended = run_settings(
            settings,
            list(beam_options),
            partial(_resume_call, named),
            None if isinstance(source, str) else source,
        )
    if ended.code > 128:
        raise KeyboardInterrupt
    if ended.code:
        raise JobFailed(f"{ended.error}; what was complete stays in {ended.folder.path}")
    return ended.folder


def _resume_call(source: str, options: Sequence[str]) -> str:
    """The call with which a run goes on."""
    folder = options[list(options).index("--output") + 1]
    named = "source" if source == OWN else repr(source)
    return f"run_on({named}, schema, {folder!r}, resume=True, ...)"
