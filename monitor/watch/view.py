"""A run's picture: a headline, its figures, its error, its refreshes; as large as the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, OverflowMethod, RenderableType
from rich.text import Text

from model.display import ENDED
from model.pooling import find_errors
from monitor.watch.figures import ASCII_BLOCKS, BLOCKS, clean, format_figure, pack_lines, sparkline
from monitor.watch.follower import RunFollower, alert_lines
from monitor.watch.table import ERRORS, VIEWS, error_titles, table

STATES = {"running": "green", "done": "bold green", "failed": "bold red", "stale": "bold red"}
LABEL = 9
"""Letters before an error's line."""
LEAST = 4
"""Minimum number of lines of the table: empty lines, the error and alerts give way to it."""
WAITING = "no report yet: the first comes when its refresh has ended"


@dataclass(frozen=True)
class View:
    """What a terminal shows of a run; it fits itself into width and height.

    Attributes:
        title: which run.
        state: how it stands.
        summary: more of that, a short text each.
        seen: what it has written.
    """

    title: str
    state: str
    summary: Sequence[str]
    seen: RunFollower

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Its lines, from the top; where there are too few, those at the end are missing."""
        height = options.height or console.height - 1  # the last line is the cursor's
        head = list(self._head(options))[: max(height - 2, 1)]
        yield from head
        yield from self._body(console, options, height - len(head))

    def _head(self, options: ConsoleOptions) -> Iterator[Text]:
        state = f"  {clean(self.state, options.encoding)}"
        title = _line(self.title, options)
        title.truncate(max(options.max_width - len(state), 1))
        yield title.append(state, STATES.get(self.state, "yellow"))
        questions = self.seen.questions
        more = [] if questions is None else questions.describe()
        for text in pack_lines([*self.summary, self._models(), *more], options.max_width):
            yield _line(text, options)
        if questions is not None:
            yield _line(VIEWS, options)

    def _models(self) -> str:
        models = self.seen.models
        return f"models kept: {len(models):,}" + (f", newest {models[-1]}" if models else "")

    def _body(
        self, console: Console, options: ConsoleOptions, room: int
    ) -> Iterator[RenderableType]:
        if room > LEAST:
            yield ""
            room -= 1
        if not self.seen.reports.kept:
            yield "no report" if self.state in ENDED else WAITING
            return
        extra = [*self._errors(options), *self._alerts(options)][: max(room - LEAST, 0)]
        yield from extra
        rows = max(room - len(extra) - 1, 1)
        newest = dict(list(self.seen.reports.kept.items())[-rows:])
        yield table(newest, console, options, self.seen.by_question())

    def _errors(self, options: ConsoleOptions) -> Iterator[Text]:
        """The error of the newest refreshes, and the baseline's; each has its own scale."""
        reports = self.seen.reports.kept.values()
        by_question = self.seen.by_question()
        blocks = ASCII_BLOCKS if options.ascii_only else BLOCKS
        name = ERRORS[any(report.classifies for report in reports)]
        errors = list(map(find_errors, reports))
        lines = [
            (name, "cyan", [error for error, _ in errors]),
            ("baseline", "", [baseline for _, baseline in errors]),
        ]
        if by_question is not None:
            asked = [by_question[refresh].error for refresh in self.seen.reports.kept]
            by_label, by_asked, _ = error_titles(name)
            lines[0:1] = [(by_label, *lines[0][1:]), (by_asked, "cyan", asked)]
        indent = max(LABEL, *(len(label) + 1 for label, *_ in lines))
        for label, style, values in lines:
            caption = f" {_range(values, options.max_width)}"
            room = max(options.max_width - indent - len(caption), 1)
            drawn = Text(sparkline(values[-room:], blocks), style)
            yield Text.assemble(label.ljust(indent), drawn, caption, no_wrap=True, overflow="crop")

    def _alerts(self, options: ConsoleOptions) -> Iterator[Text]:
        """The newest alerts."""
        for text in alert_lines(self.seen.alerts.kept.values())[-3:]:
            alert = _line(text, options)
            alert.stylize("yellow")
            yield alert


def _range(values: Sequence[float | None], width: int) -> str:
    """The last of some figures and, where there is room, between which all of them are."""
    known = [value for value in values if value is not None]
    if not known or width < 80:
        return format_figure(values[-1])
    return (
        f"{format_figure(values[-1])} ({format_figure(min(known))} to {format_figure(max(known))})"
    )


def _line(text: str, options: ConsoleOptions) -> Text:
    overflow: OverflowMethod = "crop" if options.ascii_only else "ellipsis"
    return Text(clean(text, options.encoding), no_wrap=True, overflow=overflow)
