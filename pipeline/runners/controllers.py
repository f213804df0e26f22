"""Controllers of a run's job: drain and savepoint at Ctrl-C; on Flink, restarts and the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from typing_extensions import override

from model import files
from model.runs import RunFolder
from pipeline.logs import mute
from pipeline.runners.cluster import Cluster, Job, Unreachable
from pipeline.runners.execution import Controller
from pipeline.settings import Settings
from pipeline.signals import exit_on_signals
from transforms.versions import OtherVersion

LOOK_SECONDS = 2.0
"""Seconds between two looks at the job on the cluster."""
START_SECONDS = 120.0
"""Maximum number of seconds in which the job server starts a job on the cluster."""


class RunController(Controller):
    """Drains at Ctrl-C, if the settings say so; a second Ctrl-C cancels.

    Attributes:
        folder: the run's folder.
        settings: all options.
        show: shows a line to the user.
        draining: whether the source has been asked to end.
        on_abandon: is called if a signal ends the process while the job is being cancelled.
        error: why the run failed, in one line, once it has; else None.
    """

    def __init__(self, folder: RunFolder, settings: Settings, show: Callable[[str], None]) -> None:
        self.folder = folder
        self.settings = settings
        self.show = show
        self.draining = False
        self.on_abandon: Callable[[], object] = int
        self.error: str | None = None

    @property
    def resume_options(self) -> list[str]:
        """The options with which the run goes on, beside those with which it was begun."""
        return ["--output", self.folder.path, "--resume"]

    @override
    def on_give_up(self) -> None:
        mute()
        exit_on_signals(self.on_abandon)

    @override
    def on_interrupt(self) -> bool:
        if self.settings.on_interrupt != "drain" or self.draining:
            return False
        self.draining = True
        self.folder.write_json(self.folder.drain, {})
        self.show(
            "draining: the refresh that has begun is read, scored and reported first "
            f"(at most {self.settings.refresh} s of event time); Ctrl-C again cancels"
        )
        return True


def find_newest(checkpoint: str) -> str:
    """The newest checkpoint of a job, if they are in a folder of this machine; else the given one.

    Flink removes the older ones, and a JobManager that was killed cannot report its last ones.

    Args:
        checkpoint: one of the job's, as ``file:/checkpoints/ID/chk-7``, or a savepoint.
    """
    path = checkpoint.removeprefix("file:")
    name = Path(path).name
    if not (files.is_local(path) and name.startswith("chk-")):
        return checkpoint
    kept = [found.parent for found in Path(path).parent.glob("chk-*/_metadata")]
    numbers = [int(one.name[4:]) for one in kept if one.name[4:].isdigit()]
    newest = max(numbers, default=None)
    return checkpoint if newest is None else f"{checkpoint.removesuffix(name)}chk-{newest}"


class FlinkController(RunController):
    """Knows the job on the cluster: its restarts, its checkpoints; takes a savepoint.

    With checkpoints on, Flink keeps a job running whose source has ended: that all is written
    is seen in the run's folder.

    Attributes:
        cluster, name: where the job is found.
        restarts: how often it was restarted.
        failure: why it failed last, in one line, or None.
        checkpoint: the path of its last checkpoint or savepoint, or None.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: Settings,
        show: Callable[[str], None],
        cluster: Cluster,
        name: str,
    ) -> None:
        super().__init__(folder, settings, show)
        self.cluster = cluster
        self.name = name
        self.restarts = 0
        self.failure: str | None = None
        self.checkpoint: str | None = None
        self._before = cluster.jobs(name)
        self._job: Job | None = None
        self._asked = self._saved = False  # for a savepoint; it was taken
        self._looked = 0.0

    @property
    @override
    def resume_options(self) -> list[str]:
        if self.checkpoint is None or self.draining:  # a drained stream's checkpoints have ended
            return super().resume_options
        return [*super().resume_options, f"--savepoint_path={find_newest(self.checkpoint)}"]

    @override
    def tick(self) -> None:
        if time.monotonic() < self._looked + LOOK_SECONDS:
            return
        with suppress(Unreachable):  # a cluster that is away for good fails the job
            self._look()
            self._give_up()
        self._looked = time.monotonic()

    def _seek(self) -> None:
        if self._job is None:
            new = [job for job in self.cluster.jobs(self.name) if job not in self._before]
            self._job = new[-1] if new else None

    def _look(self) -> None:
        self._seek()
        if self._job is None:
            return
        if not self._saved:  # else Flink may still name an older checkpoint than the savepoint
            self.checkpoint = self._job.last_checkpoint() or self.checkpoint
        restarts = self._job.restarts()
        self.failure = self._job.failure() or self.failure
        if restarts > self.restarts:
            line = f"Flink has restarted the job from its last checkpoint ({restarts} times)"
            self.show(f"{line}: {self.failure}" if self.failure else line)
        self.restarts = max(restarts, self.restarts)

    def _give_up(self) -> None:
        """Raises for a failure that every restart meets again: bytes of another version."""
        kind, _, message = (self.failure or "").partition(": ")
        if kind.rpartition(".")[2] == OtherVersion.__name__:
            self.checkpoint = None  # it holds them too
            raise OtherVersion(message)

    @override
    def has_ended(self) -> bool:
        return self.folder.has_ended()

    @override
    def on_cancel(self) -> None:
        # A job server that cancels a job only forgets it: Flink goes on with it, or starts it
        # even then.
        try:
            self._find()
            if self._job is not None:
                with suppress(Unreachable):  # it has no checkpoints while it initializes
                    self._look()
                self._job.cancel()
        except Unreachable as error:
            self.show(f"not known to be cancelled, look at the cluster: {error}")

    def _find(self) -> None:
        self._seek()
        if self._job is None:
            self.show("waiting until Flink has started the job, to cancel it")
        until = time.monotonic() + START_SECONDS
        while self._job is None and time.monotonic() < until:
            time.sleep(0.5)
            self._seek()

    @override
    def on_interrupt(self) -> bool:
        if self.settings.on_interrupt != "savepoint" or self._job is None or self._asked:
            return super().on_interrupt()
        self._asked = True
        self.show("taking a savepoint; Ctrl-C again cancels without one")
        try:
            self.checkpoint, self._saved = self._job.savepoint(), True
        except Unreachable as error:
            self.show(f"no savepoint: {error}; the job goes on; Ctrl-C again cancels it")
            return True
        return False
