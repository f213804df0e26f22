"""Prism: Beam's local streaming runner, a process beside this one."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.runners.requirements import (
    Requirement,
    add_defaults,
    option_value,
    require_job_server,
)
from pipeline.settings import Settings

FOR_EVER = "31536000"
"""Seconds. Beam waits no longer for a job on Prism than for its job server: 300 s, by default."""


def find_prism() -> str | None:
    """The path of Prism, as ``make prism`` built it or on the PATH; None without one."""
    built = Path(__file__).parents[2] / ".tools" / "prism"
    return str(built) if built.is_file() else shutil.which("prism")


def requirements(settings: Settings, beam_options: list[str]) -> Iterator[Requirement]:
    """What Prism requires: that it is there."""
    what = "Prism, as a program"
    given = option_value(beam_options, "--prism_location")
    endpoint = option_value(beam_options, "--job_endpoint")
    if endpoint is not None:
        yield require_job_server(
            endpoint, "make prism builds it, and without --job_endpoint it is started"
        )
    elif given and "://" in given:
        yield Requirement(what)  # Beam downloads it
    elif given is not None and not _runs(given):
        problem = f"--prism_location {given}: is not a program"
        yield Requirement(what, problem, "make prism builds one")
    elif given is None and find_prism() is None:
        yield Requirement(
            what,
            "--runner prism: Prism is not at hand",
            "make prism builds it (needs Go), or --prism_location names one",
        )
    else:
        yield Requirement(what)


def _runs(path: str) -> bool:
    """Whether Beam takes a file as Prism: a program, or the zip of a release."""
    is_zip = zipfile.is_zipfile(path)
    return Path(path).is_file() and (is_zip or os.access(path, os.X_OK))


def beam_options_for(settings: Settings, beam_options: list[str]) -> list[str]:
    """Beam's options for a job on it: where it is, unless they say so."""
    if option_value(beam_options, "--job_endpoint") is not None:
        return beam_options
    defaults = {"--prism_location": str(find_prism()), "--job_server_timeout": FOR_EVER}
    return add_defaults(beam_options, defaults)
