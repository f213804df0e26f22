"""``python -m pipeline compare``: windows, cadences and learners side by side on the same files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from model.errors import UserError
from model.schema import load_schema
from monitor.commandline import Parser
from monitor.console import consoles, show_status
from pipeline.frames.combinations import LEARNERS, plan
from pipeline.frames.comparison import Sweep
from pipeline.frames.html import COLUMNS, format_value, sweep_html, sweep_rows
from pipeline.frames.learning import split_learners
from pipeline.frames.sweeping import run

EXAMPLES = """\
examples:
  python -m pipeline compare --input 'flights/*.csv' --schema flights.toml
  python -m pipeline compare --input rides.parquet --schema rides.toml \\
      --windows 7d,28d --learners 'ridge,boosting(max_iter=50)' --every 7d
  python -m pipeline compare --input rides.parquet --schema rides.toml --json

Every combination is trained and scored as the job does it, to the last digit. For each learner a
model of all rows so far (all) and one that is trained once on the first whole window of the longest
length (static) are added. All are compared on the rows that every one of them has predicted.
"""
NUMBERS = {"lag": int, "min_rows": int, "sample_rows": int, "batch_rows": int, "seed": int}


def parser() -> Parser:
    """The parser of ``python -m pipeline compare``."""
    made = Parser(
        prog="python -m pipeline compare",
        description="Windows, cadences and learners side by side: who has the least error, and "
        "does retraining pay?",
        epilog=EXAMPLES,
    )
    made.add_argument("--input", required=True, metavar="GLOB", help="CSV, NDJSON or Parquet files")
    made.add_argument("--schema", required=True, metavar="FILE", help="TOML: what the columns mean")
    made.add_argument(
        "--windows",
        metavar="LIST",
        help="lengths, as 7d,28d (one that fits the files, and four times that); a model of all "
        "rows so far and a static one stand beside them in any case",
    )
    made.add_argument(
        "--every",
        metavar="LIST",
        help="how long a model serves, as 7d or 1d,7d (= shortest window)",
    )
    made.add_argument(
        "--learners",
        metavar="LIST",
        default=",".join(LEARNERS),
        help="names, with parameters in parentheses if need be (%(default)s)",
    )
    for name in NUMBERS:
        option = "--" + name.replace("_", "-")
        made.add_argument(option, metavar="N", help="as for the job")
    made.add_argument("--html", metavar="FILE", help="write results and pictures as a page, too")
    made.add_argument("--json", action="store_true", help="print the results as JSON")
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        UserError: for an option or an input that will not do.
    """
    given = parser().parse_args(argv)
    options = {name: value for name in NUMBERS if (value := getattr(given, name)) is not None}
    out, err = consoles()
    schema = load_schema(given.schema)
    windows = None if given.windows is None else _list(given.windows)
    every = None if given.every is None else _list(given.every)
    with show_status(err, "looking through the files") as show:
        learners = split_learners(given.learners)
        plans = plan(given.input, schema, windows, every, learners, options, show)
        for message in plans.inputs[0].messages:
            err.print(message, soft_wrap=True)
        rows = 0

        def done(more: int) -> None:
            nonlocal rows
            rows += more
            show(f"{rows:,} of {plans.work:,} predictions made")

        result = run(plans, done)
    if given.html is not None:
        write_html(result, given.html)
    if given.json:
        print(json.dumps(result.as_dict(), indent=2))
        return 0
    out.print(_table(result))
    out.print(
        f"{result.verdict.text} ({result.rows:,} rows that all have predicted)", soft_wrap=True
    )
    return 0


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _table(result: Sweep) -> Any:
    made = Table(box=None, pad_edge=False, header_style="bold")
    titles = {**COLUMNS, "gain": "vs static", "least": "best in"}
    for name, title in titles.items():
        left = name in ("learner", "window", "every")
        made.add_column(title, justify="left" if left else "right", no_wrap=name != "learner")
    for row in sweep_rows(result):
        made.add_row(*map(format_value, row))
    return made


def write_html(result: Sweep, path: str) -> None:
    """Writes results and pictures as a page.

    Raises:
        UserError: if it cannot be written.
    """
    page = f"<!doctype html><meta charset=utf-8><title>compare</title>{sweep_html(result)}\n"
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--html {path}: cannot be written: {error.strerror}") from error
