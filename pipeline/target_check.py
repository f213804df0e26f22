"""Whether a target fits its task: before a job runs on files, and when a run has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from model.runs import RunFolder
from model.schema import Schema
from model.statistics import Numeric
from model.store import DamagedArtefact, Store
from monitor.report.rejects import count_reasons
from pipeline.category_check import reading_input
from pipeline.settings import Settings
from reading.targets import CLASSIFY, REGRESS, check_first_target


def check_target_rows(settings: Settings, warn: Callable[[str], None]) -> None:
    """Checks the target of the files' first rows, as a run does.

    Args:
        settings: all options; the input is files, and their rows have the target.
        warn: takes a line on what may be a mistake.

    Raises:
        UserError: if there are no files, one cannot be read, or the target is of another task.
    """
    with reading_input(settings):
        check_first_target(str(settings.input), settings.row_schema, warn)


def warn_of_target(folder: RunFolder, schema: Schema) -> Iterator[str]:
    """Lines on a target that is not of its task, by what a run has written.

    They are for a source of the user's own, whose first rows nobody has looked at.

    Args:
        folder: of a run that has ended.
        schema: of its rows.
    """
    if schema.classifies:
        reports = folder.reports()
        unseen, labelled = (
            sum(getattr(report, name, None) or 0 for report in reports)
            for name in ("unseen", "labelled")
        )
        if 2 * unseen > labelled:
            yield (
                f"warning: column {schema.target!r} (the target): {unseen:,} of {labelled:,} "
                f"scored rows are of a class that their model's window had not: to predict a "
                f"number {REGRESS}"
            )
    elif _is_text(folder, schema):
        yield f"column {schema.target!r} (the target): {CLASSIFY}"
    elif _is_binary(folder, schema):
        yield (
            f"warning: column {schema.target!r} (the target): all values are 0 and 1, or false "
            f"and true: {CLASSIFY}"
        )


def _is_text(folder: RunFolder, schema: Schema) -> bool:
    """Whether most rows were rejected since their target is no number."""
    rejected = sum(report.rejected for report in folder.reports())
    read = sum(report.rows for report in folder.reports()) + rejected
    if 2 * rejected <= read:
        return False
    kinds, _ = count_reasons(folder, schema, False)
    return bool(kinds) and kinds[0].example.startswith(f"column {schema.target!r}: ")


def _is_binary(folder: RunFolder, schema: Schema) -> bool:
    """Whether the newest model's targets are 0 and 1 alone, by their mean and variance."""
    store = Store(folder.models)
    with suppress(FileNotFoundError, DamagedArtefact):
        for newest in store.names()[-1:]:
            found = store.manifest(newest).statistics.get(schema.target)
            if not isinstance(found, Numeric) or (found.min, found.max) != (0, 1):
                return False
            assert found.mean is not None and found.variance is not None
            # of values from 0 to 1 the squares add up to the values only if all are 0 or 1
            return abs(found.variance - found.mean * (1 - found.mean)) < 1e-9
    return False
