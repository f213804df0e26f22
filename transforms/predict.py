"""Predict: Beam's RunInference with a handler that scores by reference.

A refresh's model is chosen before this step; the handler only opens it. What RunInference
offers for changing models (a side input, a watched file pattern) goes by arrival, not by
event time, and is not used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference

from model.arrays import Matrix
from model.asof import Cadence
from model.batch import SECOND, tag_of
from model.drift import Histogram
from model.manifest import Reference
from model.store import ModelCache, model_cache
from transforms.coders import near_bytes
from transforms.handover import Request
from transforms.tally import count, observe


class Inference(NamedTuple):
    """What a model said of a batch.

    Attributes:
        prediction: shape (rows,).
        baseline: the mean target of the model's window.
        reference: the model.
        histogram: how the rows lie in the bins of the model's profile; None if it has none.
        profile: that profile, as JSON, or "".
    """

    prediction: Matrix
    baseline: float
    reference: Reference
    histogram: Histogram | None = None
    profile: str = ""


class ArtefactHandler(ModelHandler[Request, PredictionResult, ModelCache]):
    """Scores batches of raw rows, each with the artefact that is referred to beside it.

    It normalises by the artefact's own statistics. A batch without a reference passes with
    the inference None. Elements are lists of requests, so RunInference batches nothing more.

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
        batch: Sequence[Request],
        model: ModelCache,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[PredictionResult]:
        for reference, rows in batch:
            yield self._score(reference, rows, model)
            count("rows scored", rows.num_rows)
            if self.timed is not None:
                due = self.timed.serve_window_of(tag_of(rows).at) + self.timed.latency
                observe("scored behind", time.time() - due / SECOND)

    def _score(
        self, reference: Reference | None, rows: pa.RecordBatch, model: ModelCache
    ) -> PredictionResult:
        if reference is None:
            return PredictionResult(rows, None, None)
        artefact = model.get(reference)
        prediction, histogram = artefact.score(rows)
        inference = Inference(
            prediction, artefact.baseline, reference, histogram, artefact.profile_json
        )
        return PredictionResult(rows, inference, reference.name)

    def get_num_bytes(self, batch: Sequence[Request]) -> int:
        return sum(near_bytes(rows) for _, rows in batch)

    def get_metrics_namespace(self) -> str:
        return "correnteza"

    def should_skip_batching(self) -> bool:
        return True


class Predict(beam.PTransform[Any, Any]):
    """Requests in (``HandOver``), scored batches out, as Beam's ``PredictionResult``.

    Attributes:
        store, timed: see ``ArtefactHandler``.
    """

    def __init__(self, store: str, timed: Cadence | None = None) -> None:
        super().__init__()
        self.store = store
        self.timed = timed

    def expand(self, requests: Any) -> Any:
        inference = RunInference(
            ArtefactHandler(self.store, self.timed), model_identifier="correnteza"
        )
        return requests | inference.with_output_types(PredictionResult)
