"""File systems far away, through Beam: loaded only when a path is on one of them.

So opening an artefact of a local store, predicting with it and reading local files need no Beam,
and take none of the half second in which it is imported.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apache_beam.io.filesystems import FileSystems

_SCHEME = re.compile(r"([a-zA-Z][-a-zA-Z0-9+.]*)://")


def file_systems() -> type[FileSystems]:
    """Beam's file systems."""
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def set_options(beam_options: Sequence[str]) -> None:
    """Gives Beam's file systems their options, as on a command line: ``--hdfs_host=...``."""
    from apache_beam.options.pipeline_options import PipelineOptions

    file_systems().set_options(PipelineOptions(list(beam_options)))


def get_scheme(path: str) -> str | None:
    """The scheme of an address, as Beam reads it; None of a local path.

    Example:
        >>> get_scheme("gs://bucket/a"), get_scheme("a/b.csv")
        ('gs', None)
    """
    found = _SCHEME.match(path)
    return None if found is None else found[1]


def storage_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What is raised of a file that cannot be reached: OSError, and Beam's own error.

    For an ``except`` clause: what stands there is evaluated when something has been raised, so
    Beam is loaded by then if it was Beam that raised it.

    Args:
        others: are caught as well.
    """
    module = sys.modules.get("apache_beam.io.filesystem")
    return (OSError, *others, *(() if module is None else (module.BeamIOError,)))
