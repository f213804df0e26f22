"""Which model serves: a snapshot that a request takes once, and that a look at the store changes.

The newest whole model of the store serves. A newer one is opened and tried beside it, and then
takes its place in one assignment; one that is damaged is refused, and what served goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from model import files, promotions
from model.artefact import Artefact
from model.asof import format_iso, parse_name
from model.batch import accepted_schema
from model.files import is_local
from model.manifest import Manifest, Reference
from model.schema import Schema
from model.store import DamagedArtefact, ModelCache, Store, is_name
from monitor.serve.options import NEWEST

ROOM = 256 << 20
"""Of the models that requests named, so many bytes of files stay open."""
ITS_OWN = (files.NotAFile, IsADirectoryError, NotADirectoryError, PermissionError)
"""What is wrong with one model's files, whatever the others are like."""
PATIENCE = 60.0
"""Seconds: a model that was refused is tried again, ever more seldom, but not less than so."""


@dataclass(frozen=True)
class Serving:
    """A model that answers requests.

    Attributes:
        reference: its name and hash.
        artefact: it, open.
        manifest: what is known of it.
        since: when it was opened, seconds since the epoch.
    """

    reference: Reference
    artefact: Artefact
    manifest: Manifest
    since: float


@dataclass
class Refusal:
    """A model that was refused, and when it is tried again (monotonic seconds)."""

    reason: str
    wait: float
    due: float


@dataclass(frozen=True)
class Change:
    """What a look has found: a model that serves now, or one that was refused, and why."""

    name: str
    refused: str | None = None


@dataclass
class Models:
    """The models of a run that answer requests; safe for many threads, but one alone looks.

    Attributes:
        store: where they are.
        chosen: the name of the only one that serves by default, or ``newest``.
        poll: seconds until a model that was refused is tried again, at first.
        current: the one that serves by default, or None.
        names: of all that were in the store at the last look, oldest first.
    """

    store: Store
    chosen: str = NEWEST
    poll: float = 1.0
    current: Serving | None = None
    names: list[str] = field(default_factory=list)
    _refused: dict[Reference, Refusal] = field(default_factory=dict)
    _pinned: Reference | None = None

    def __post_init__(self) -> None:
        self._named = ModelCache(self.store, ROOM)

    @property
    def pinned(self) -> Reference | None:
        """The model that is pinned, as of the last look."""
        return self._pinned

    def look(self) -> list[Change]:
        """Looks at the store: takes up the newest whole model if it is another one.

        If the one that serves is gone and another is there, that one serves: so removing the
        newest model brings the one before back.

        Raises:
            OSError: if the store cannot be looked at.
        """
        changes = []
        for name in self._candidates():
            change = self._try(name)
            if change is not None:
                changes.append(change)
            if self.current is not None and self.current.reference.name == name:
                break
        return changes

    def take(self, name: str) -> Serving | None:
        """The model of a name, or what serves by default (``newest``) if there is one.

        Raises:
            FileNotFoundError: if there is no such model.
            DamagedArtefact: if its files do not agree.
        """
        current = self.current
        if name == NEWEST or (current is not None and name == current.reference.name):
            return current
        if not is_name(name):
            raise FileNotFoundError(name)
        manifest = self.store.manifest(name)
        check_place(self.store, name, manifest)
        reference = Reference(name, manifest.sha256)
        return Serving(reference, self._open(reference), manifest, time.time())

    def _open(self, reference: Reference) -> Artefact:
        try:
            return self._named.get(reference)
        except (OSError, DamagedArtefact):
            raise
        except Exception as error:  # bytes of another version raise what they like
            raise DamagedArtefact(f"{reference.name}: {error}") from error

    def _candidates(self) -> Iterator[str]:
        """Names of models that may serve, best first."""
        self.names = self.store.names()
        self._pinned = None
        if self.chosen != NEWEST:
            return iter([self.chosen])
        acts = promotions.read(files.join(files.parent(self.store.path), promotions.RECORD))
        self._pinned = promotions.find_pin(acts)
        return reversed(self.names) if self._pinned is None else iter([self._pinned.name])

    def _try(self, name: str) -> Change | None:
        """Takes a model up, unless it serves already, is gone, or was refused not long ago."""
        reference = Reference(name, "")
        try:
            manifest = self.store.manifest(name)
            reference = Reference(name, manifest.sha256)
            if self._serves(reference) or not self._due(reference):
                return None
            check_place(self.store, name, manifest)
            if self._pinned is not None and self._pinned != reference:
                raise DamagedArtefact(f"{name}: is not the model that was pinned: its hash differs")
            self.current = open_serving(self.store, reference, manifest)
        except FileNotFoundError:  # removed meanwhile
            return None
        except OSError as error:
            if not isinstance(error, ITS_OWN):  # the store's trouble, not the model's
                raise
            return self._refuse(reference, error)
        except Exception as error:  # bytes of another version raise what they like
            return self._refuse(reference, error)
        return Change(name)

    def _serves(self, reference: Reference) -> bool:
        return self.current is not None and self.current.reference == reference

    def _due(self, reference: Reference) -> bool:
        refusal = self._refused.get(reference)
        return refusal is None or time.monotonic() >= refusal.due

    def _refuse(self, reference: Reference, error: Exception) -> Change | None:
        """Notes a refusal; it is a change if the model is new, or its reason is."""
        reason = str(error) or type(error).__name__
        before = self._refused.get(reference)
        wait = min(PATIENCE, 2 * before.wait) if before else self.poll
        self._refused[reference] = Refusal(reason, wait, time.monotonic() + wait)
        if before is not None and before.reason == reason:
            return None
        return Change(reference.name, reason)


def open_serving(store: Store, reference: Reference, manifest: Manifest) -> Serving:
    """A model, open and tried: it predicts a row of nulls before any request meets it.

    Raises:
        FileNotFoundError, DamagedArtefact: as ``Store.load``.
    """
    artefact = store.load(*reference)
    artefact.predict(make_null_row(artefact.schema))
    return Serving(reference, artefact, manifest, time.time())


def check_place(store: Store, name: str, manifest: Manifest) -> None:
    """Raises DamagedArtefact if a manifest is another model's, or its folder leads elsewhere.

    Nothing in a manifest is ever taken for a path; but in a local store a folder or a file may
    be a link.
    """
    if format_iso(parse_name(name)) != manifest.window_end:
        raise DamagedArtefact(f"{name}: its manifest is of a window that ends at another time")
    here = Path(store.path).resolve()
    for path in Path(store.path, name).glob("*") if is_local(store.path) else ():
        if not path.resolve().is_relative_to(here):
            raise DamagedArtefact(f"{name}: {path.name} leads out of the store")


def make_null_row(schema: Schema) -> pa.RecordBatch:
    """One row without a value."""
    layout = accepted_schema(schema)
    columns = [
        pa.array([float("nan")]) if kind == pa.float64() else pa.nulls(1, kind)
        for kind in layout.types
    ]
    return pa.record_batch(columns, names=layout.names)
