"""``python -m pipeline``: runs the job; with a command's name before, what else it can do."""

from __future__ import annotations

import difflib
import gc
import importlib
import os
import sys

from model.errors import UserError
from pipeline.known import listen

COMMANDS = ("ask", "check", "models", "report", "serve", "watch")
"""Each is a module in ``pipeline``; its ``main(words)`` gives the exit code."""


def main(words: list[str] | None = None) -> int:
    """Runs a command line.

    Returns:
        The exit code: 0, 1 (failed), 2 (a mistake of the user's) or 130 (interrupted).
    """
    words = sys.argv[1:] if words is None else words
    listen()
    sys.path.insert(0, os.getcwd())  # for --learner package.module:factory
    try:
        if words and words[0] in COMMANDS:
            gc.enable()
            code: int = importlib.import_module(f"pipeline.{words[0]}").main(words[1:])
            return code
        if words and not words[0].startswith("-"):
            raise UserError(f"unknown command {words[0]!r}: {nearest(words[0])}")
        from pipeline.run import run

        return run(words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def nearest(word: str) -> str:
    """What to type instead of a word that is no command."""
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    if close:
        return f"do you mean {close[0]}?"
    return f"{', '.join(COMMANDS)}, or options alone are allowed"


if __name__ == "__main__":
    gc.disable()  # what is imported stays: looking for garbage in it took a fifth of the start
    sys.exit(main())
