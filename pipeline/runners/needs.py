"""What a runner needs to carry a job: preflight refuses by it, ``check`` shows it."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterable
from typing import NamedTuple

from model.errors import UserError


class Need(NamedTuple):
    """One thing that a runner needs for a job.

    Attributes:
        what: the thing, in a few words.
        lacks: what is wrong; empty if nothing is.
        way_out: what brings it, or what to do instead; empty if nothing is wrong.
    """

    what: str
    lacks: str = ""
    way_out: str = ""

    @property
    def met(self) -> bool:
        """Whether nothing is wrong."""
        return not self.lacks


def refuse(needs: Iterable[Need]) -> None:
    """Raises for the first need that is not met; those behind it are not looked at.

    Raises:
        UserError: says what is wrong, and the way out.

    Example:
        >>> refuse([Need("Java", "no java is on the PATH", "install Java 17")])
        Traceback (most recent call last):
        ...
        model.errors.UserError: no java is on the PATH: install Java 17
    """
    for need in needs:
        if not need.met:
            raise UserError(f"{need.lacks}: {need.way_out}")


def value_of(words: list[str], name: str) -> str | None:
    """The value that Beam's words give an option; the last one counts, None without one.

    Example:
        >>> value_of(["--parallelism=2", "--job_endpoint", "a:1"], "--job_endpoint")
        'a:1'
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(name, dest="value", nargs="?", const="true")
    value: str | None = parser.parse_known_args(words)[0].value
    return value


def with_defaults(words: list[str], defaults: dict[str, str]) -> list[str]:
    """Beam's words, and those options that they do not name; an empty default is a flag.

    Example:
        >>> with_defaults(["--parallelism=4"], {"--parallelism": "2", "--streaming": ""})
        ['--parallelism=4', '--streaming']
    """
    missing = {name: value for name, value in defaults.items() if value_of(words, name) is None}
    return [*words, *(f"{name}={value}" if value else name for name, value in missing.items())]


def job_server(endpoint: str, way_out: str) -> Need:
    """That Beam's job server answers, at ``HOST:PORT``.

    Args:
        endpoint: where.
        way_out: what starts one.
    """
    what = "Beam's job server"
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        return Need(what, f"--job_endpoint={endpoint}", "HOST:PORT is allowed, as localhost:8099")
    try:
        with socket.create_connection((host, int(port)), timeout=2):
            return Need(what)
    except (OSError, OverflowError) as error:
        lacks = f"no job server of Beam's answers at {endpoint} ({error})"
        return Need(what, lacks, f"{way_out}; another: --job_endpoint=HOST:PORT")
