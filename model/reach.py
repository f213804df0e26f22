"""File systems far away: given their options, and asked whether they answer before a run waits.

The clients of object stores try again for minutes where there is no network.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from queue import Empty, Queue

from model import files
from model.errors import UserError
from model.remote import set_options
from model.schemes import check_scheme
from model.wording import first_line

PATIENCE = 10.0
"""Seconds in which the first answer has to come."""
_prepared: list[bool] = []
"""Not empty once Beam's file systems have options."""


def prepare_file_systems(
    paths: Iterable[str | None], beam_options: Sequence[str] | None = None
) -> None:
    """Gives Beam's file systems their options, without which some refuse to work.

    A pipeline does so too, but files are looked for before there is one.

    Args:
        paths: what will be opened; nothing is done if all are local.
        beam_options: options of Beam's, as ``--hdfs_host=...``; None: those of before.
    """
    if all(path is None or "://" not in path for path in paths):
        return
    if beam_options is None and _prepared:
        return
    set_options(beam_options or ())
    _prepared.append(True)


def reach(path: str, option: str, patience: float = PATIENCE) -> None:
    """Asks a file system far away for a file, whether it is there or not.

    Args:
        path: the file's; a local one, or of a scheme that Beam does not know, is not looked at.
        option: what the path was given for, for the message.
        patience: seconds in which it has to answer.

    Raises:
        UserError: if it does not answer in time, or what its client raises is not an answer.
    """
    if not is_known(path):
        return
    check_scheme(path, option)
    answers: Queue[Exception | None] = Queue()
    threading.Thread(target=_ask, args=(path, answers), daemon=True).start()
    try:
        error = answers.get(timeout=patience)
    except Empty:
        raise UserError(
            f"{option} {path}: does not answer within {patience:.0f} s: is there a network, and "
            "are there credentials?"
        ) from None
    if error is not None:
        raise UserError(f"{option} {path}: cannot be reached: {first_line(error)}") from error


def is_known(path: str) -> bool:
    """Whether a path is on a file system that Beam knows, if its package is installed.

    Example:
        >>> is_known("gs://bucket/a"), is_known("foo://a")
        (True, False)
    """
    return path.partition("://")[0].lower() in ("gs", "s3", "azfs", "hdfs")


def _ask(path: str, answers: Queue[Exception | None]) -> None:
    try:
        files.exists(path)
    except Exception as error:  # whatever a client raises
        answers.put(error)
    else:
        answers.put(None)
