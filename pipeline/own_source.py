"""The user's own source as a source of the job: a Beam transform of rows, or its factory."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import PurePath
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
from model.store import is_name
from pipeline.settings import Settings
from pipeline.source import ALL, Span, span_of
from transforms.counters import count
from transforms.elements import RawBatch
from transforms.sources.ending import WriteStreamEnd
from transforms.sources.read import PlannedSource
from transforms.sources.rows import FromRows


def call_factory(name: str, parameters: Mapping[str, Any], settings: Settings) -> Any:
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
        raise UserError(f"--source {path}: is not a factory of a source: it cannot be called")
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
        until: the file that has the stream's end, if labels have a time.
        latest: rows after it are rejected, microseconds: the option or, once this has been
            applied, a day after the launch if the source ends; None: none are.
    """

    def __init__(
        self,
        source: beam.PTransform[PBegin, beam.PCollection[object]],
        settings: Settings,
        until: str,
    ) -> None:
        super().__init__()
        self.source = source
        self.settings = settings
        self.until = until
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
        batches = self._as_batches(rows)
        if bounded and settings.row_schema.has_label_time:
            given = settings.row_schema, settings.cadence, self.latest
            return batches | "End" >> WriteStreamEnd(self.until, *given)
        return batches

    def _as_batches(self, rows: beam.PCollection[object]) -> beam.PCollection[RawBatch]:
        settings = self.settings
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
    return OwnSource(source, settings, folder.until), _span(settings, folder)


def _span(settings: Settings, folder: RunFolder) -> Span:
    first = first_written(folder) if settings.resume else None
    if first is None:
        return ALL
    found = span_of(first, None, settings, folder, busy=lambda refresh: True)
    return found._replace(extent=ALL.extent)


def first_written(folder: RunFolder) -> int | None:
    """The start of the first refresh that a run has written anything of, microseconds."""
    rejected = [PurePath(path).parent.name for path in folder.reject_files()]
    names = [*folder.report_names(), *folder.samples(), *folder.prediction_files(), *rejected]
    return min((parse_name(name) for name in names if is_name(name)), default=None)
