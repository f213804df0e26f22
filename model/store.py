"""The store: a folder of artefacts, one a window, each whole or absent.

``<window end>/model.joblib`` is written first and ``<window end>/manifest.json`` last; a
folder without a manifest does not exist. A model file is code: it is unpickled only after its
SHA-256 has matched the manifest's.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from pydantic import ValidationError

from model import files
from model.artefact import Artefact, load_bytes
from model.asof import format_name, parse_name
from model.errors import UserError
from model.manifest import Manifest, Reference

MANIFEST, MODEL = "manifest.json", "model.joblib"


class DamagedArtefact(Exception):
    """An artefact whose files do not agree; its model file was not opened."""


@dataclass(frozen=True)
class Store:
    """Artefacts below a folder, on any file system that Beam knows.

    Attributes:
        path: the folder; it need not exist yet.
        in_run: whether it is part of a run's folder. That has to be there: if it was removed,
            writing into it fails, and does not make it again.

    Example:
        >>> import tempfile
        >>> Store(tempfile.mkdtemp()).names()
        []
    """

    path: str
    in_run: bool = False

    def find(self, name: str) -> str:
        """A name, if an artefact has it.

        Raises:
            UserError: if none has; the message names those that there are.
        """
        names = self.names()
        if name not in names:
            known = ", ".join(names) or "none"
            raise UserError(f"{name}: is not a model of {self.path}; it has {known}")
        return name

    def names(self) -> list[str]:
        """The names of all artefacts (their window's end), oldest first."""
        found = []
        for path in files.list_files(self.path, f"*/{MANIFEST}"):
            name = path.replace("\\", "/").split("/")[-2]
            if is_name(name):
                found.append(name)
        return sorted(found)

    def newest(self, end: int) -> str | None:
        """The newest artefact whose window ended by then (microseconds), if there is one."""
        return self.newest_of([end])[end]

    def newest_of(self, ends: Iterable[int]) -> dict[int, str | None]:
        """``newest`` of each of some times, for one listing of the store."""
        names = self.names()  # which sort as the times in them do
        places = {end: bisect_right(names, format_name(end)) for end in ends}
        return {end: names[place - 1] if place else None for end, place in places.items()}

    def commit(self, name: str, model: bytes, manifest: Manifest) -> None:
        """Writes an artefact; one of that name is replaced, and is never seen half replaced.

        It survives a power cut once ``model.files.flush`` has returned.

        Raises:
            OSError: if it cannot be written; then there is no artefact of that name.
        """
        # First, so that no reader takes the old manifest for the new model's.
        files.remove(self._file(name, MANIFEST))
        within = self.path if self.in_run else None
        files.write_whole(self._file(name, MODEL), model, within)
        files.write_whole(self._file(name, MANIFEST), manifest.as_json(), within)

    def manifest(self, name: str) -> Manifest:
        """An artefact's manifest.

        Raises:
            FileNotFoundError: if there is no such artefact.
            DamagedArtefact: if the manifest is not readable.
        """
        data = files.read_whole(self._file(name, MANIFEST))
        try:
            return Manifest.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(p) for p in first["loc"])
            message = f"{place} {first['msg']}".strip()
            raise DamagedArtefact(f"{name}: {MANIFEST}: {message}") from error

    def reference(self, name: str) -> Reference:
        """What refers to an artefact.

        Raises:
            FileNotFoundError, DamagedArtefact: as ``manifest``.
        """
        return Reference(name, self.manifest(name).sha256)

    def load(self, name: str, sha256: str | None = None) -> Artefact:
        """Opens an artefact after its hash has matched, its manifest's and the one given.

        Raises:
            FileNotFoundError: if there is no such artefact.
            DamagedArtefact: if manifest and model file do not agree.
        """
        return load_bytes(self.read_verified(name, sha256))

    def read_verified(self, name: str, sha256: str | None = None) -> bytes:
        """The bytes of an artefact's model file, once their hash has matched.

        Raises:
            FileNotFoundError, DamagedArtefact: as ``load``.
        """
        manifest = self.manifest(name)
        if sha256 is not None and manifest.sha256 != sha256:
            raise DamagedArtefact(f"{name}: its manifest has changed since it was referred to")
        try:
            data = files.read_whole(self._file(name, MODEL))
        except FileNotFoundError as error:
            raise DamagedArtefact(f"{name}: {MODEL} is missing") from error
        found = hashlib.sha256(data).hexdigest()
        if found != manifest.sha256:
            raise DamagedArtefact(
                f"{name}: {MODEL} has SHA-256 {found[:12]}…, "
                f"its manifest says {manifest.sha256[:12]}…: it is not opened"
            )
        return data

    def remove(self, name: str) -> None:
        """Removes an artefact, manifest first; it is not an error if it is gone."""
        for file in (MANIFEST, MODEL):
            files.remove(self._file(name, file))
        files.remove_folder_if_empty(files.join(self.path, name))

    def prune(self, end: int, keep: int, protected: Collection[str] = ()) -> Iterator[str]:
        """Removes the artefacts whose window ended by then but for the newest ``keep``.

        Args:
            end: microseconds; artefacts of later windows stay.
            keep: how many stay; 0 keeps all.
            protected: names of others that stay.

        Yields:
            The name of each artefact that was removed.
        """
        old = [name for name in self.names() if name <= format_name(end)]
        for name in old[:-keep] if keep else []:
            if name not in protected:
                self.remove(name)
                yield name

    def _file(self, name: str, file: str) -> str:
        if not is_name(name):
            raise ValueError(f"{name!r} is not an artefact's name, as 20261123T070100Z is")
        return files.join(self.path, name, file)


def is_name(name: str) -> bool:
    """Whether an artefact can be called so; keeps paths outside the store out."""
    try:
        parse_name(name)
    except ValueError:
        return False
    return True


class ModelCache:
    """An LRU cache of a store's artefacts, by the size of their files; thread-safe.

    Windows interleave in a replay, so a cache of one model would load it again and again: a
    replay on the embedded runner scores one shard of all windows, then the next shard.

    Attributes:
        store: where they come from.
        capacity: bytes of model files that stay open; a larger one is kept alone.
    """

    def __init__(self, store: Store, capacity: int = 256 << 20) -> None:
        self.store = store
        self.capacity = capacity
        self._open: OrderedDict[Reference, tuple[Artefact, int]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def get(self, reference: Reference) -> Artefact:
        """The artefact that is referred to.

        Raises:
            FileNotFoundError, DamagedArtefact: as ``Store.load``.
        """
        with self._lock:
            if reference not in self._open:
                self._load(reference)
            self._open.move_to_end(reference)
            return self._open[reference][0]

    def put(self, reference: Reference, artefact: Artefact, size: int) -> None:
        """Adds an artefact that this process has just committed, so that it need not be loaded.

        Args:
            reference: what refers to it.
            artefact: just what its model file holds.
            size: the bytes of that file.
        """
        with self._lock:
            if reference not in self._open:
                self._keep(reference, artefact, size)

    def _load(self, reference: Reference) -> None:
        data = self.store.read_verified(reference.name, reference.sha256)
        self._keep(reference, load_bytes(data), len(data))

    def _keep(self, reference: Reference, artefact: Artefact, size: int) -> None:
        while self._open and self._held + size > self.capacity:
            _, (_, gone) = self._open.popitem(last=False)
            self._held -= gone
        self._open[reference] = artefact, size
        self._held += size


@cache
def model_cache(path: str) -> ModelCache:
    """This process's cache of the models of the store at that path."""
    return ModelCache(Store(path))
