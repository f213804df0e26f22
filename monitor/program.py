"""The program as the user calls it: its name, and the command that adds a missing package."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

MODULE = "python -m pipeline"
"""How help texts and messages call the program; ``as_called`` puts the user's way in its place."""
ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages."""


def call(argv: Sequence[str], original: Sequence[str]) -> str:
    """The command that started this process, ready for a shell.

    Args:
        argv: ``sys.argv``.
        original: ``sys.orig_argv``, the interpreter's own command line.

    Example:
        >>> call(["/a/pipeline/__main__.py"], [".venv/bin/python", "-m", "pipeline", "--live"])
        '.venv/bin/python -m pipeline'
        >>> call([".venv/bin/correnteza"], [".venv/bin/python", ".venv/bin/correnteza"])
        '.venv/bin/correnteza'
    """
    for end in range(2, len(original)):
        if list(original[end - 1 : end + 1]) == ["-m", "pipeline"]:
            return shlex.join(original[: end + 1])
    script = argv[0] if argv else ""
    if Path(script).name != "correnteza":
        return MODULE
    found = shutil.which("correnteza")
    return "correnteza" if found and os.path.samefile(found, script) else shlex.quote(script)


def as_called(text: str) -> str:
    """A text about ``python -m pipeline`` with the program's name as the user called it."""
    return text.replace(MODULE, call(sys.argv, sys.orig_argv))


def remedy(extra: str = "") -> str:
    """The command that installs an optional part of the project.

    Args:
        extra: the part's name in setup.py; empty: what every part needs.
    """
    if (ROOT / "Makefile").is_file() and (ROOT / "setup.py").is_file():
        here = Path.cwd().resolve() == ROOT
        return "make setup" if here else f"make -C {shlex.quote(str(ROOT))} setup"
    return f"pip install 'correnteza[{extra}]'" if extra else "pip install --upgrade correnteza"
