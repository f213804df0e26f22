"""Predict: Beam's RunInference with a handler that scores by reference.

A refresh's model is chosen before this step; the handler only opens it. What RunInference
offers for changing models (a side input, a watched file pattern) goes by arrival, not by
event time, and is not used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, RunInference

from model.asof import Cadence
from model.batch import SECOND
from model.manifest import Reference
from model.store import ModelCache, model_cache
from transforms.coders import estimate_bytes
from transforms.counters import count, record_latency
from transforms.elements import AcceptedBatch, Inference, ScoredBatch, ScoringBatch, ScoringTask


class ArtefactHandler(ModelHandler[ScoringTask, ScoredBatch, ModelCache]):
    """Scores batches of raw rows, each with the artefact that is referred to beside it.

    It normalises by the artefact's own statistics. A batch without a model passes with the
    inference None. A ``ScoringBatch`` is a batch already, so RunInference batches nothing more.

    Attributes:
        store: the path of the store.
        timed: how event time is divided, if it is the wall clock: how long
            after its end rows are scored is then observed. None: it is not.
    """

    def __init__(self, store: str, timed: Cadence | None = None) -> None:
        super().__init__()
        self.store = store
        self.timed = timed

    def load_model(self) -> ModelCache:
        return model_cache(self.store)

    def run_inference(
        self,
        batch: Sequence[ScoringTask],
        model: ModelCache,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[ScoredBatch]:
        for reference, accepted in batch:
            assert isinstance(accepted, AcceptedBatch), "references are materialized before"
            yield ScoredBatch(accepted, self._score(reference, accepted.rows, model))
            count("rows scored", accepted.rows.num_rows)
            if self.timed is not None:
                due = self.timed.serve_window_of(accepted.tag.at) + self.timed.latency
                record_latency("scored behind", time.time() - due / SECOND)

    def _score(
        self, reference: Reference | None, rows: pa.RecordBatch, models: ModelCache
    ) -> Inference | None:
        if reference is None:
            return None
        artefact = models.get(reference)
        prediction, histogram, classified = artefact.score(rows)
        return Inference(
            prediction,
            artefact.baseline,
            reference,
            histogram,
            artefact.profile_with_units,
            classified,
            artefact.predict_season(rows),
        )

    def get_num_bytes(self, batch: Sequence[ScoringTask]) -> int:
        return sum(estimate_bytes(b.rows) for _, b in batch if isinstance(b, AcceptedBatch))

    def get_metrics_namespace(self) -> str:
        return "correnteza"

    def should_skip_batching(self) -> bool:
        return True


class Predict(beam.PTransform[beam.PCollection[ScoringBatch], beam.PCollection[ScoredBatch]]):
    """Batches with their models in, scored batches out.

    Attributes:
        store, timed: see ``ArtefactHandler``.
    """

    def __init__(self, store: str, timed: Cadence | None = None) -> None:
        super().__init__()
        self.store = store
        self.timed = timed

    def expand(self, batches: beam.PCollection[ScoringBatch]) -> beam.PCollection[ScoredBatch]:
        inference = RunInference(
            ArtefactHandler(self.store, self.timed), model_identifier="correnteza"
        )
        return batches | inference.with_output_types(ScoredBatch)
