"""The program's commands, and whether a folder's files hide its packages.

Only the standard library is imported here, so that the command line can refuse such a folder
before anything of ours is loaded.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "ask": "ask a server for predictions, beside what came true",
    "check": "which runner can run this job here, and what is missing",
    "compare": "windows and learners side by side on the same files",
    "completion": "print a script that completes options in bash, zsh, ...",
    "models": "list, show, verify, prune and export a run's models",
    "predict": "predict the rows of files with a model of a run",
    "prune": "remove the large files of a run's old refreshes",
    "report": "a run as one HTML file",
    "serve": "predictions over HTTP, and a live page",
    "watch": "a run in the terminal, as it goes on",
}
"""Each has a module (``module_of``), whose ``main(argv)`` gives the exit code; and its help."""
MONITOR = ("ask", "models", "prune", "report", "serve", "watch")
"""The commands that are modules of ``monitor``; the others are modules of ``pipeline``."""
PACKAGES = ("model", "monitor", "pipeline", "reading", "transforms")
"""The top-level packages of the project."""
ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages."""


def module_of(command: str) -> str:
    """The name of a command's module.

    Example:
        >>> module_of("watch"), module_of("check")
        ('monitor.watch', 'pipeline.check')
    """
    return f"{'monitor' if command in MONITOR else 'pipeline'}.{command}"


LEFT_OUT = {"--output": 1, "--resume": 0, "--overwrite": 0, "--savepoint_path": 1, "--webhook": 1}
"""Options that the command of a resumed run has otherwise or, being secret, not at all; and how
many values each takes."""


def resume_command(argv: Sequence[str], options: Sequence[str]) -> str:
    """The command with which a run goes on, for a shell: as it was begun, but resumed.

    Args:
        argv: the run's command line after the program's name.
        options: its folder, ``--resume`` and what else the runner needs.

    Example:
        >>> resume_command(["--rate=5", "--output", "o", "--overwrite"], ["--resume"])
        'python -m pipeline --rate=5 --resume'
    """
    from monitor.program import MODULE, as_called

    kept, skipped = [], 0
    for argument in argv:
        name, equals, _ = argument.partition("=")
        if skipped:
            skipped -= 1
        elif name in LEFT_OUT:
            skipped = 0 if equals else LEFT_OUT[name]
        else:
            kept.append(argument)
    return f"{as_called(MODULE)} {shlex.join([*kept, *options])}"


def find_shadowing(folder: Path) -> Path | None:
    """The file in a folder that would be imported in place of one of our packages, if any."""
    if folder.resolve() == ROOT:
        return None
    for name in PACKAGES:
        for found in (folder / f"{name}.py", folder / name / "__init__.py"):
            if found.is_file() and found.resolve().parents[1] != ROOT:
                return found
    return None
