"""The window of a run on files: given, chosen by the rows (``--window auto``), or refused.

The choice follows from the files and the settings alone, and is written into settings.json as a
number of seconds, so that a resumed run has it without choosing again.
"""

from __future__ import annotations

from typing import NamedTuple

from model.asof import format_iso
from model.durations import to_millis
from model.errors import UserError
from model.wording import format_count, format_duration
from pipeline.settings import AUTO, DAY, Settings, settings_from
from reading import Plan
from reading.outlook import (
    LENGTHS,
    RowTimes,
    WindowCounts,
    times_from_bounds,
    times_from_rows,
)

MOST_WINDOWS = 100_000
"""More windows than these are refused."""
MANY_WINDOWS = 10_000
"""With more windows than these the default of ``--window`` gives way to one that fits."""
NEARLY_ALL, SOME = 0.95, 50
"""A job of ``SOME`` windows or more is refused if this share of them is too small for a model."""
UNITS = {86_400: "d", 3600: "h", 60: "m", 1: "s"}


class Choice(NamedTuple):
    """What a run on files begins with.

    Attributes:
        settings: with a window's length that is settled.
        refreshes: about how many there will be; 0 if there is no row.
        messages: lines for the user: what is read, how many windows it makes, and notes.
    """

    settings: Settings
    refreshes: int
    messages: tuple[str, ...]


def option(seconds: int) -> str:
    """A duration as ``--window`` takes it.

    Example:
        >>> option(604_800), option(90)
        ('7d', '90s')
    """
    unit = next(unit for unit in UNITS if seconds % unit == 0)
    return f"{seconds // unit}{UNITS[unit]}"


def choose(plan: Plan, settings: Settings) -> Choice:
    """Settles the window's length.

    A length that was not given is that of the default, if that fits the rows, else one that does.

    Args:
        plan: of the input.
        settings: all options.

    Raises:
        UserError: if the length that was given makes absurdly many windows, or next to none of
            them can make a model; it proposes one that fits. A resumed run is never refused.
    """
    found = summary(plan)
    if not plan.chunks:
        return Choice(_with_window(settings, settings.window or 60), 0, (found, *plan.messages))
    asked = settings.window == AUTO
    given = asked or settings.has("window")
    length = settings.window or 60
    outlook = times_from_bounds(plan, settings.latest_time).shift(-settings.midnight)
    if asked or not _fits(outlook.windows(length, settings.least_rows)):
        outlook = times_from_rows(plan, settings.row_schema, settings.latest_time)
        outlook = outlook.shift(-settings.midnight)
    seen = outlook.windows(length, settings.least_rows)
    proposed = None
    if asked or not _fits(seen):
        proposed = outlook.proposal(settings.least_rows, _lengths(settings))
    notes: list[str] = []
    if asked or (not given and not settings.resume and _is_better(proposed, outlook, settings)):
        chosen = _with_window(settings, proposed or length)
        how = "--window auto" if asked else f"--window {option(length)} would make {_shape(seen)}"
    else:
        chosen, how = settings, ""
        if not settings.resume:
            refuse_absurd(length, seen, proposed, outlook, settings)
            notes = _warnings(seen, proposed, outlook, settings)
    made = outlook.windows(chosen.window, settings.least_rows)
    refreshes = outlook.windows(chosen.refresh, settings.least_rows).number
    if settings.refresh_count:
        refreshes = min(refreshes, settings.refresh_count)
    line = f"windows of {format_duration(chosen.window)}"
    if chosen.refresh != chosen.window:  # one ends with each refresh
        line, made = (
            f"{line} every {format_duration(chosen.refresh)}",
            made._replace(number=refreshes),
        )
    line = f"{line}: {_shape(made)}"
    windows = f"{line} ({how})" if how else line
    return Choice(chosen, refreshes, (found, windows, *notes, *plan.messages))


def describe_offset(settings: Settings) -> str:
    """When refreshes begin, in a line; "" if that is at multiples of their length in UTC."""
    offset, zone = settings.begin_offset, settings.row_schema.time_zone
    if not offset:
        return ""
    if settings.refresh % DAY == 0:
        minutes = offset % DAY // 60
        line = f"refreshes begin at {minutes // 60:02d}:{minutes % 60:02d} UTC"
    else:
        line = (
            f"refreshes begin {option(offset)} after multiples of {option(settings.refresh)}, UTC"
        )
    if settings.offset is not None:
        return line
    return f"{line}, by the clocks of {zone} without daylight saving (--offset 0: by UTC)"


def summary(plan: Plan) -> str:
    """The files, their bytes and rows, and from when to when they are, in a line."""
    size = sum({file.stored: file.size for file in plan.files}.values())
    files, rows = format_count(len(plan.files), "file"), format_count(plan.rows, "row")
    line = f"{files} ({_bytes(size)}), {rows}"
    if not plan.chunks:
        return line
    first = min(chunk.least for chunk in plan.chunks)
    last = max(chunk.greatest for chunk in plan.chunks)
    return f"{line} from {format_iso(first)} to {format_iso(last)}"


def refuse_absurd(
    length: int, seen: WindowCounts, proposed: int | None, outlook: RowTimes, settings: Settings
) -> None:
    """Refuses a window that was asked for and can only waste the user's time.

    Raises:
        UserError: with the window that is proposed.
    """
    number = min(seen.number, settings.refresh_count or seen.number)
    if proposed is None and number <= MOST_WINDOWS:
        return  # no other would do
    if number > MOST_WINDOWS:
        why = f"must be at most {MOST_WINDOWS:,}"
    elif number >= SOME and seen.few > NEARLY_ALL:
        why = f"a model needs {settings.least_rows} labelled rows (--min-rows)"
    else:
        return
    instead = _proposal(proposed, outlook, settings)
    raise UserError(f"--window {option(length)} makes {_shape(seen)}: {why}: {instead}")


def _warnings(
    seen: WindowCounts, proposed: int | None, outlook: RowTimes, settings: Settings
) -> list[str]:
    if seen.few < 0.5:
        return []
    line = (
        f"{seen.few:.0%} of the windows hold fewer rows than a model needs "
        f"({settings.least_rows}, --min-rows)"
    )
    return [f"{line}: {_proposal(proposed, outlook, settings)}" if proposed else line]


def _proposal(proposed: int | None, outlook: RowTimes, settings: Settings) -> str:
    if proposed is None:
        return "use a longer --window"
    made = _shape(outlook.windows(proposed, settings.least_rows))
    return f"--window {option(proposed)} (or auto) makes {made}"


def _fits(seen: WindowCounts) -> bool:
    return seen.few < 0.5 and seen.number <= MANY_WINDOWS


def _is_better(proposed: int | None, outlook: RowTimes, settings: Settings) -> bool:
    return proposed is not None and _fits(outlook.windows(proposed, settings.least_rows))


def _lengths(settings: Settings) -> list[int]:
    """The windows to choose from that go with the other options."""
    if settings.every is not None:
        many = [-(-length // settings.every) * settings.every for length in LENGTHS]
        return sorted(set(many))
    latency = to_millis(settings.latency or 1)
    return [length for length in LENGTHS if length * 1000 % latency == 0]


def _with_window(settings: Settings, window: int) -> Settings:
    """The settings with another window, checked anew."""
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return settings_from({**given, "window": window}, settings.row_schema)


def _shape(seen: WindowCounts) -> str:
    each = " each" if seen.number != 1 else ""
    return f"{format_count(seen.number, 'window')} of about {format_count(seen.rows, 'row')}{each}"


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000  # type: ignore[assignment]
    raise AssertionError
