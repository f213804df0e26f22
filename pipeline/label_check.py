"""What ``check`` says of files of labels: do they match the questions?"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from model.reach import prepare_file_systems
from model.runs import RunFolder
from pipeline.label_ids import read_ids, warn_of_ids
from pipeline.settings import Settings
from pipeline.source import plan_files, plan_labels
from pipeline.window import choose


class LabelCheck(NamedTuple):
    """What was found.

    Attributes:
        settings: with the window that the files ask for, if none was given.
        warnings: a line each.
    """

    settings: Settings
    warnings: tuple[str, ...]


def check_labels(
    settings: Settings, beam_options: list[str], show: Callable[[str], None]
) -> LabelCheck:
    """Looks at the files of questions and of labels, and compares the first rows of both.

    Args:
        settings: all options, of a job on files whose labels are a stream of their own.
        beam_options: by which file systems are reached.
        show: called with a line, often, on how far that is.

    Raises:
        UserError: as for a run, if the files cannot be read as the schema has them.
    """
    settings = settings.model_copy(update={"resume": False})
    prepare_file_systems([settings.input, settings.labels], beam_options)
    warnings: list[str] = []
    questions = plan_files(settings, show, warn=warnings.append)
    labels = plan_labels(settings, RunFolder(settings.output or ""), show, warnings.append)
    chosen = choose(questions, settings).settings
    seen = read_ids(questions, labels, settings.row_schema)
    return LabelCheck(chosen, (*warnings, *warn_of_ids(seen, chosen.clock)))
