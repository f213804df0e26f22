"""The whole job on one screen: a source of batches in, models, predictions and reports out."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pvalue import PBegin

from model.ending import StreamEnd
from model.metrics import Metrics
from model.runs import RunFolder
from model.store import Store
from pipeline.label_graph import (
    LABELS,
    drop_waited,
    is_within,
    read_labels,
    score_labels,
    track_labels,
)
from pipeline.settings import Settings
from pipeline.source import ALL, Span
from transforms.alerts import WriteAlerts
from transforms.assign_models import AssignModels
from transforms.elements import AcceptedBatch, RawBatch
from transforms.evaluate import Evaluate
from transforms.normalize import Normalize
from transforms.predict import Predict
from transforms.resume import is_unreported
from transforms.shares import CommitClasses
from transforms.sinks.cohorts import WriteCohorts
from transforms.sinks.end import WriteEnd
from transforms.sinks.predictions import WritePredictions
from transforms.sinks.rejects import WriteRejects
from transforms.sinks.reports import WriteReportsFn
from transforms.sinks.samples import WriteSample
from transforms.statistics import CollectWindows
from transforms.train import Commit, Train
from transforms.validate import Validate


def build(
    root: beam.Pipeline | PBegin,
    source: beam.PTransform[PBegin, beam.PCollection[RawBatch]],
    settings: Settings,
    folder: RunFolder,
    span: Span = ALL,
) -> beam.PCollection[Metrics]:
    """Builds the job.

    Args:
        root: a pipeline, or what ``source`` expands on.
        source: gives tagged raw batches, stamped with event time (``transforms.sources``). If it
            has ``deferred_rows``, rows are read again to be scored, and do not travel there.
        settings: all options.
        folder: the run's folder, which is there; its store is read and written.
        span: what of the stream is trained on and reported; all, unless a run is resumed.

    Returns:
        The reports, one a refresh.
    """
    schema, cadence = settings.row_schema, settings.cadence
    store, refused = Store(folder.models, in_run=True), Store(folder.refused, in_run=True)
    deferred_rows = getattr(source, "deferred_rows", None)
    end = StreamEnd(span.until, folder.until if schema.has_later_labels else None)
    events = root | "Source" >> source
    accepted, broken = events | "Validate" >> Validate(schema)
    since, labels, behind = span.report_from, None, None
    rejected = broken | "UnreportedRejects" >> beam.Filter(is_unreported, since)
    if schema.labels is not None:
        labels = read_labels(root, getattr(source, LABELS), accepted, settings, folder, end, since)
        behind = drop_waited(folder, settings.clock)
    kept = store, folder.timing, folder.skipped, refused
    windows = CollectWindows(
        *(schema.joined(), cadence, settings.sample_rows, span.begin, end),
        reduce=settings.by_moments,
        halves=settings.runs_trial,
    )
    models = (
        (accepted if labels is None else labels.settled["learned"])
        | "Windows" >> windows
        | "Normalize" >> Normalize(schema.joined())
        | "Train"
        >> Train(
            *(schema, settings.regressor, store, settings.least_rows, settings.strict),
            gate=settings.gate,
        )
        | "Commit" >> (CommitClasses(cadence, *kept) if schema.classifies else Commit(*kept))
    )
    unreported = beam.Filter(is_unreported, since).with_output_types(AcceptedBatch)
    batches = accepted | "Unreported" >> unreported
    scored = (
        {"batches": batches, "models": models}
        | "HandOver"
        >> AssignModels(cadence, store, settings.shards, deferred_rows, folder.promotions)
        | "Predict" >> Predict(store.path, settings.timed)
    )
    if labels is not None:
        scored = scored | "WithinEnd" >> beam.Filter(is_within, end, settings.clock)
        rejected = rejected | "RejectsWithinEnd" >> beam.Filter(is_within, end, settings.clock)
    written = [rejected | "Rejects" >> WriteRejects(folder.rejected, cadence)]
    if settings.predictions == "parquet":
        predictions = WritePredictions(folder.predictions, schema, cadence, settings.shards)
        sample = WriteSample(folder.sample, schema, cadence, store.path)
        predicted = scored | "Predictions" >> predictions
        written += [predicted, scored | "Sample" >> sample]
    figures = {"scored": scored, "rejected": rejected}
    if schema.has_later_labels:
        if labels is None:
            known = track_labels(scored, accepted, settings, folder, end, since)
        else:
            known = score_labels(labels, scored, predicted, folder)
        figures["errors"] = known.errors
        cohorts = WriteCohorts(folder.cohorts, settings.clock, end)
        written += [known.parts | "Cohorts" >> cohorts, *known.written]
    write_reports = WriteReportsFn(folder.metrics, store, cadence, settings.keep, refused, behind)
    reports = (
        {**figures, "written": written | "Written" >> beam.Flatten()}
        | "Evaluate" >> Evaluate(schema, cadence, end, folder.summaries)
        | "Alerts" >> WriteAlerts(folder, settings.alert_rules)
        # Prism finalizes only bundles of what begins a stage, and retention waits for that.
        | "Settle" >> beam.Reshuffle()
        | "Report" >> beam.ParDo(write_reports)
    )
    reports | "End" >> WriteEnd(folder.ended, folder.metrics if schema.has_later_labels else None)
    return reports
