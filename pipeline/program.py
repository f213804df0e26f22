"""The program as the user calls it: its name, its commands, what brings a missing package.

Only the standard library is imported here, so that the command line can refuse a folder whose
files hide ours before anything of ours is loaded.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

MODULE = "python -m pipeline"
"""How help texts and messages call the program; ``as_called`` puts the user's way in its place."""
COMMANDS = {
    "ask": "ask a server for predictions, beside what came true",
    "check": "which runner can run this job here, and what is missing",
    "completion": "print a script that completes options in bash, zsh, ...",
    "models": "list, show, verify and prune a run's models",
    "predict": "predict the rows of files with a model of a run",
    "report": "a run as one HTML file",
    "serve": "predictions over HTTP, and a live page",
    "watch": "a run in the terminal, as it goes on",
}
"""Each is a module in ``pipeline``, whose ``main(argv)`` gives the exit code; and its help."""
PACKAGES = ("model", "pipeline", "transforms")
"""The top-level packages of the project."""
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


LEFT_OUT = {"--output": 1, "--resume": 0, "--overwrite": 0, "--savepoint_path": 1, "--webhook": 1}
"""Options that the command of a resumed run has otherwise or, being secret, not at all; and how
many values each takes."""


def resume_command(argv: Sequence[str], options: Sequence[str]) -> str:
    """The command with which a run goes on, for a shell: as it was begun, but resumed.

    Args:
        argv: the run's command line behind the program's name.
        options: its folder, ``--resume`` and what else the runner needs.

    Example:
        >>> resume_command(["--rate=5", "--output", "o", "--overwrite"], ["--resume"])
        'python -m pipeline --rate=5 --resume'
    """
    kept, skipped = [], 0
    for word in argv:
        name, equals, _ = word.partition("=")
        if skipped:
            skipped -= 1
        elif name in LEFT_OUT:
            skipped = 0 if equals else LEFT_OUT[name]
        else:
            kept.append(word)
    return f"{as_called(MODULE)} {shlex.join([*kept, *options])}"


def remedy(extra: str = "") -> str:
    """The command that installs an optional part of the project.

    Args:
        extra: the part's name in setup.py; empty: what every part needs.
    """
    if (ROOT / "Makefile").is_file() and (ROOT / "setup.py").is_file():
        here = Path.cwd().resolve() == ROOT
        return "make setup" if here else f"make -C {shlex.quote(str(ROOT))} setup"
    return f"pip install 'correnteza[{extra}]'" if extra else "pip install --upgrade correnteza"


def shadow(folder: Path) -> Path | None:
    """The file in a folder that would be imported in place of one of our packages, if any."""
    if folder.resolve() == ROOT:
        return None
    for name in PACKAGES:
        for found in (folder / f"{name}.py", folder / name / "__init__.py"):
            if found.is_file() and found.resolve().parents[1] != ROOT:
                return found
    return None
