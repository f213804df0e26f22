"""What all routes of a server share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from model.errors import UserError
from model.files import is_local
from model.schema import Schema
from model.store import DamagedArtefact, Store
from pipeline.folder import RunFolder, earlier
from pipeline.serve.counts import Counts, Standing
from pipeline.serve.decoders import Decoders
from pipeline.serve.events import Events
from pipeline.serve.options import NEWEST, Options
from pipeline.serve.problems import Problem
from pipeline.serve.reports import Reports
from pipeline.serve.serving import Models

AT_ONCE = 32
"""So many predictions may be asked for at once; their bodies are held in memory."""


@dataclass
class Core:
    """A run, what serves of it, and what is counted.

    Attributes:
        options: the server's.
        settings: the run's settings.json.
        folder, schema, models, reports: of the run.
        events, counts, decoders, threads: of the server.
    """

    options: Options
    settings: dict[str, Any]
    events: Events = field(default_factory=Events)
    counts: Counts = field(default_factory=Counts)
    decoders: Decoders = field(default_factory=Decoders)
    _asked: int = 0

    def __post_init__(self) -> None:
        self.folder = RunFolder(pinned(self.options.folder))
        self.schema = Schema.model_validate(self.settings["schema"])
        store = Store(self.folder.models)
        self.models = Models(store, self.options.model, self.options.refresh)
        self.reports = Reports(self.folder)
        self.counts.registry.register(
            Standing(lambda: self.models.current, lambda: self.reports.newest)
        )

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """Where predictions are made; a forest's rows are shared out to more of them."""
        return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="answer")

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places for those who ask for predictions; used in the event loop alone.

        Raises:
            Problem: if all are taken.
        """
        if self._asked >= AT_ONCE:
            raise Problem("busy", f"{AT_ONCE} predictions are being made: try again")
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1


def pinned(folder: str) -> str:
    """A folder's own path: ``runs/latest`` may come to mean another run while this one serves."""
    return os.path.realpath(folder) if is_local(folder) else folder


def core_of(options: Options) -> Core:
    """What a server needs, of the run that its options name.

    Raises:
        UserError: if the folder holds no run, or not the model that shall serve.
    """
    core = Core(options, earlier(RunFolder(options.folder)))
    name = options.model
    if name != NEWEST:
        check_named(core.models.store, name)
    return core


def check_named(store: Store, name: str) -> None:
    """Raises UserError unless the store has a whole model of that name."""
    try:
        store.verified(name)
    except FileNotFoundError as error:
        known = ", ".join(store.names()) or "none"
        raise UserError(f"--model {name}: {store.path} has {known}") from error
    except DamagedArtefact as error:
        raise UserError(f"--model {error}") from error
