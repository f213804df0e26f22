"""What ``check`` shows of the target of files, before a job runs on them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.category_check import reading_input
from pipeline.settings import Settings
from reading.targets import check_first_target


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
