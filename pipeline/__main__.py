"""``python -m pipeline``: runs the job; ``check``: can it run here? ``models``: its models."""

from __future__ import annotations

import difflib
import logging
import os
import sys
import warnings

from model.errors import UserError

QUIET = (
    *("apitools not found", "Could not import torch", "Resource module is not available"),
    *("Unparseable argument", "Job was cancelled", "not in a finalizable state"),
)
COMMANDS = ("check", "models")


class Known(logging.Filter):
    """Leaves out what Beam says at every start and nobody can act on.

    And the traceback of what is told of in one line: a full disk, a file that has changed.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        error = record.exc_info[1] if record.exc_info else None
        told = isinstance(error, OSError | UserError)
        return not told and not any(text in record.getMessage() for text in QUIET)


def main(words: list[str] | None = None) -> int:
    """Runs a command line.

    Returns:
        The exit code: 0, 1 (failed), 2 (a mistake of the user's) or 130 (interrupted).
    """
    words = sys.argv[1:] if words is None else words
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().handlers[0].addFilter(Known())
    warnings.filterwarnings("ignore", module="apache_beam")
    sys.path.insert(0, os.getcwd())  # for --learner package.module:factory
    try:
        if words and words[0] == "check":
            from pipeline import check

            return check.main(words[1:])
        if words and words[0] == "models":
            from pipeline import models

            return models.main(words[1:])
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
    return f"{', '.join(COMMANDS)} is allowed, or options alone"


if __name__ == "__main__":
    sys.exit(main())
