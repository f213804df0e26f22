"""A contest's figures: as a table, as JSON, as a picture."""

from __future__ import annotations

import io
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.contest import Entry, times

PACKAGES = ("apache-beam", "scikit-learn", "numpy", "pyarrow")


def machine() -> str:
    """What this machine is, in a line."""
    cpu = platform.machine()
    result = Path("/proc/cpuinfo")
    if result.exists():
        names = [line for line in result.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(": ")[2] if names else cpu
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    python = sys.version.split()[0]
    return f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, Python {python}, {packages}"


def verdict(held: bool) -> str:
    """Whether a limit is held, in words."""
    return "held" if held else "NOT HELD"


def spread(values: Sequence[float], form: str) -> str:
    """Minimum, median and maximum as text."""
    three = min(values), statistics.median(values), max(values)
    return " / ".join(format(value, form) for value in three)


def table(measured: list[Entry]) -> Table:
    """All figures: minimum / median / maximum."""
    shown = Table(title="of added work, the median; of the loop: minimum / median / maximum")
    for column in ("who", "rows", "rows/s", "of the loop", "start-up s", "peak GiB", "limit", ""):
        shown.add_column(column, justify="left" if column == "who" else "right")
    learner = measured[0].work.learner
    for one in sorted(measured, key=lambda e: e.work.learner, reverse=True):
        if one.work.learner != learner:
            shown.add_section()
            learner = one.work.learner
        shown.add_row(*row(one))
    shown.add_section()
    for learner, name, factor, asked in times(measured):
        held = verdict(factor >= asked)
        message = f"{factor:.3g} times" if factor < 100 else f"{factor:,.0f} times"
        shown.add_row(
            f"{learner}: embedded, by {name}", "", "", message, "", "", f">= {asked:g}", held
        )
    return shown


def row(one: Entry) -> list[str]:
    """A contender's line."""
    share = abs(statistics.median(one.ratios))
    form = ".2f" if share >= 0.05 else ".5f"
    limit = "" if one.share is None else f">= {one.share:g}"
    held = "" if one.held is None else verdict(one.held)
    return [
        f"{one.work.learner}: {one.contender.name}",
        f"{one.work.large - one.work.small:,}",
        f"{statistics.median(one.rates):,.0f}",
        spread(one.ratios, form),
        f"{statistics.median(one.startups):.1f}",
        f"{one.peak / (1 << 30):.2f}",
        limit,
        held,
    ]


def figures(measured: list[Entry]) -> dict[str, Any]:
    """All figures for the JSON file."""
    return {
        "format": 1,
        "machine": machine(),
        "entries": [
            {
                "learner": one.work.learner,
                "name": one.contender.name,
                "rows": [one.work.small, one.work.large],
                "window_rows": one.work.window,
                "seconds": [[run.seconds for run in pair] for pair in one.pairs],
                "cpu_seconds": [[run.cpu for run in pair] for pair in one.pairs],
                "peak_bytes": one.peak,
                "rates": one.rates,
                "ratios": one.ratios,
                "share": one.share,
            }
            for one in measured
        ],
    }


def picture(measured: list[Entry]) -> str:
    """Rates as bars on a logarithmic scale, from the least to the greatest: SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    learners = sorted({one.work.learner for one in measured}, reverse=True)
    with matplotlib.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        drawn = Figure(figsize=(8, 1.2 + 0.28 * len(measured)), layout="constrained")
        for number, learner in enumerate(learners):
            axes = drawn.add_subplot(len(learners), 1, number + 1)
            _bars(axes, learner, [one for one in measured if one.work.learner == learner])
        text = io.StringIO()
        drawn.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _bars(axes: Any, learner: str, some: list[Entry]) -> None:
    result = sorted((statistics.median(one.rates), one.contender.name) for one in some)
    colours = ["#0072b2" if name.startswith("Correnteza") else "#999999" for _, name in result]
    bars = axes.barh([name for _, name in result], [rate for rate, _ in result], color=colours)
    axes.bar_label(bars, [f" {rate:,.0f}" for rate, _ in result], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(right=max(rate for rate, _ in result) * 8)
    axes.set_title(f"{learner}: rows per second of added work", loc="left", fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
