"""What all routes of a server share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from model.errors import UserError
from model.files import is_local
from model.runs import RunFolder, RunSettings
from model.schema import Schema
from model.store import DamagedArtefact, Store
from monitor.questions import QuestionFollower
from monitor.serve.counts import Counts
from monitor.serve.damage import Damaged
from monitor.serve.decoders import Decoders
from monitor.serve.events import Events
from monitor.serve.gauges import Gauges
from monitor.serve.noted import Alerts, Skips
from monitor.serve.options import NEWEST, Options
from monitor.serve.problems import Problem
from monitor.serve.reading import Bodies
from monitor.serve.recording import Records
from monitor.serve.reports import KEPT, Reports
from monitor.serve.serving import Models

AT_ONCE = 32
"""Maximum number of predictions that wait or are made; their bodies have come."""

STUCK = 30.0
"""Seconds, and as many times as long as between looks: a look that takes longer is stuck."""


@dataclass
class Core:
    """A run, what serves of it, and what is counted.

    Attributes:
        options: the server's.
        settings: the run's settings.json.
        folder, schema, models, reports: of the run.
        questions: of the run, by question; None unless labels have a time of their own.
        alerts, skips: of the run, too.
        records: what is kept of answered questions, and labels; None without ``--record``.
        damaged: the files of the run that cannot be read.
        status: the run's status.json; empty before there is one.
        looked: when the last look at the folder ended, by the monotonic clock.
        failure: why that look failed; empty if it did not.
        events, counts, decoders, bodies, threads: of the server.
    """

    options: Options
    settings: dict[str, Any]
    events: Events = field(default_factory=Events)
    counts: Counts = field(default_factory=Counts)
    decoders: Decoders = field(default_factory=Decoders)
    status: dict[str, Any] = field(default_factory=dict)
    damaged: Damaged = field(default_factory=Damaged)
    looked: float = field(default_factory=time.monotonic)
    failure: str = ""
    _asked: int = 0

    def __post_init__(self) -> None:
        self.folder = RunFolder(pin_folder(self.options.folder))
        self.schema = Schema.model_validate(self.settings["schema"])
        store = Store(self.folder.models)
        self.models = Models(store, self.options.model, self.options.poll)
        self.reports = Reports(self.folder)
        clock = RunSettings.model_validate(self.settings).clock
        self.questions = None if clock is None else QuestionFollower(self.folder, clock, KEPT)
        options = self.options
        self.records = (
            None
            if options.record is None
            else Records(options.record, options.record_bytes, self.schema)
        )
        self.bodies = Bodies(self.options.max_body)
        self.alerts = Alerts(self.folder, self.reports, self.damaged)
        self.skips = Skips(self.folder, self.damaged)
        self.counts.registry.register(Gauges(self))

    def trouble(self) -> str | None:
        """Why the run is not looked at as it should be; None if all is well."""
        quiet = time.monotonic() - self.looked
        if quiet > max(STUCK, STUCK * self.options.poll):
            return f"the run's folder has not been looked at for {quiet:.0f} s"
        if self.records is not None and self.records.failure:
            return f"nothing more is recorded: {self.records.failure}"
        return self.failure or None

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


def pin_folder(folder: str) -> str:
    """A folder's own path: ``runs/latest`` may come to mean another run while this one serves."""
    return os.path.realpath(folder) if is_local(folder) else folder


def open_core(options: Options) -> Core:
    """What a server needs, of the run that its options name.

    Raises:
        UserError: if the folder holds no run, or not the model that shall serve.
    """
    folder = RunFolder(options.folder)
    settings = folder.read_settings()
    folder.parse_settings(settings)
    core = Core(options, settings)
    name = options.model
    if name != NEWEST:
        check_named(core.models.store, name)
    return core


def check_named(store: Store, name: str) -> None:
    """Raises UserError unless the store has a whole model of that name."""
    try:
        store.read_verified(name)
    except FileNotFoundError as error:
        known = ", ".join(store.names()) or "none"
        raise UserError(f"--model {name}: {store.path} has {known}") from error
    except DamagedArtefact as error:
        raise UserError(f"--model {error}") from error
