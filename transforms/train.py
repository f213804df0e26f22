"""Train and Commit: a model a window, written once, whole.

A retry of a window that is committed already, with the same data, fits nothing. A window of too
few rows, or one whose fit fails, leaves ``skipped/<window end>.json`` in the place of a model; so
does one whose model the gate refuses, which lies in a folder of its own and serves nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import apache_beam as beam

from model import files, promotions
from model import gate as gating
from model.asof import format_iso
from model.classes.learners import CLASSIFIERS
from model.errors import FitFailed, OneClass
from model.learners import LEARNERS
from model.manifest import Learner, Manifest, Reference
from model.promotions import refusal
from model.schema import Schema
from model.skipped import Skipped, few_rows, fit_failed, refused
from model.store import DamagedArtefact, Store, model_cache
from model.training import (
    Normalized,
    dump_with_manifest,
    fit_artefact,
    train_shares,
    training_fingerprint,
)
from transforms.counters import count
from transforms.elements import Committed, FitResult, Trained
from transforms.writing import write_file

FAITHFUL = frozenset({*LEARNERS, *CLASSIFIERS})
"""Learners of which it is known that what comes out of an artefact is what went in. The process
that fits one of them scores with it at once; any other is opened anew, as it is elsewhere."""


def find_committed(store: Store, name: str, fingerprint: str) -> Manifest | None:
    """The manifest of an artefact with that fingerprint, if the store has it, undamaged."""
    try:
        manifest = store.manifest(name)
        if manifest.fingerprint != fingerprint:
            return None
        store.read_verified(name)
    except (FileNotFoundError, DamagedArtefact):
        return None
    return manifest


class TrainFn(beam.DoFn):
    """``model.training.fit_artefact`` of each window, unless the store has its artefact."""

    def __init__(
        self,
        schema: Schema,
        learner: Learner,
        store: Store,
        min_rows: int = 1,
        strict: bool = False,
        gate: gating.Kind = "none",
    ) -> None:
        self.schema = schema
        self.learner = learner
        self.store = store
        self.min_rows = min_rows
        self.strict = strict
        self.gate = gate

    def process(self, data: Normalized) -> Iterator[FitResult]:
        start, end = data.window
        if data.rows < self.min_rows:
            yield FitResult(None, few_rows(start, end, data.rows, self.min_rows))
            return
        try:
            trained = self._train(data)
            verdict = trained.manifest.gate
            if verdict is None or verdict.accepted:
                yield FitResult(trained)
            else:
                yield FitResult(trained, refused(start, end, data.rows, verdict))
        except FitFailed as error:
            skipped = fit_failed(start, end, data.rows, error)
            if isinstance(error, OneClass):
                yield FitResult(self._train_shares(data), skipped)
                return
            if self.strict:
                raise FitFailed(self._describe_stop(skipped)) from None
            yield FitResult(None, skipped)

    def _describe_stop(self, skipped: Skipped) -> str:
        window = f"{skipped.window_start} to {skipped.window_end}"
        reason = f"window {window} of {skipped.rows:,} labelled rows: {skipped.reason}"
        return f"{reason} (--strict: without it the window is skipped, and the older model serves)"

    def _train(self, data: Normalized) -> Trained:
        fingerprint = training_fingerprint(data, self.learner)
        manifest = find_committed(self.store, data.window.name, fingerprint)
        if manifest is not None:
            count("models found")
            return Trained(data.window, None, manifest, 0.0)
        began = time.perf_counter()
        artefact, report = fit_artefact(data, self.schema, self.learner)
        verdict = gating.judge(artefact.estimator, data, self.schema, self.learner, self.gate)
        model, manifest = dump_with_manifest(artefact, report, data, self.learner, verdict)
        kept = artefact if self.learner.name in FAITHFUL else None
        return Trained(data.window, model, manifest, time.perf_counter() - began, kept)

    def _train_shares(self, data: Normalized) -> Trained:
        began = time.perf_counter()
        model, manifest = train_shares(data, self.schema, self.learner)
        return Trained(data.window, model, manifest, time.perf_counter() - began)


class CommitFn(beam.DoFn):
    """Writes each artefact into the store, and how long it took beside it; or what was skipped."""

    def __init__(
        self,
        store: Store,
        timing: str | None,
        skipped: str | None = None,
        refused: Store | None = None,
    ) -> None:
        self.store = store
        self.timing = timing
        self.skipped = skipped
        self.refused = refused

    def process(self, result: FitResult) -> Iterator[Committed]:
        if result.skipped is not None:
            if result.trained is not None and result.skipped.kind == "refused":
                self._keep_refused(result.trained, result.skipped)
            self.skip(result.skipped)
        elif result.trained is not None:
            yield self.commit(result.trained)

    def _keep_refused(self, trained: Trained, skipped: Skipped) -> None:
        """Writes a refused model where no row, and no reader of the store, looks for one."""
        count("models refused")
        if self.refused is None or trained.model is None:
            return
        began = time.perf_counter()
        self.refused.commit(trained.window.name, trained.model, trained.manifest)
        self._note(trained, time.perf_counter() - began)
        known = self.skipped is None or files.exists(self.skip_path(trained.window.name))
        if not known:  # before the skip is written: a retry that finds it has recorded it
            record = files.join(files.parent(self.refused.path), promotions.RECORD)
            promotions.append(record, refusal(skipped, trained.manifest.sha256))

    def commit(self, trained: Trained) -> Committed:
        """Writes a model, if the store has not got it."""
        name = trained.window.name
        reference = Reference(name, trained.manifest.sha256)
        if trained.model is not None:
            began = time.perf_counter()
            self.store.commit(name, trained.model, trained.manifest)
            self._note(trained, time.perf_counter() - began)
            if self.skipped is not None:  # by a run whose learner has been mended since
                files.remove(self.skip_path(name))
            count("models trained")
            if trained.artefact is not None:
                model_cache(self.store.path).put(reference, trained.artefact, len(trained.model))
        return Committed(trained.window, reference)

    def skip_path(self, name: str) -> str:
        """The file that says why a window has no model."""
        assert self.skipped is not None
        return files.join(self.skipped, f"{name}.json")

    def skip(self, skipped: Skipped) -> None:
        """Writes why a window has no model."""
        count("windows skipped")
        if self.skipped is not None:
            write_file(self.skipped, (f"{skipped.name}.json",), skipped.as_json())

    def _note(self, trained: Trained, seconds: float) -> None:
        if self.timing is None:
            return
        timing = {
            "format": 1,
            "window_end": trained.manifest.window_end,
            "rows": trained.manifest.rows,
            "fit_seconds": round(trained.seconds, 6),
            "commit_seconds": round(seconds, 6),
            "committed": format_iso(time.time_ns() // 1000),
        }
        names = (f"{trained.window.name}.json",)
        write_file(self.timing, names, (json.dumps(timing, indent=2) + "\n").encode())

    def finish_bundle(self) -> None:
        files.flush()


class Train(beam.PTransform[beam.PCollection[Normalized], beam.PCollection[FitResult]]):
    """Normalised windows in; a model, or the reason why there is none, out for each.

    Attributes:
        schema: the meaning of the columns.
        learner: which regressor, with which parameters and seed.
        store: where a retry looks for what it has trained before.
        min_rows: with fewer labelled rows a window makes no model (``Skipped``).
        strict: whether a fit that fails ends the job; else its window makes no model.
        gate: which models may serve (``model.gate``).
    """

    def __init__(
        self,
        schema: Schema,
        learner: Learner,
        store: Store,
        min_rows: int = 1,
        strict: bool = False,
        gate: gating.Kind = "none",
    ) -> None:
        super().__init__()
        self.schema = schema
        self.learner = learner
        self.store = store
        self.min_rows = min_rows
        self.strict = strict
        self.gate = gate

    def expand(self, windows: beam.PCollection[Normalized]) -> beam.PCollection[FitResult]:
        training = TrainFn(
            self.schema, self.learner, self.store, self.min_rows, self.strict, self.gate
        )
        return windows | beam.ParDo(training).with_output_types(FitResult)


class Commit(beam.PTransform[beam.PCollection[FitResult], beam.PCollection[Committed]]):
    """Models in, references to committed artefacts out.

    Attributes:
        store: where they are written.
        timing: the folder for how long each took; None to keep no time.
        skipped: the folder for the windows without a model; None to keep none.
        refused: where models lie that the gate has refused; None to keep none.
    """

    def __init__(
        self,
        store: Store,
        timing: str | None = None,
        skipped: str | None = None,
        refused: Store | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.timing = timing
        self.skipped = skipped
        self.refused = refused

    @property
    def folders(self) -> tuple[Store, str | None, str | None, Store | None]:
        """Where what is written."""
        return self.store, self.timing, self.skipped, self.refused

    def expand(self, results: beam.PCollection[FitResult]) -> beam.PCollection[Committed]:
        committing = beam.ParDo(CommitFn(*self.folders))
        return results | committing.with_output_types(Committed)
