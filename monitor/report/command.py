"""The command line of the report: what it takes, where it writes."""

from __future__ import annotations

import html
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePath

from model import files
from model.errors import UserError
from model.runs import RunFolder
from monitor.commandline import Parser
from monitor.console import consoles, show_status
from monitor.program import remedy

EXAMPLES = """\
examples:
  python -m pipeline report runs/latest                         writes report.html here
  python -m pipeline report runs/latest --to /tmp/flights.html --models 200

It may be made while the run goes on. It is made of the run's folder alone, needs no network,
and can be sent as one file.
"""
NEEDED = ("jinja2", "markupsafe", "matplotlib")


def parser() -> Parser:
    """The parser of ``python -m pipeline report``."""
    made = Parser(
        prog="python -m pipeline report",
        description="A run as one HTML file: its error, its features, its models, its rejects.",
        epilog=EXAMPLES,
    )
    made.add_folder()
    made.add_argument(
        "--to",
        metavar="FILE",
        help="the file to write (report.html, or report-RUN.html if that is another run's)",
    )
    made.add_argument(
        "--models", metavar="N", type=int, default=50, help="show the newest N models (50)"
    )
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        UserError: for a folder that holds no run or a file of it that is not what a run
            writes; if the report cannot be written; if what draws it is not installed.
    """
    given = parser().parse_args(argv)
    if given.models < 0:
        raise UserError(f"--models {given.models}: must be >= 0")
    out, err = consoles()
    path = follow_link(given.folder.rstrip("/") or "/")
    with show_status(err, "reading the run") as show:
        report = make(RunFolder(path), given.models, show)
    to = given.to or free_name(path)
    write(to, report)
    out.print(f"report: {to} ({len(report) / 1000:,.0f} kB)", soft_wrap=True)
    return 0


def follow_link(path: str) -> str:
    """The folder that a link, as ``runs/latest``, points to; any other path as it is."""
    if not files.is_local(path) or not os.path.islink(path):
        return path
    target = os.path.join(os.path.dirname(path), os.readlink(path))
    return os.path.normpath(target)


def free_name(run: str) -> str:
    """The report's file in the current folder: one that holds no other run's report.

    Args:
        run: the run's folder.
    """
    stem = f"report-{PurePath(os.path.abspath(run)).name}"
    names = itertools.chain(["report", stem], (f"{stem}-{n}" for n in itertools.count(2)))
    return next(f"{name}.html" for name in names if _is_free(f"{name}.html", run))


def _is_free(path: str, run: str) -> bool:
    """Whether nothing is there, or a report of the same run, which names its folder."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    except (OSError, UnicodeDecodeError):
        return False
    return re.search(re.escape(html.escape(run)) + r"(?![\w./-])", text) is not None


def make(folder: RunFolder, models: int, show: Callable[[str], None]) -> bytes:
    """The report of a run, UTF-8.

    Args:
        folder: the run's.
        models: how many of the newest are shown.
        show: called with a line for each thing that is being done.

    Raises:
        UserError: as ``main``.
    """
    folder.check()
    try:
        from monitor.report.page import make_page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in NEEDED:
            raise UserError(
                f"the report needs {error.name}, which is not installed: {remedy('serve')}"
            ) from error
        raise
    return make_page(folder, models, show).encode()


def write(path: str, report: bytes) -> None:
    """Writes the report, whole or not at all.

    Raises:
        UserError: if it cannot be written there.
    """
    try:
        files.write_whole(path, report)
    except (OSError, ValueError) as error:  # a file system that Beam does not know
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--to {path}: cannot be written: {reason}") from error
