"""``correnteza completion SHELL``: a script with which a shell completes commands and options."""

from __future__ import annotations

import argparse
import importlib

from model.errors import UserError
from monitor.commandline import Parser
from monitor.program import remedy
from pipeline.arguments import parser as job_parser
from pipeline.program import COMMANDS, module_of

SHELLS = ("bash", "zsh", "tcsh", "fish")
EXAMPLES = """\
examples:
  source <(correnteza completion bash)                     in this shell; or a line of ~/.bashrc
  correnteza completion zsh > ~/.zfunc/_correnteza         a folder of zsh's fpath
  correnteza completion fish > ~/.config/fish/completions/correnteza.fish

It completes the command "correnteza", which make setup puts into .venv/bin.
"""
MODULES = {
    "check": "pipeline.arguments",
    "report": "monitor.report.command",
    "serve": "monitor.serve.options",
    "watch": "monitor.watch.command",
}
"""Where a command's ``parser`` is, if not in the command's own module."""


def parser() -> Parser:
    """The parser of ``python -m pipeline completion``."""
    made = Parser(
        prog="python -m pipeline completion",
        description="Print a script with which a shell completes the commands and their options.",
        epilog=EXAMPLES,
    )
    made.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        UserError: for a shell that is not known; if shtab is not installed.
    """
    print(script(parser().parse_args(argv).shell), end="")
    return 0


def script(shell: str) -> str:
    """The script for a shell, one of ``SHELLS``.

    Raises:
        UserError: if shtab, which writes it, is not installed.
    """
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UserError(f"completion needs shtab, which is not installed: {remedy()}") from error
    written: str = shtab.complete(whole_parser(), shell)
    return written


def whole_parser() -> argparse.ArgumentParser:
    """The parser of all commands and options, for completion alone."""
    whole = argparse.ArgumentParser(
        prog="correnteza", parents=[job_parser()], add_help=False, argument_default=None
    )
    commands = whole.add_subparsers()
    for name, line in COMMANDS.items():
        module = importlib.import_module(MODULES.get(name, module_of(name)))
        commands.add_parser(name, help=line, parents=[module.parser()], add_help=False)
    return whole
