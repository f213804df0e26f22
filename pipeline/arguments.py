"""The command line and a TOML file, as settings and Beam's own options."""

from __future__ import annotations

import argparse
import difflib
import glob
import os
import sys
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from model.errors import UserError
from model.learners import parse_parameter
from model.people import APART
from monitor.commandline import Parser
from monitor.program import MODULE, as_called
from pipeline import __version__
from pipeline.program import COMMANDS
from pipeline.resuming import complete
from pipeline.runners.beam_compat import BeamParser
from pipeline.runners.flink import JOB_SERVERS
from pipeline.settings import RENAMED, Settings, option, rename_options, settings_from

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GROUPS = {
    "where it runs and writes": (
        *("runner", "output", "shared", "resume", "overwrite", "predictions", "on_interrupt"),
    ),
    "what it reads": (
        *("source", "source_param", "people", "people_delay", "input", "labels", "schema_file"),
        *("kafka_config", "until", "idle", "replay"),
        *("refreshes", "live", "rate", "start", "latest", "disorder", "max_rejected", "seed"),
    ),
    "time": ("window", "every", "latency", "offset", "lag"),
    "learning": ("learner", "learner_param", "min_rows", "gate", "sample_rows", "strict", "keep"),
    "alerts": ("drift_psi", "drift_shift", "alert_run_length", "webhook"),
    "speed": ("batch_rows", "shards"),
}
PATHS = ("input", "labels", "output", "schema_file", "kafka_config", "replay")
"""Options that are paths."""
DESCRIPTION = "Learn from a stream and predict on it: a model a window, in one Beam job."
EXAMPLES = """\
examples:
  python -m pipeline                                    twelve windows of synthetic people
  python -m pipeline --learner ridge --window 5m --every 1m
  python -m pipeline --input 'flights/*.csv' --schema flights.toml --window 1d
  python -m pipeline models runs/latest                 the models that a run keeps

Beam's own options are passed through, as --job_name=mine.
"""


PARAMETERS = {"learner_param", "source_param"}
"""Options of the form k=v that may be given more than once."""


def parser() -> Parser:
    """The parser of ``python -m pipeline [options] [Beam options]``."""
    parser = Parser(
        prog="python -m pipeline",
        usage="%(prog)s [options] [Beam options]\n       %(prog)s COMMAND [options]",
        description=f"{DESCRIPTION}\n\n{_commands()}",
        epilog=EXAMPLES,
        argument_default=argparse.SUPPRESS,
    )
    version = f"correnteza {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="TOML with any of these options; its paths go by its folder",
    )
    for title, names in GROUPS.items():
        group = parser.add_argument_group(title)
        for name in names:
            _add(group, name)
    for old in RENAMED:
        parser.add_argument(option(old), dest=old, help=argparse.SUPPRESS)
    return parser


def _commands() -> str:
    lines = [f"  {name:11} {line}" for name, line in COMMANDS.items()]
    return "\n".join(["commands, each with --help; without one, the job runs:", *lines])


def _add(group: Any, name: str) -> None:
    field = Settings.model_fields[name]
    text = field.description or ""
    if field.annotation is bool:
        group.add_argument(option(name), dest=name, action="store_true", help=text)
        return
    if name in PARAMETERS:
        group.add_argument(option(name), dest=name, action="append", metavar="K=V", help=text)
        return
    if field.default is not None and field.default != "" and "(" not in text:
        text = f"{text} ({field.default})"
    group.add_argument(option(name), dest=name, metavar=_metavar(name, field), help=text)


def _metavar(name: str, field: Any) -> str:
    kinds = {"int": "N", "float": "N"}
    kind = field.annotation
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    if name in {"window", "every", "latency", "offset", "disorder", "idle"}:
        return "TIME"
    if name == "people_delay":
        return "TIME..TIME"
    return kinds.get(getattr(kind, "__name__", ""), name.removesuffix("_file").upper())


def parse(argv: list[str]) -> tuple[Settings, list[str]]:
    """Settings from the command line and its ``--config`` file, and what is Beam's.

    Options on the command line go before those of the file.

    Raises:
        UserError: for an unknown option (with the nearest known one) or a bad value.
    """
    known, rest = parser().parse_known_args(argv)
    given = vars(known)
    _check_beam(rest)
    values = _rename(_read_config(given.pop("config"))) if "config" in given else {}
    given = _rename(given)
    for name in PARAMETERS & given.keys():
        given[name] = dict(parse_parameter(text, option(name)) for text in given[name])
    for name, other in (("resume", "overwrite"), ("overwrite", "resume")):
        if given.get(name):  # the command line goes before the file, as in all else
            values.pop(other, None)
    return settings_from(*complete({**values, **given}, rest)), rest


def _rename(values: dict[str, Any]) -> dict[str, Any]:
    named, warnings = rename_options(values)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return named


def _read_config(path: str) -> dict[str, Any]:
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"--config {path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: is not TOML: {error}") from error
    named = {"schema": "schema_file"}
    values = {named.get(key, key).replace("-", "_"): value for key, value in raw.items()}
    for key in values:
        if key not in Settings.model_fields and key not in RENAMED:
            known = [option(name)[2:] for name in Settings.model_fields]
            raise UserError(f"--config {path}: unknown option {key!r}{_nearest(key, known)}")
    return {key: _resolve_path(path, key, value) for key, value in values.items()}


def _resolve_path(config: str, name: str, value: Any) -> Any:
    """A relative path of a config file, which goes by that file's folder, for the current one."""
    folder = os.path.dirname(config)
    if name not in PATHS or not isinstance(value, str) or not folder:
        return value
    if name == "labels" and value == APART:
        return value
    if os.path.isabs(value) or value.startswith("~") or ":/" in value:
        return value
    escaped = glob.escape(folder) if name in ("input", "labels") else folder
    return os.path.normpath(os.path.join(escaped, value))


def _check_beam(arguments: list[str]) -> None:
    """Raises UserError for an argument that is not an option of Beam's either."""
    beam = BeamParser()
    for name in JOB_SERVERS:
        beam.add_argument(f"--{name}", nargs="?")
    _, unknown = beam.parse_known_args(arguments)
    for argument in unknown:
        name = argument.split("=")[0]
        if not name.startswith("-"):
            raise UserError(f"unknown argument {argument!r}: see {as_called(MODULE)} --help")
        known = [option(field) for field in Settings.model_fields] + ["--config", "--help"]
        known += beam.names
        raise UserError(f"unknown option {name}{_nearest(name, known)}")


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f": do you mean {close[0]}?" if close else f": see {as_called(MODULE)} --help"
