"""The models of a run in short: what a list of them shows, read once a model.

A manifest holds the statistics of its window, of every category: megabytes where there are many.
So the list leaves statistics and profile out, and ``/models/NAME`` has all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, Field

from model import files
from model.manifest import Fit, Gate, Manifest, describe_other
from model.store import DamagedArtefact
from monitor.serve.serving import Models

LEFT_OUT = {"statistics", "profile", "other"}


class Brief(BaseModel):
    """A manifest without its statistics and its profile."""

    format: int
    window_start: str
    window_end: str
    rows: int = Field(description="labelled rows")
    learner: str
    parameters: dict[str, Any]
    features: list[str]
    training: Fit
    fingerprint: str
    versions: dict[str, str]
    sha256: str
    bytes: int
    gate: Gate | None = Field(None, description="the gate's verdict; absent without a gate")
    into_other: list[str] = Field([], description="a line a feature of many values")


class Listed(BaseModel):
    """A model of a run, in short."""

    name: str
    serving: bool
    manifest: Brief | None = Field(
        description="without statistics and profile, which /models/NAME has; null if unreadable"
    )
    damaged: str | None = Field(description="why it cannot be read")


class Listing:
    """The models of a store in short; any thread may ask.

    Args:
        models: of the server.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._known: dict[str, tuple[object, Brief]] = {}
        self._lock = threading.Lock()

    def newest(self, most: int) -> list[Listed]:
        """The newest models, newest first.

        Args:
            most: maximum number.
        """
        with self._lock:
            names = self._models.store.names()
            self._known = {name: self._known[name] for name in names if name in self._known}
            return list(self._read_listed(names[: -most - 1 : -1]))

    def _read_listed(self, names: list[str]) -> Iterator[Listed]:
        current = self._models.current
        for name in names:
            serves = current is not None and current.reference.name == name
            try:
                brief = self._brief(name)
            except (OSError, DamagedArtefact) as error:
                yield Listed(name=name, serving=serves, manifest=None, damaged=str(error))
            else:
                yield Listed(name=name, serving=serves, manifest=brief, damaged=None)

    def _brief(self, name: str) -> Brief:
        """A manifest in short; it is read again only if its file has changed."""
        store = self._models.store
        version = files.version(files.join(store.path, name, "manifest.json"))
        known = self._known.get(name)
        if known is None or known[0] != version:
            known = version, brief_of(store.manifest(name))
            self._known[name] = known
        return known[1]


def brief_of(manifest: Manifest) -> Brief:
    """A manifest in short."""
    found = manifest.model_dump(exclude=LEFT_OUT)
    if lines := describe_other(manifest):
        found["into_other"] = lines
    return Brief.model_validate(found)
