"""CommitClasses: models of class shares, for windows of one class before there is another model.

A classifier learns nothing from a window of one class, so the newest older model goes on. Where no
window before has made one, a model of the class shares serves (``model.training.train_shares``).
Which of these holds follows from event time alone: windows are grouped by the refresh that they
end with, and when the watermark has passed it, all windows that end before have committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import TimestampedValue

from model import files
from model.asof import Cadence, format_name
from model.skipped import Skipped
from model.store import Store
from model.training import SHARES
from transforms.elements import Committed, FitResult, SharesModel, Trained
from transforms.stamps import beam_time
from transforms.train import Commit, CommitFn
from transforms.windows import refreshes

COMMITTED, ONE_CLASS = "committed", "one class"
MILLISECOND = 1_000


class CommitSharesFn(beam.DoFn):
    """Commits a model of shares if no older model was learned, else writes what was skipped."""

    def __init__(self, commit: CommitFn) -> None:
        self.commit = commit

    def setup(self) -> None:
        self.unlearned: set[str] = set()

    def process(self, grouped: tuple[int, Iterable[SharesModel]]) -> Iterator[Committed]:
        end, found = grouped
        made = next(iter(found))
        name = format_name(end)
        # A retry may come when retention has removed the older model: what was decided holds.
        kept = self.commit.skipped is not None
        decided = kept and files.exists(self.commit.skip_path(name))
        if decided or self._has_learned(name):
            self.commit.skip(made.skipped)
        else:
            yield self.commit.commit(Trained(made.window, made.model, made.manifest, made.seconds))

    def _has_learned(self, end: str) -> bool:
        """Whether the store has a model of an older window that predicts more than shares."""
        store = self.commit.store
        older = [name for name in store.names() if name < end]
        for name in reversed(older):
            if name in self.unlearned:
                continue
            try:
                learner = store.manifest(name).learner
            except FileNotFoundError:  # retention has just removed it; a newer one is there then
                continue
            if learner != SHARES:
                return True
            self.unlearned.add(name)
        return False

    def finish_bundle(self) -> None:
        files.flush()


class CommitClassesFn(CommitFn):
    """Commits as ``CommitFn``, but gives models of shares to the output ``one class``."""

    def process(self, result: FitResult) -> Iterator[Any]:
        trained, skipped = result
        if trained is None or not is_one_class(skipped):
            yield from super().process(result)
            return
        window, model, manifest, seconds, _ = trained
        assert model is not None  # one that the store has is not skipped
        made = SharesModel(window, model, manifest, seconds, skipped)
        at = beam_time(window.end - MILLISECOND)
        yield TaggedOutput(ONE_CLASS, TimestampedValue(made, at))


def is_one_class(skipped: Skipped | None) -> TypeGuard[Skipped]:
    """Whether a window is skipped since its rows are of one class."""
    return skipped is not None and skipped.kind == "one_class"


class CommitClasses(Commit):
    """As ``Commit``, for classes: without an older model, a window of one class makes one.

    Attributes:
        cadence: how event time is divided.
        folders: as ``Commit``.
    """

    def __init__(self, cadence: Cadence, store: Store, *folders: Any) -> None:
        super().__init__(store, *folders)
        self.cadence = cadence

    def expand(self, results: beam.PCollection[FitResult]) -> beam.PCollection[Committed]:
        committing = beam.ParDo(CommitClassesFn(*self.folders))
        both = results | "ParDo(CommitFn)" >> committing.with_outputs(ONE_CLASS, main=COMMITTED)
        both[COMMITTED].element_type = Committed
        both[ONE_CLASS].element_type = SharesModel
        windows = refreshes(self.cadence)
        decide = beam.ParDo(CommitSharesFn(CommitFn(*self.folders))).with_output_types(Committed)
        shares = (
            both[ONE_CLASS]
            | "SharesRefresh" >> beam.WindowInto(windows)
            | "KeyByEnd" >> beam.Map(key_by_end).with_output_types(tuple[int, SharesModel])
            | "OlderModels" >> beam.GroupByKey()
            | "CommitShares" >> decide
        )
        committed = both[COMMITTED] | "Refresh" >> beam.WindowInto(windows)
        return (committed, shares) | "All" >> beam.Flatten()


def key_by_end(model: SharesModel) -> tuple[int, SharesModel]:
    """A model with its window's end."""
    return model.window.end, model
