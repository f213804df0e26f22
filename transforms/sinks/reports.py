"""WriteReportsFn: ``metrics/``; then old artefacts go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import apache_beam as beam
from apache_beam.transforms.core import _BundleFinalizerParam

from model import files, promotions
from model.asof import Cadence, format_name
from model.metrics import Metrics
from model.store import Store
from transforms.counters import count
from transforms.stamps import FINALIZER
from transforms.writing import write_file


class WriteReportsFn(beam.DoFn):
    """Writes each refresh's figures; then, once that is committed, old artefacts go.

    Attributes:
        folder: where.
        store: whose artefacts are pruned.
        cadence: how event time is divided.
        keep: how many of the artefacts whose window ended by a refresh's start stay; 0 keeps all.
        refused: the store of the models that the gate has refused, which is pruned likewise.
        behind: called with the start of the newest refresh whose report is committed.
    """

    def __init__(
        self,
        folder: str,
        store: Store,
        cadence: Cadence,
        keep: int,
        refused: Store | None = None,
        behind: Callable[[int], None] | None = None,
    ) -> None:
        self.refused = refused
        self.behind = behind
        self.folder = folder
        self.store = store
        self.cadence = cadence
        self.keep = keep

    def start_bundle(self) -> None:
        self.starts: list[int] = []

    def process(
        self,
        keyed: tuple[int, Metrics],
        finalizer: _BundleFinalizerParam = FINALIZER,
    ) -> Iterator[Metrics]:
        start, metrics = keyed
        write_file(self.folder, (f"{format_name(start)}.json",), metrics.as_json())
        count("refreshes reported")
        if self.keep and not self.starts:
            finalizer.register(
                partial(retain, self.store, self.starts, self.keep, self.cadence.lag, self.refused)
            )
        if self.behind is not None and not self.starts:
            finalizer.register(partial(_call_behind, self.behind, self.starts))
        self.starts.append(start)
        yield metrics

    def finish_bundle(self) -> None:
        files.flush()


def _call_behind(behind: Callable[[int], None], starts: list[int]) -> None:
    behind(max(starts))


def retain(
    store: Store, starts: list[int], keep: int, lag: int, refused: Store | None = None
) -> None:
    """Removes the artefacts that are too old to serve after the refreshes at ``starts``.

    Of those whose window ended by the last of them the newest stay: ``keep``, and with a lag
    no fewer than may still have to serve.
    """
    protected = promotions.find_protected(files.parent(store.path))
    for _ in store.prune(max(starts), max(keep, lag), protected):
        count("models pruned")
    if refused is not None:  # in a store of its own: none takes an accepted model's place
        for _ in refused.prune(max(starts), keep):
            count("models pruned")
