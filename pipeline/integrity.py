"""What of a run's folder is not whole: a run that is resumed makes it again.

A power cut, a full disk or a hand may leave files empty, cut short or missing. A refresh counts
as reported only if its report can be read and every file that it names has its size. A window
counts as done only if its model matches its hash, or ``skipped/`` says why it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import NamedTuple

from pydantic import ValidationError

from model import files
from model.asof import format_name, parse_name
from model.metrics import Metrics
from model.runs import RunFolder
from model.store import MODEL, DamagedArtefact, Store, is_name
from pipeline.folder import lacks_settings

SHOWN = 5
"""Maximum number of losses that are listed one by one."""


class Losses(NamedTuple):
    """What of a run's folder is not whole.

    Attributes:
        reports: the reports that are whole, by the start of their refresh, microseconds.
        refreshes: for the start of each other refresh, what is wrong with it.
        windows: for the end of each window that is to be trained again, what is wrong with it.
    """

    reports: dict[int, Metrics]
    refreshes: dict[int, str]
    windows: dict[int, str]

    @property
    def messages(self) -> list[str]:
        """A line each for the first losses, and one that counts the others."""
        found = [*self.refreshes.values(), *self.windows.values()]
        more = len(found) - SHOWN
        rest = [f"and {more:,} more"] if more > 0 else []
        return [*(f"not whole, made again: {problem}" for problem in found[:SHOWN]), *rest]


def find_losses(folder: RunFolder, window: int, every: int, keep: int) -> Losses:
    """Looks for what is not whole in a run's folder.

    Args:
        folder: the run's folder.
        window: a window's length, microseconds.
        every: a refresh's length, microseconds.
        keep: how many old models retention leaves; 0: all.
    """
    reports, refreshes = _check_reports(folder)
    if lacks_settings(folder):
        problem = (
            "settings.json is missing or damaged, so nothing shows that its options were these"
        )
        return Losses({}, dict.fromkeys(sorted({**reports, **refreshes})[:1], problem), {})
    windows = dict(_check_windows(folder))
    last = max(reports, default=None)
    if last is not None:
        models = set(Store(folder.models).names())
        skips = set(filter(is_name, folder.skip_names()))
        known = set(filter(is_name, folder.timed())) - skips  # a refused model was timed, too
        done = known | skips | models
        expected = _kept_models(reports, known, last, keep)
        if known:  # without timing/, a model that retention removed looks like one that is lost
            expected |= _trained_windows(reports, window, every, last) - done
        for name in expected - models:
            windows.setdefault(parse_name(name), f"models/{name} is missing")
    return Losses(reports, refreshes, dict(sorted(windows.items())))


def check_whole(folder: RunFolder) -> None:
    """Checks that all of a run is there when its job has ended.

    Raises:
        RuntimeError: if not: it was removed or changed while the run wrote it.
    """
    _, broken = _check_reports(folder)
    problem = next(iter(broken.values()), None)
    if problem is None and not folder.has_ended():
        problem = f"{PurePath(folder.ended).name} is missing"
    if problem is not None:
        raise RuntimeError(f"{folder.path} was changed while the run wrote into it: {problem}")


def _check_reports(folder: RunFolder) -> tuple[dict[int, Metrics], dict[int, str]]:
    sizes, pruned = _sizes(folder), folder.pruned_before()
    whole, broken = {}, {}
    for name in folder.report_names():
        start = parse_name(name)
        try:
            report = folder.read_report(name)
        except ValidationError:
            broken[start] = f"metrics/{name}.json is damaged"
            continue
        named = report.files or {}
        if start < pruned:
            named = {path: size for path, size in named.items() if path in sizes}
        problem = _check_files(named, sizes)
        if problem is None:
            whole[start] = report
        else:
            broken[start] = problem
    return whole, broken


def _sizes(folder: RunFolder) -> dict[str, int]:
    """The sizes of all files that reports name, by their path in the run's folder."""
    found: dict[str, int] = {}
    parts = (
        "predictions/*/*",
        "sample/*",
        "rejected/*/*",
        "alerts/*",
        "outcomes/*/*",
        "cohorts/*",
        "summaries/*",
    )
    for name in parts:
        found.update(files.list_sizes(folder.path, name))
    return {path[len(folder.path) :].lstrip("/"): size for path, size in found.items()}


def _check_files(named: Mapping[str, int], sizes: Mapping[str, int]) -> str | None:
    """What is wrong with the files of a report; None if they are whole."""
    for path, size in named.items():
        if path not in sizes:
            return f"{path} is missing"
        if sizes[path] != size:
            return f"{path} has {sizes[path]:,} of {size:,} bytes"
    return None


def _check_windows(folder: RunFolder) -> Iterator[tuple[int, str]]:
    """The windows whose model or skip is there and damaged, by their end."""
    for path in (folder.models, folder.refused):
        store = Store(path)
        for name in _names(path, f"*/{MODEL}") | set(store.names()):
            try:
                store.read_verified(name)
            except (FileNotFoundError, DamagedArtefact):
                yield parse_name(name), f"{PurePath(path).name}/{name} is damaged"
    for name in folder.skip_names():
        try:
            folder.read_skip(name)
        except ValidationError:
            yield parse_name(name), f"skipped/{name}.json is damaged"


def _names(folder: str, pattern: str) -> set[str]:
    """The windows' names that stand in the paths of some files."""
    stems = (PurePath(path) for path in files.list_files(folder, pattern))
    found = {path.parent.name if "/" in pattern else path.stem for path in stems}
    return {name for name in found if is_name(name)}


def _kept_models(
    reports: Mapping[int, Metrics], timing: set[str], last: int, keep: int
) -> set[str]:
    """The models that retention left after the last report, of those that are known to be made."""
    served = {report.model for report in reports.values() if report.model}
    made = sorted(name for name in served | timing if name <= format_name(last))
    return set(made[-keep:] if keep else made)


def _holds_lesson(report: Metrics, some_late: bool) -> bool:
    """Whether a row to train on surely counts in a refresh: late ones are not trained on."""
    if report.answered is None:
        return report.rows > report.unlabelled + report.late
    return report.answered > 0 and not some_late  # an answer may be of a late row asked before


def _trained_windows(
    reports: Mapping[int, Metrics], window: int, every: int, last: int
) -> set[str]:
    """The windows, ended by the last report, that surely held a row to train on."""
    some_late = any(report.late for report in reports.values())
    return {
        format_name(end)
        for start, report in reports.items()
        if _holds_lesson(report, some_late)
        for end in range(start + every, min(start + window, last) + 1, every)
    }
