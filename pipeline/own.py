"""The user's own source: a Beam transform that gives rows, run as the command line runs others.

``run_on`` runs the job on one from Python; ``--source package.module:factory`` runs one from the
command line. Either way the run's folder is as any other run's: ``watch``, ``report``, ``serve``,
``models`` and ``--resume`` work on it.
"""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PBegin
from typing_extensions import override

from model.asof import parse_name
from model.errors import UserError
from model.latest import default_latest
from model.loading import import_lock
from model.runs import RunFolder
from model.schema import Schema, load_schema, schema_of
from model.store import is_name
from pipeline.logs import without_noise
from pipeline.resuming import complete
from pipeline.settings import OWN, Settings, settings_from
from pipeline.source import ALL, Span, span_of
from transforms.counters import count
from transforms.elements import RawBatch
from transforms.sources.read import PlannedSource
from transforms.sources.rows import FromRows


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
    from pipeline.run import run_settings  # here, since that module imports this one
    from pipeline.signals import interruptible

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


def as_schema(schema: Schema | Mapping[str, Any] | str | Path) -> Schema:
    """A schema, of what ``run_on`` takes as one.

    Raises:
        UserError: if it is none.
    """
    if isinstance(schema, Schema):
        return schema
    if isinstance(schema, Mapping):
        return schema_of(dict(schema), "schema")
    return load_schema(str(schema))


def _resume_call(source: str, options: Sequence[str]) -> str:
    """The call with which a run goes on."""
    folder = options[list(options).index("--output") + 1]
    named = "source" if source == OWN else repr(source)
    return f"run_on({named}, schema, {folder!r}, resume=True, ...)"


def make(name: str, parameters: Mapping[str, Any], settings: Settings) -> Any:
    """The source that a factory makes.

    Args:
        name: ``package.module:factory``.
        parameters: ``--source-param``: what the factory is called with.
        settings: all options: given to a factory that has a parameter of that name.

    Raises:
        UserError: if there is no such factory, or it makes no source.
    """
    factory = _import(name)
    given = dict(parameters)
    try:
        if "settings" in inspect.signature(factory).parameters:
            given["settings"] = settings
        source = factory(**given)
    except Exception as error:  # whatever a factory raises of its parameters
        raise UserError(f"--source {name}: {_first_line(error)}") from error
    if not isinstance(source, beam.PTransform):
        raise UserError(
            f"--source {name}: gives a {type(source).__name__}: must be a Beam PTransform"
        )
    return source


def _import(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        with import_lock():
            factory = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a module raises when it is loaded
        raise UserError(f"--source {path}: cannot be imported: {_first_line(error)}") from error
    if not callable(factory):
        raise UserError(f"--source {path}: is no factory of a source: it cannot be called")
    result: Callable[..., Any] = factory
    return result


def _first_line(error: Exception) -> str:
    message = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {message}"


class OwnSource(beam.PTransform[PBegin, beam.PCollection[RawBatch]]):
    """The user's source as a source of the job: tagged raw batches.

    Its PCollection may say too much: a source that ends though Beam calls it unbounded has
    ``bounded = True``, one that gives the same rows again on another run ``resumable = True``.

    Attributes:
        source: gives rows, or batches.
        settings: all options.
        latest: rows after it are rejected, microseconds: the option or, once this has been
            applied, a day after the launch if the source ends; None: none are.
    """

    def __init__(
        self, source: beam.PTransform[PBegin, beam.PCollection[object]], settings: Settings
    ) -> None:
        super().__init__()
        self.source = source
        self.settings = settings
        self.latest = settings.latest_time

    @override
    def expand(self, root: PBegin) -> beam.PCollection[RawBatch]:
        name, settings = self.settings.source, self.settings
        try:
            rows = root | "Own" >> self.source
        except UserError:
            raise
        except Exception as error:  # whatever building it raises
            raise UserError(f"--source {name}: cannot be built: {_first_line(error)}") from error
        if not isinstance(rows, beam.PCollection):
            raise UserError(
                f"--source {name}: gives a {type(rows).__name__}: must be one PCollection of rows"
            )
        bounded = getattr(self.source, "bounded", rows.is_bounded)
        self._check(bounded)
        if bounded and self.latest is None:
            self.latest = default_latest(time.time())
        if rows.element_type != pa.RecordBatch:
            return rows | FromRows(
                settings.row_schema,
                settings.cadence.latency,
                batch_rows=settings.batch_rows,
                latest=self.latest,
                offset=settings.cadence.offset,
            )
        if isinstance(self.source, PlannedSource):
            return rows
        return rows | "Count" >> beam.Map(count_read).with_output_types(pa.RecordBatch)

    def _check(self, bounded: bool) -> None:
        settings = self.settings
        if bounded or isinstance(self.source, PlannedSource):
            return
        if settings.runner == "direct":
            raise UserError(
                f"--source {settings.source}: has no end: the embedded runner (--runner direct) "
                "needs one; use --runner prism"
            )
        if settings.resume and not getattr(self.source, "resumable", False):
            raise UserError(
                f"--resume: the source {settings.source} has no end, so it cannot be read again "
                "from its beginning; set resumable = True on one that gives the same rows again"
            )


def count_read(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Counts the rows of a batch as read, and passes it on."""
    count("rows read", batch.num_rows)
    return batch


def own_source(
    source: beam.PTransform[Any, Any], settings: Settings, folder: RunFolder
) -> tuple[OwnSource, Span]:
    """The user's source, and what of it is trained on and reported.

    A run that is resumed reads it from its beginning again, and reports from the first refresh
    on that has no report after the first one that has.
    """
    return OwnSource(source, settings), _span(settings, folder)


def _span(settings: Settings, folder: RunFolder) -> Span:
    first = _first(folder) if settings.resume else None
    if first is None:
        return ALL
    found = span_of(first, None, settings, folder, busy=lambda refresh: True)
    return found._replace(extent=ALL.extent)


def _first(folder: RunFolder) -> int | None:
    """The start of the first refresh that a run has written anything of, microseconds."""
    rejected = [PurePath(path).parent.name for path in folder.reject_files()]
    names = [*folder.report_names(), *folder.samples(), *folder.prediction_files(), *rejected]
    return min((parse_name(name) for name in names if is_name(name)), default=None)
