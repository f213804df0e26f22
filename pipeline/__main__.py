"""``correnteza``, or ``python -m pipeline``: runs the job; after a command's name, the command."""

from __future__ import annotations

import difflib
import gc
import importlib
import os
import sys
from pathlib import Path

from pipeline import __version__
from pipeline.program import COMMANDS, find_shadowing, module_of
from pipeline.signals import exit_code, exit_on_signals


def main(argv: list[str] | None = None) -> int:
    """Runs a command line.

    Args:
        argv: the command line after the program's name; None: this process's.

    Returns:
        The exit code: 0, 1 (failed), 2 (a mistake of the user's), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    argv = sys.argv[1:] if argv is None else argv
    if (hiding := find_shadowing(Path.cwd())) is not None:
        print(
            f"error: {hiding}: its name hides the package {_package(hiding)!r} of this program: "
            "rename it, or run the command in another folder",
            file=sys.stderr,
        )
        return 2
    if argv[:1] == ["--version"]:
        print(f"correnteza {__version__}")
        return 0
    from model.errors import UserError
    from pipeline.logs import configure_logging

    # Before anything of Beam is imported. gRPC restarts its threads in each child that this process
    # starts, which then may abort before it becomes another program (grpc/grpc#43055).
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    configure_logging()
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # for --learner package.module:factory
    try:
        return run(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: there is not enough memory for this", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        return exit_code(error)


def run(argv: list[str]) -> int:
    """Runs the command that a command line names, or the job.

    Raises:
        UserError: if there is no such command, or for what the command cannot do.
    """
    if argv and argv[0] in COMMANDS:
        gc.enable()
        code: int = importlib.import_module(module_of(argv[0])).main(argv[1:])
        return code
    if argv and not argv[0].startswith("-"):
        from model.errors import UserError

        raise UserError(f"unknown command {argv[0]!r}: {suggest(argv[0])}")
    from pipeline.run import run as run_job

    return run_job(argv)


def suggest(name: str) -> str:
    """What to type instead of a name that is not a command."""
    from monitor.program import as_called

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    if close:
        return f"do you mean {close[0]}?"
    return as_called(f"{', '.join(COMMANDS)}, or options alone (see python -m pipeline --help)")


def _package(hiding: Path) -> str:
    return hiding.stem if hiding.stem != "__init__" else hiding.parent.name


def console() -> int:
    """Runs this process's command line."""
    gc.disable()  # what is imported stays: looking for garbage in it took a fifth of the start
    code = main()
    if code > 128:
        exit_on_signals()  # another signal, while Beam ends what it has started, ends this too
    return code


if __name__ == "__main__":
    sys.exit(console())
