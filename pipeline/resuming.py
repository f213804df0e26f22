"""What a run that is resumed takes from the run before: every option that is not given again.

``--resume --output FOLDER`` is enough: the options that decide a run's files stand in its
settings.json. One that is given again with another value is refused (``pipeline.folder``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.errors import UserError
from model.reach import prepare_file_systems
from model.runs import RunFolder
from model.schema import Schema
from pipeline.folder import ADDED
from pipeline.settings import AUTO, RENAMED, Settings

DEFAULTS = {"every": "window", "latency": "every"}
"""Options that have the value of another one, unless they are given."""


def complete(
    values: dict[str, Any], beam_options: Sequence[str] = ()
) -> tuple[dict[str, Any], Schema | None]:
    """The options of a run, with those of the run that it resumes or replays.

    Args:
        values: the options that are given, by name.
        beam_options: those of Beam's file systems, as on a command line.

    Returns:
        All options, and the schema of the run before; None if another is given, no run is resumed,
        or its settings.json cannot be read (then nothing shows what its options were).
    """
    replayed = values.get("replay") and not values.get("resume")
    if not replayed and (not values.get("resume") or not values.get("output")):
        return values, None
    path = str(values["replay" if replayed else "output"])
    prepare_file_systems([path], beam_options)
    try:
        before = ADDED | RunFolder(path).read_settings()
    except UserError:
        if replayed:
            raise
        return values, None
    given = {name: value for name, value in values.items() if value is not None}
    if given.get("window") in ("auto", AUTO):
        del given["window"]  # what it came to is kept
    kept = {RENAMED.get(name, name): value for name, value in before.items()}
    found = {name: value for name, value in kept.items() if name in Settings.model_fields}
    if found.get("source") == "kafka":
        del found["live"]  # a topic is live by its other options
    for name, other in DEFAULTS.items():  # it follows the other, if that is given now
        if (other in given or other not in found) and found.get(name) == kept.get(other):
            found.pop(name, None)
    schema = None if "schema_file" in given else _schema_of(before)
    return {**found, **given}, schema


def _schema_of(before: dict[str, Any]) -> Schema | None:
    try:
        return Schema.model_validate(before["schema"])
    except (KeyError, ValueError):
        return None  # the difference is reported with the others
