"""``python -m pipeline predict``: predicts the rows of files with a model, without a job."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.console import Console

from model import files, promotions
from model.artefact import Artefact
from model.errors import UserError
from model.runs import RunFolder
from model.schema import ScoringSchema
from model.store import DamagedArtefact, Store, is_name
from model.validation import Reject
from model.wording import format_count
from monitor.commandline import Parser
from monitor.console import consoles
from monitor.tables import STDOUT, format_of, table, whole_file
from pipeline.scoring import ScoredRows, find, layout, score_files
from reading import Plan

NEWEST, LATEST = "newest", "runs/latest"
PATIENCE = 2.0
"""Seconds until the first line of progress, and from one to the next."""
SHOWN = 3
"""Maximum number of rejects that are shown."""
EXAMPLES = """\
examples:
  python -m pipeline predict --input new.csv --output out.parquet    by runs/latest's newest model
  python -m pipeline predict --run runs/a --input 'new/*.csv' --output out.csv
  python -m pipeline predict --model runs/a/models/20131226T000000Z --input new.csv --output -

The columns of the output are file and row (from 1 on), the key and the columns that the schema
keeps, prediction and model. The time and the target need not be in the input. Rows that do not fit
the schema are left out and written beside the output, as NAME.rejected.ndjson. The exit code is 1
if more than --max-rejected of the rows are, else 0.
"""


class Total(NamedTuple):
    """How many rows were predicted and rejected, and how many values the model does not know."""

    rows: int = 0
    rejected: int = 0
    unknown: Mapping[str, int] = MappingProxyType({})

    def add(self, scored: ScoredRows) -> Total:
        """The total with some rows more."""
        return Total(
            self.rows + scored.predictions.num_rows,
            self.rejected + len(scored.rejects),
            Counter(self.unknown) + Counter(scored.unknown),
        )

    @property
    def share(self) -> float:
        """The share of the rows that were rejected."""
        return self.rejected / max(1, self.rows + self.rejected)


def parser() -> Parser:
    """The parser of ``python -m pipeline predict``."""
    made = Parser(
        prog="python -m pipeline predict",
        description="Predicts the rows of files with a model of a run.",
        epilog=EXAMPLES,
    )
    made.add_argument("--input", required=True, metavar="GLOB", help="CSV, NDJSON or Parquet files")
    made.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="the predictions: .parquet, .csv or .ndjson; - is CSV on standard output",
    )
    made.add_argument("--run", metavar="FOLDER", help=f"the run whose model predicts ({LATEST})")
    made.add_argument(
        "--model",
        default=NEWEST,
        metavar="MODEL",
        help="newest, or the pinned one (the default); a name of `models`, or a model's folder",
    )
    made.add_argument(
        "--max-rejected",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="the exit code is 1 if a greater share of the rows is rejected (0.5)",
    )
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 1 if too many rows were rejected.

    Raises:
        UserError: for an option, a model or an input that will not do.
    """
    given = parser().parse_args(argv)
    if not 0 <= given.max_rejected <= 1:
        raise UserError(f"--max-rejected {given.max_rejected:g}: must be from 0 to 1")
    format_of(given.output)
    began = time.monotonic()
    store, name = find_model(given.run, given.model)
    artefact = load(store, name)
    schema = ScoringSchema.of(artefact.schema)
    _, err = consoles()
    with patient(err) as progress:
        planned = find(given.input, schema, progress)
        check_output(given.output, planned)
        for message in planned.messages:
            err.print(message, soft_wrap=True)
        total = write(planned, schema, artefact, name, given.output, progress, err)
    place = "" if given.output == STDOUT else f": {given.output}"
    seconds = time.monotonic() - began
    line = f"{format_count(total.rows, 'row')} predicted by {name} in {seconds:.1f} s{place}"
    err.print(line, soft_wrap=True)
    if total.unknown:
        counts = ", ".join(f"{column} {count:,}" for column, count in total.unknown.items())
        err.print(f"values that the model has no column for: {counts}", soft_wrap=True)
    if total.rejected:
        err.print(_describe_rejected(total, given.output), soft_wrap=True)
    return 1 if total.rejected and total.share > given.max_rejected else 0


def find_model(run: str | None, model: str) -> tuple[Store, str]:
    """Where a model is, and its name.

    Args:
        run: a run's folder; None: ``LATEST``.
        model: ``newest`` (or the pinned one), a name, or the path of the model's own folder.

    Raises:
        UserError: if there is none.
    """
    path = model.rstrip("/")
    if "/" in path or os.sep in path:
        if run is not None:
            raise UserError(f"--run {run} and --model {model}: the model's folder says its run")
        store, name = Store(os.path.dirname(path)), os.path.basename(path)
        if not is_name(name) or name not in store.names():
            example = f"runs/a/models/{_EXAMPLE}"
            raise UserError(f"--model {model}: is not a model's folder, as {example}")
        return store, name
    folder = RunFolder((run or LATEST).rstrip("/") or "/")
    folder.check()
    folder.read_settings()
    store = Store(folder.models)
    names = store.names()
    if model.lower() == NEWEST and names:
        pinned = promotions.find_pin(promotions.read(folder.promotions))
        return store, names[-1] if pinned is None else pinned.name
    if model not in names:
        known = ", ".join(names) or "none yet"
        raise UserError(f"--model {model}: the models of {folder.path} are {known}")
    return store, model


_EXAMPLE = "20260101T001200Z"


def load(store: Store, name: str) -> Artefact:
    """Opens a model, after its hash has matched.

    Raises:
        UserError: if it is damaged, or needs a package that is not there.
    """
    try:
        return store.load(name)
    except (OSError, DamagedArtefact) as error:
        raise UserError(f"--model {error}") from error
    except Exception as error:  # bytes of another version raise what they like
        raise UserError(f"--model {name}: cannot be opened: {error}") from error


def check_output(path: str, planned: Plan) -> None:
    """Refuses to write over the input.

    Raises:
        UserError: names the file.
    """
    for file in planned.files:
        if path == file.path or (
            os.path.exists(path) and os.path.exists(file.path) and os.path.samefile(path, file.path)
        ):
            raise UserError(f"--output {path}: is a file of the input: name another one")


def rejects_path(output: str) -> str:
    """Where the rejects of an output are written.

    Example:
        >>> rejects_path("new/out.parquet")
        'new/out.rejected.ndjson'
    """
    return f"{os.path.splitext(output)[0]}.rejected.ndjson"


def write(
    planned: Plan,
    schema: ScoringSchema,
    artefact: Artefact,
    name: str,
    output: str,
    progress: Callable[[str], None],
    err: Console,
) -> Total:
    """Writes the predictions, and the rejects beside them; those of an earlier output go.

    Raises:
        UserError: if it cannot be written.
    """
    total = Total()
    aside = output != STDOUT
    try:
        with (
            table(output, layout(schema)) as predictions,
            rejects_file(rejects_path(output)) if aside else nullcontext(None) as rejected,
        ):
            for scored in score_files(planned, schema, artefact, name):
                predictions.write(scored.predictions)
                for reject in scored.rejects[: max(0, SHOWN - total.rejected)]:
                    err.print(f"rejected: {reject.where}: {reject.reason}", soft_wrap=True)
                if rejected is not None:
                    rejected(scored.rejects)
                total = total.add(scored)
                progress(f"{total.rows:,} of {planned.rows:,} rows predicted")
    except BrokenPipeError:  # as of head, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"--output {output}: cannot be written: {reason}") from error
    return total


@contextmanager
def rejects_file(path: str) -> Iterator[Callable[[list[Reject]], None]]:
    """What writes rejects into a file, which is there if there are any."""
    files.remove(path)
    found = 0
    with whole_file(path) as stream:

        def write_all(rejects: list[Reject]) -> None:
            nonlocal found
            found += len(rejects)
            for reject in rejects:
                stream.write(f"{reject.as_json()}\n".encode())

        yield write_all
    if not found:
        files.remove(path)


@contextmanager
def patient(err: Console) -> Iterator[Callable[[str], None]]:
    """Shows a line of progress every two seconds, once two have passed."""
    shown = time.monotonic()

    def progress(line: str) -> None:
        nonlocal shown
        if time.monotonic() - shown >= PATIENCE:
            shown = time.monotonic()
            err.print(line, soft_wrap=True)

    yield progress


def _describe_rejected(total: Total, output: str) -> Any:
    of = total.rows + total.rejected
    where = "" if output == STDOUT else f": see {rejects_path(output)}"
    return f"{total.rejected:,} of {of:,} rows ({total.share:.0%}) were rejected{where}"
