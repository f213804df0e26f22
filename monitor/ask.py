"""``python -m pipeline ask``: asks a server for predictions, and shows them beside what came true.

Rows are those of people who come after the window of the model that serves, or a file's. They are
sent at a pace, over one connection.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from model.asof import parse_name
from model.batch import ID, LABEL, READ, TIME, Key, Tag, to_plain, with_tag
from model.batch import KEY as ROW_KEY
from model.carried import to_texts
from model.errors import UserError
from model.people import People, parse_delays
from model.schema import Schema
from model.times import parse_time
from model.validation import validate
from model.wording import format_count
from monitor.client import URL, Client, Row
from monitor.commandline import Parser
from monitor.serve.options import KEY
from reading import Plan, plan, read

WIDTHS = (12, 16, 16, 14, 18)
EXAMPLES = f"""\
examples:
  python -m pipeline ask                                     people, one a request, at {URL}
  python -m pipeline ask --count 0 --pace 50 --batch 10      until Ctrl-C
  python -m pipeline ask http://10.0.0.7:8000 --rows flights.csv

If the server asks for an API key, it is taken from the environment: {KEY}.
"""


@dataclass
class Tally:
    """What was asked: rows, rows whose target is known, and the sum of |error| over these.

    ``open`` are those whose target becomes known later. The error of a class is 1 if another was
    predicted, so its mean (``figure``) is the share of wrong ones.
    """

    rows: int = 0
    known: int = 0
    absolute: float = 0.0
    open: int = 0
    figure: str = "MAE"
    began: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """It in a line."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        error = f"{self.absolute / self.known:,.4g}" if self.known else "-"
        rate = f"{self.rows / seconds:,.0f}/s"
        still = f", {self.open:,} open" if self.open else ""
        rows = format_count(self.rows, "row")
        return f"{rows} in {seconds:.1f} s ({rate}), {self.figure} {error}{still}"


class Question(NamedTuple):
    """A row that was asked about and is not answered yet; the one answered first is the least.

    Attributes:
        known: when its target becomes known, ISO 8601.
        row: its id.
        prediction: what the server answered.
        actual: its target.
        model: which predicted.
    """

    known: str
    row: int
    prediction: float | str | None
    actual: float | str | None
    model: str


def parser() -> Parser:
    """The parser of ``python -m pipeline ask``."""
    made = Parser(
        prog="python -m pipeline ask",
        description="Ask a server for predictions, and see them beside what came true.",
        epilog=EXAMPLES,
    )
    add = made.add_argument
    add("url", nargs="?", default=URL, metavar="URL", help=f"the server's ({URL})")
    add("--rows", default="people", metavar="FILE", help="CSV, NDJSON or Parquet; or people")
    add("--pace", type=float, default=10.0, metavar="N", help="rows a second; 0: no limit (10)")
    add("--count", type=int, default=20, metavar="N", help="so many rows; 0: without end (20)")
    add("--batch", type=int, default=1, metavar="N", help="rows of a request (1)")
    add("--seed", type=int, metavar="N", help="of the people (the run's)")
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        UserError: for an option, a file that cannot be read, or a server that does not answer.
    """
    given = parser().parse_args(argv)
    if not 0 <= given.pace < math.inf or given.count < 0 or given.batch < 1:
        raise UserError("--pace and --count must be >= 0, and --batch must be >= 1")
    client = Client(given.url)
    status = client.status()
    schema = Schema.model_validate(status["settings"]["schema"])
    rows = rows_to_ask(given.rows, status, schema, given.seed)
    asked = itertools.islice(rows, given.count or None)
    tally = Tally(figure="wrong" if schema.classifies else "MAE")
    show = partial(print, flush=True)
    show(align("row", "prediction", schema.target, "error", "model"))
    with suppress(KeyboardInterrupt):
        ask(client, make_batches(asked, given.batch), schema, given.pace, tally, show)
    show(tally.line())
    return 0


def ask(
    client: Client,
    batches: Iterator[list[Row]],
    schema: Schema,
    pace: float,
    tally: Tally,
    show: Callable[[str], None],
) -> None:
    """Asks for each batch when its time has come, and shows a line a row.

    Where labels come later, a row is ``open`` first, and has another line when the rows that are
    asked about have reached the time of its label.

    Args:
        client: of the server.
        batches: rows of all the schema's columns, and ``__id``.
        schema: the run's.
        pace: rows a second; 0 is as fast as answers come.
        tally: counts what is asked.
        show: shows a line.
    """
    features = schema.inputs
    waiting: list[Question] = []
    now = ""
    for rows in batches:
        if pace:
            time.sleep(max(0.0, tally.began + tally.rows / pace - time.monotonic()))
        answer = client.predict([{name: row[name] for name in features} for row in rows])
        tally.rows += len(rows)
        for row, prediction in zip(rows, answer.predictions, strict=True):
            known = row.get(LABEL, row.get(schema.label_time)) if schema.label_time else None
            asked = Question(known or "", row[ID], prediction, row[schema.target], answer.model)
            now = max(now, str(row[TIME]))
            if known is None or known <= str(row[TIME]):
                show(_answer(asked, tally))
                continue
            heappush(waiting, asked)
            tally.open += 1
            show(align(f"{asked.row:,}", _figure(prediction), "open", "-", asked.model))
        while waiting and waiting[0].known <= now:
            tally.open -= 1
            show(_answer(heappop(waiting), tally))


def _answer(asked: Question, tally: Tally) -> str:
    """The line of a row whose target is known, which is counted, or is never known."""
    prediction, actual = asked.prediction, asked.actual
    error = _error(prediction, actual)
    if error is not None:
        tally.known += 1
        tally.absolute += abs(error)
    figures = (_figure(value) for value in (prediction, actual, error))
    return align(f"{asked.row:,}", *figures, asked.model)


def _error(prediction: float | str | None, actual: float | str | None) -> float | None:
    if prediction is None or actual is None:
        return None
    if isinstance(prediction, str) or isinstance(actual, str):
        return float(prediction != actual)
    return prediction - actual


def _figure(value: float | str | None) -> str:
    if isinstance(value, str):
        return value
    return "-" if value is None else f"{value:,.2f}"


def align(*cells: str) -> str:
    """A line of a table, its cells to the right."""
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def rows_to_ask(
    source: str, status: dict[str, Any], schema: Schema, seed: int | None
) -> Iterator[Row]:
    """Rows of all the schema's columns, and ``__id``.

    Args:
        source: ``people``, or a file.
        status: the server's.
        schema: the run's.
        seed: of people; None is the run's.

    Raises:
        UserError: if the file cannot be read; for people, if the run is not of people.
    """
    if source != "people":
        return file_rows(plan(source, schema), schema)
    if status["settings"]["source"] != "people":
        raise UserError("--rows FILE is needed: the server's run is not of people")
    return people_rows(status, schema, seed)


def people_rows(status: dict[str, Any], schema: Schema, seed: int | None) -> Iterator[Row]:
    """People from the end of the serving model's window on, without end."""
    settings = status["settings"]
    start = parse_time(settings["start"])
    seed = settings["seed"] if seed is None else seed
    delay = parse_delays(settings.get("people_delay"))
    people = People(settings["people"], seed, settings["rate"], start, delay=delay)
    name = status["model"]
    first = people.index_at(parse_name(name)) if name else 0
    for low in itertools.count(first, 100):
        yield from dicts(people.rows(low, low + 100, schema.columns))


def file_rows(planned: Plan, schema: Schema) -> Iterator[Row]:
    """The rows of files that fit the schema, chunk by chunk in the order of event time."""
    for chunk in planned.chunks:
        file = planned.files[chunk.file]
        for batch in read(file, chunk, schema, 1000):
            tag = Tag(Key(0, 0, 0), 0, file.path, 0)
            rows = validate(with_tag(batch, tag), schema)[0]
            yield from dicts(_with_times(_with_id(rows, schema), batch, schema))


def _with_times(rows: pa.RecordBatch, raw: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """An accepted batch with the columns of times that a request needs, of the raw batch."""
    places = pc.index_in(rows.column(ID), value_set=raw.column(ID))
    for name in schema.calendar_sources:
        read = TIME if name == schema.time else READ + name
        times = raw.column(read if schema.time_format is None else name).take(places)
        values = times if schema.time_format is None else to_texts(times)
        if name in rows.schema.names:  # it is kept, too
            rows = rows.set_column(rows.schema.get_field_index(name), name, values)
        else:
            rows = rows.append_column(name, values)
    return rows


def _with_id(rows: Any, schema: Schema) -> Any:
    """An accepted batch with its keys by the name that a request has for them."""
    names = rows.schema.names
    if schema.id is None or schema.id in names:
        return rows
    return rows.rename_columns([schema.id if name == ROW_KEY else name for name in names])


def dicts(batch: Any) -> Iterator[Row]:
    """The rows of a batch as JSON can hold them: times as text, NaN as null."""
    columns = {name: to_plain(batch.column(name)) for name in batch.schema.names}
    for values in zip(*columns.values(), strict=True):
        yield {name: _plain(value) for name, value in zip(columns, values, strict=True)}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def make_batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Lists of so many rows; the last may be shorter."""
    while batch := list(itertools.islice(rows, size)):
        yield batch
