"""The argument parser of all commands."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from model.errors import UserError
from monitor.program import as_called


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ``UserError``, and whose options have no abbreviations.

    Where its texts say ``python -m pipeline`` it shows the program's name as the user called it.
    """

    def __init__(self, **given: Any) -> None:
        texts = ("prog", "usage", "description", "epilog")
        called = {name: as_called(given[name]) for name in texts if given.get(name)}
        defaults = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(**{**defaults, **given, **called})

    def add_folder(self) -> None:
        """Adds the argument that names a run's folder."""
        self.add_argument("folder", help="a run's folder", metavar="OUTPUT")

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print."""
        raise UserError(message)
