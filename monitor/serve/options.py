"""The server's options, from a command line."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.errors import UserError
from model.store import is_name
from monitor.commandline import Parser

NEWEST, LATEST = "newest", "latest"
"""The model that serves by default; both names mean it."""
KEY = "CORRENTEZA_API_KEY"
"""The environment's variable with the API key."""
SHORTEST = 16
EXAMPLES = f"""\
examples:
  python -m pipeline serve runs/latest                          on http://127.0.0.1:8000
  python -m pipeline serve runs/latest --model 20260101T001200Z
  {KEY}=... python -m pipeline serve runs/latest --host 0.0.0.0

There is no TLS: beyond this machine, put a proxy that has it before the server.
"""


@dataclass(frozen=True)
class Options:
    """The options of a server.

    Attributes:
        folder: of the run.
        host: the address that it listens on.
        port: 0 is any that is free.
        model: the name of the model that serves, or ``newest``.
        max_body: bytes of a request's body, at the most.
        max_rows: of a request, at the most.
        timeout: seconds in which a body has to arrive, and then to be answered.
        poll: seconds between looks at the run's folder.
        key: what a request has to show, or None.
        record: the folder in which answered questions and labels are recorded, or None.
        record_bytes: of all its files, at the most.
    """

    folder: str
    host: str = "127.0.0.1"
    port: int = 8000
    model: str = NEWEST
    max_body: int = 16 << 20
    max_rows: int = 100_000
    timeout: float = 30.0
    poll: float = 1.0
    key: str | None = field(default=None, repr=False)
    record: str | None = None
    record_bytes: int = 10 << 30

    @property
    def local(self) -> bool:
        """Whether nobody beyond this machine can reach the server."""
        return is_loopback(self.host)


def parser() -> Parser:
    """The parser of ``python -m pipeline serve``."""
    made = Parser(
        prog="python -m pipeline serve",
        description="Predictions of a run's models, over HTTP. /openapi.json describes the API.",
        epilog=EXAMPLES,
    )
    add = made.add_argument
    made.add_folder()
    add("--host", default=Options.host, help="the address to listen on (127.0.0.1)")
    add("--port", type=int, default=Options.port, help="0: any that is free (8000)")
    add("--model", default=NEWEST, metavar="NAME", help="which serves (newest)")
    add("--max-body", type=float, default=16.0, metavar="MIB", help="of a request (16)")
    add("--max-rows", type=int, default=Options.max_rows, metavar="N", help="(100000)")
    add("--timeout", type=float, default=Options.timeout, metavar="S", help="of a request (30)")
    add("--poll", type=float, metavar="S", help="between looks at the run's folder (1)")
    add("--refresh", type=float, help=argparse.SUPPRESS)  # the old name of --poll
    add("--record", metavar="FOLDER", help="keep answered questions and labels here, for a run")
    add(
        "--record-bytes",
        type=int,
        default=Options.record_bytes,
        metavar="N",
        help="of all these files; then it stops (10 GiB)",
    )
    add("--api-key-file", metavar="FILE", help=f"a file with the API key (or {KEY} is set)")
    add("--no-api-key", action="store_true", help="beyond this machine, too, none is asked for")
    return made


def options_from(argv: list[str]) -> Options:
    """Options from a command line, and the API key from its file or from the environment.

    Raises:
        UserError: names the option that is not allowed, its value, and what is. One is an
            address beyond this machine without an API key: who reaches it reads all data.

    Example:
        >>> options_from(["runs/a", "--port", "0", "--max-body", "1"]).max_body
        1048576
    """
    given = parser().parse_args(argv)
    _rename_old(given)
    _check(given)
    key = None if given.no_api_key else _key(given.api_key_file)
    if key is None and not given.no_api_key and not is_loopback(given.host):
        raise UserError(
            f"--host {given.host}: others could read the run without an API key: set {KEY}, or "
            "--api-key-file FILE, or, if a proxy before the server asks for one, --no-api-key"
        )
    taken = (
        "folder",
        "host",
        "port",
        "model",
        "max_rows",
        "timeout",
        "poll",
        "record",
        "record_bytes",
    )
    rest: dict[str, Any] = {name: getattr(given, name) for name in taken}
    if given.model == LATEST:
        rest["model"] = NEWEST
    return Options(**rest, max_body=int(given.max_body * (1 << 20)), key=key)


def _rename_old(given: argparse.Namespace) -> None:
    """Takes an option's value from its old name, with a warning.

    Raises:
        UserError: if both names are given.
    """
    if given.refresh is not None:
        if given.poll is not None:
            raise UserError("--poll and --refresh: only --poll may be given")
        print("--refresh is called --poll now; the next release refuses it", file=sys.stderr)
        given.poll = given.refresh
    if given.poll is None:
        given.poll = Options.poll


def _check(given: argparse.Namespace) -> None:
    rules: dict[str, tuple[Callable[[Any], bool], str]] = {
        "port": (lambda port: 0 <= port <= 65535, "0 to 65535"),
        "model": (
            lambda name: name in (NEWEST, LATEST) or is_name(name),
            "newest, or the name of a model",
        ),
        "max_body": (lambda size: 0 < size <= 1024, "above 0 and at most 1024 MiB"),
        "max_rows": (lambda rows: 1 <= rows <= 10_000_000, "1 to 10000000"),
        "record_bytes": (lambda size: size >= 1, "1 or greater"),
        "timeout": (lambda seconds: 0 < seconds <= 3600, "above 0 and at most 3600 seconds"),
        "poll": (lambda seconds: 0.01 <= seconds <= 3600, "0.01 to 3600 seconds"),
    }
    for name, (holds, allowed) in rules.items():
        value = getattr(given, name)
        if not holds(value):
            raise UserError(f"--{name.replace('_', '-')} {value}: must be {allowed}")


def _key(path: str | None) -> str | None:
    place, key = KEY, os.environ.get(KEY)
    if path is not None:
        place = f"--api-key-file {path}"
        try:
            key = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not ASCII text"
            raise UserError(f"{place}: cannot be read: {reason}") from error
    if key is not None and (len(key) < SHORTEST or not key.isascii() or not key.isprintable()):
        raise UserError(f"{place}: must be a key of at least {SHORTEST} printable ASCII characters")
    return key


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's alone.

    Example:
        >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
