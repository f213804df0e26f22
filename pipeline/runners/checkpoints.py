"""Checkpoints of Flink's: are the files still there that the state in one refers to?

Questions that wait for their labels lie in files, which go when later refreshes are reported and a
checkpoint has that. A job from an older checkpoint would look for them, fail and restart without
end.
"""

from __future__ import annotations

from pathlib import Path

from model import files
from model.asof import parse_name
from model.questions import horizon
from model.runs import RunFolder
from pipeline.settings import Settings


def find_lost_questions(settings: Settings, checkpoint: str) -> str | None:
    """The oldest refresh whose questions a checkpoint needs, and whose files are gone.

    What was reported when the checkpoint was taken follows from the times at which files were
    written, so only folders of this machine are looked at.

    Args:
        settings: all options of a run that is resumed.
        checkpoint: its folder, with a file ``_metadata``; the run has not ended.

    Returns:
        The refresh's name; None if all are there, or that is not known.
    """
    folder = RunFolder(str(settings.output))
    local = files.is_local(folder.path) and files.is_local(checkpoint)
    if settings.row_schema.labels is None or not local:
        return None
    taken = Path(checkpoint, "_metadata").stat().st_mtime_ns
    reports = {path.stem: path.stat().st_mtime_ns for path in Path(folder.metrics).glob("*.json")}
    before = [name for name in folder.report_names() if reports.get(name, taken + 1) <= taken]
    if not before:
        return None
    clock = settings.clock
    # a report that the checkpoint does not have yet can only make this later, never too early
    first = parse_name(before[-1]) - (horizon(clock) - 1) * clock.every
    kept = min((path.name for path in Path(folder.questions).glob("*")), default=None)
    if kept is None:
        return None  # a resumed job begins: it writes them again
    # the oldest go first, so what is younger than one that is there has not been written again yet
    gone = (name for name in before if parse_name(name) >= first and name < kept)
    return next((name for name in gone if folder.read_report(name).rows), None)
