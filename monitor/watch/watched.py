"""A run that is watched: the content of its folder, as of the last look."""

from __future__ import annotations

from collections.abc import Mapping

from model.display import ENDED
from model.runs import RunFolder
from model.wording import format_count
from monitor.watch.follower import RunFollower, Update
from monitor.watch.status import RunStatus
from monitor.watch.view import View


class WatchedRun:
    """A run, from its folder.

    Args:
        folder: the run's.

    Raises:
        UserError: if it holds no run.

    Attributes:
        status: the run's.
        seen: what it has written.
        trouble: why the folder could not be looked at the last time; empty if it could.
    """

    def __init__(self, folder: RunFolder) -> None:
        folder.check()
        settings = folder.parse_settings(folder.read_settings())
        self.title = f"{settings.data_schema.name} -> {folder.path}"
        self.status = RunStatus(folder, settings.live)
        self.seen = RunFollower(folder, settings.clock)
        self.trouble = ""
        self._folder = folder

    def look(self) -> Update:
        """Looks at the folder; gives what is new.

        The status goes first, so that of a run that has ended all reports are seen.

        Raises:
            UserError: if the status is not what a run writes, or there is no run any more.
        """
        try:
            self.status.look()
            new = self.seen.look()
            self.trouble = explain_skipped(self.seen.damaged)
        except OSError as error:
            self.trouble = f"the folder is not reached: {error.strerror or error}"
            return Update({}, {})
        if new.reports:
            self.status.mark_alive()
        if self.status.status is None:
            self._folder.read_settings()
        return new

    @property
    def state(self) -> str:
        """The run's; ``stale`` if it gives no sign of life, ``done`` if nobody records its end."""
        state = self.status.state
        return "done" if self._has_ended_alone(state) else state

    def _has_ended_alone(self, state: str) -> bool:
        """Whether a run without a launcher (as on Dataflow, or if it was killed) is at its end."""
        try:
            return state in ("starting", "stale") and self._folder.has_ended()
        except OSError:
            return False

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in (*ENDED, "stale")

    def view(self) -> View:
        """The run's picture."""
        trouble = [self.trouble] if self.trouble else []
        return View(self.title, self.state, [*trouble, *self.status.summary()], self.seen)

    def farewell(self) -> str:
        """The line to show when it is over."""
        if self.state == "stale":
            return (
                f"no sign of life for {self.status.age:,.0f} s: the run was killed, "
                "or its launcher is out of reach"
            )
        count = self.seen.reports.count
        are = f"{format_count(count, 'refresh')} {'is' if count == 1 else 'are'}"
        return f"the run has ended ({self.state}): {are} reported"


def explain_skipped(damaged: Mapping[str, str]) -> str:
    """The message for files that cannot be read; empty without any.

    Example:
        >>> explain_skipped({"a/b.json": "is not what a run writes: rows: is missing"})
        'skipped a/b.json: is not what a run writes: rows: is missing'
    """
    if not damaged:
        return ""
    path, reason = list(damaged.items())[-1]
    others = f"{len(damaged):,} files, the last " if len(damaged) > 1 else ""
    return f"skipped {others}{path}: {reason}"
