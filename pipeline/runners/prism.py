"""Prism: Beam's local streaming runner, a process beside this one."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.runners.needs import Need, job_server, value_of, with_defaults
from pipeline.settings import Settings

FOR_EVER = "31536000"
"""Seconds. Beam waits no longer for a job on Prism than for its job server: 300 s, by default."""


def prism() -> str | None:
    """The path of a Prism at hand: ``make prism``'s, or that of the PATH; None without one."""
    built = Path(__file__).parents[2] / ".tools" / "prism"
    return str(built) if built.is_file() else shutil.which("prism")


def needs(settings: Settings, words: list[str]) -> Iterator[Need]:
    """What Prism needs for a job: that it is there."""
    what = "Prism, as a program"
    given = value_of(words, "--prism_location")
    endpoint = value_of(words, "--job_endpoint")
    if endpoint is not None:
        yield job_server(endpoint, "make prism builds it, and without --job_endpoint it is started")
    elif given and "://" in given:
        yield Need(what)  # Beam downloads it
    elif given is not None and not _runs(given):
        yield Need(what, f"--prism_location {given}: is no program", "make prism builds one")
    elif given is None and prism() is None:
        yield Need(
            what,
            "--runner prism: Prism is not at hand",
            "make prism builds it (needs Go), or --prism_location names one",
        )
    else:
        yield Need(what)


def _runs(path: str) -> bool:
    """Whether Beam takes a file as Prism: a program, or the zip of a release."""
    is_zip = zipfile.is_zipfile(path)
    return Path(path).is_file() and (is_zip or os.access(path, os.X_OK))


def words_for(settings: Settings, words: list[str]) -> list[str]:
    """Beam's options for a job on it: where it is, unless they say so."""
    if value_of(words, "--job_endpoint") is not None:
        return words
    defaults = {"--prism_location": str(prism()), "--job_server_timeout": FOR_EVER}
    return with_defaults(words, defaults)
