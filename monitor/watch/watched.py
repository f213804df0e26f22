"""A run that is watched: all that its folder says, as of the last look."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field, ValidationError

from model import files
from model.errors import UserError
from model.runs import RunFolder, check_folder, earlier
from model.schema import Schema, explain
from model.wording import format_count
from monitor.watch.following import Following, New
from monitor.watch.status import ENDED, Standing
from monitor.watch.view import View


class Settings(BaseModel):
    """Of a run's settings.json, what is shown or decides what is."""

    meaning: Schema = Field(alias="schema")
    live: bool = False


class Watched:
    """A run, from its folder.

    Args:
        folder: the run's.

    Raises:
        UserError: if it holds no run.

    Attributes:
        standing: how the run stands.
        seen: what it has written.
        trouble: why the folder could not be looked at the last time; empty if it could.
    """

    def __init__(self, folder: RunFolder) -> None:
        check_folder(folder)
        found = earlier(folder)
        try:
            settings = Settings.model_validate(found)
        except ValidationError as error:
            raise UserError(f"{folder.settings}: is not a run's: {explain(error)}") from error
        self.title = f"{settings.meaning.name} -> {folder.path}"
        self.standing = Standing(folder, settings.live)
        self.seen = Following(folder)
        self.trouble = ""
        self._folder = folder

    def look(self) -> New:
        """Looks at the folder; gives what is new.

        The status goes first, so that of a run that has ended all reports are seen.

        Raises:
            UserError: if the status is not what a run writes, or there is no run any more.
        """
        try:
            self.standing.look()
            new = self.seen.look()
            self.trouble = skipped_files(self.seen.damaged)
        except OSError as error:
            self.trouble = f"the folder is not reached: {error.strerror or error}"
            return New({}, {})
        if new.reports:
            self.standing.moved()
        if self.standing.status is None:
            earlier(self._folder)
        return new

    @property
    def state(self) -> str:
        """The run's; ``stale`` if it gives no sign of life, ``done`` if nobody tells of its end."""
        state = self.standing.state
        return "done" if self._ended_alone(state) else state

    def _ended_alone(self, state: str) -> bool:
        """Whether a run without a launcher (as on Dataflow, or if it was killed) is at its end."""
        try:
            return state in ("starting", "stale") and files.exists(self._folder.ended)
        except OSError:
            return False

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in (*ENDED, "stale")

    def view(self) -> View:
        """The run's picture."""
        trouble = [self.trouble] if self.trouble else []
        return View(self.title, self.state, [*trouble, *self.standing.told()], self.seen)

    def farewell(self) -> str:
        """What is said when it is over."""
        if self.state == "stale":
            return (
                f"no sign of life for {self.standing.age:,.0f} s: the run was killed, "
                "or its launcher is out of reach"
            )
        count = self.seen.reports.count
        are = f"{format_count(count, 'refresh')} {'is' if count == 1 else 'are'}"
        return f"the run has ended ({self.state}): {are} reported"


def skipped_files(damaged: Mapping[str, str]) -> str:
    """The message for files that cannot be read; empty without any.

    Example:
        >>> skipped_files({"a/b.json": "is not what a run writes: rows: is missing"})
        'skipped a/b.json: is not what a run writes: rows: is missing'
    """
    if not damaged:
        return ""
    path, reason = list(damaged.items())[-1]
    others = f"{len(damaged):,} files, the last " if len(damaged) > 1 else ""
    return f"skipped {others}{path}: {reason}"
