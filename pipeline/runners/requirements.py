"""What a runner requires of a job: a run is refused by it, ``check`` shows it."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterable
from typing import NamedTuple

from model.errors import UserError


class Requirement(NamedTuple):
    """One thing that a runner requires for a job.

    Attributes:
        what: the thing, in a few words.
        problem: what is wrong; empty if nothing is.
        remedy: how to get it, or what to do instead; empty if nothing is wrong.
    """

    what: str
    problem: str = ""
    remedy: str = ""

    @property
    def met(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def check_requirements(requirements: Iterable[Requirement]) -> None:
    """Raises for the first requirement that is not met; those after it are not looked at.

    Raises:
        UserError: says what is wrong, and what to do.

    Example:
        >>> check_requirements([Requirement("Java", "no java is on the PATH", "install Java 17")])
        Traceback (most recent call last):
        ...
        model.errors.UserError: no java is on the PATH: install Java 17
    """
    for one in requirements:
        if not one.met:
            raise UserError(f"{one.problem}: {one.remedy}")


def option_value(beam_options: list[str], name: str) -> str | None:
    """The value of one of Beam's options; the last one counts, None if it is not given.

    Example:
        >>> option_value(["--parallelism=2", "--job_endpoint", "a:1"], "--job_endpoint")
        'a:1'
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(name, dest="value", nargs="?", const="true")
    value: str | None = parser.parse_known_args(beam_options)[0].value
    return value


def add_defaults(beam_options: list[str], defaults: dict[str, str]) -> list[str]:
    """Beam's options, and defaults for those that are not given; an empty default is a flag.

    Example:
        >>> add_defaults(["--parallelism=4"], {"--parallelism": "2", "--streaming": ""})
        ['--parallelism=4', '--streaming']
    """
    missing = {
        name: value for name, value in defaults.items() if option_value(beam_options, name) is None
    }
    return [
        *beam_options,
        *(f"{name}={value}" if value else name for name, value in missing.items()),
    ]


def require_job_server(endpoint: str, remedy: str) -> Requirement:
    """Requires that Beam's job server answers, at ``HOST:PORT``.

    Args:
        endpoint: where.
        remedy: how to start one.
    """
    what = "Beam's job server"
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        return Requirement(
            what, f"--job_endpoint={endpoint}", "must be HOST:PORT, as localhost:8099"
        )
    try:
        with socket.create_connection((host, int(port)), timeout=2):
            return Requirement(what)
    except (OSError, OverflowError) as error:
        problem = f"no job server of Beam's answers at {endpoint} ({error})"
        return Requirement(what, problem, f"{remedy}; another: --job_endpoint=HOST:PORT")
