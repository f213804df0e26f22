"""The plan of the whole input, and reading a chunk of it, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from model.batch import LABEL, PROBLEM, READ
from model.errors import UserError
from model.latest import reject_later
from model.schema import Schema
from model.times import OTHERS, describe_times, is_time, read_optional_times
from model.validation import show_value
from model.wording import first_line
from reading import delimited, folders, ndjson, parquet, text
from reading.chunks import Chunk, File, Plan, ScannedChunk, union_extents
from reading.encodings import with_encoding
from reading.files import find, is_empty
from reading.guesses import TimeGuess, guess_format, suggest_format, with_guess
from reading.names import normalize_name

_BEGIN = {"csv": delimited.begin, "ndjson": ndjson.begin, "parquet": parquet.begin}
_AGREEMENT_ROWS = 65_536
_SAMPLE_BYTES, _SAMPLE_VALUES = 1 << 20, 100
"""Bytes of a block, and minimum number of values, by which the format of times is guessed."""
_TEXT = {"csv": delimited.FORMAT, "ndjson": ndjson.FORMAT}


def plan(
    pattern: str,
    schema: Schema,
    progress: Callable[[str], None] | None = None,
    latest: int | None = None,
    first: Sequence[str] = (),
    option: str = "--input",
) -> Plan:
    """Looks at every file of the input once: its columns, its rows, its times.

    Args:
        pattern: a path or a glob, on any Beam file system.
        schema: of the rows.
        progress: called often with a line on how far the scan is.
        latest: rows after it are rejected (``model.latest``); microseconds, None: none are.
        first: paths of files that come before all others, in this order: those that an earlier
            plan had, so that their rows have the same ids.
        option: what the pattern was given for, for the messages.

    Returns:
        The files and their chunks; no chunk if there is no row.

    Raises:
        UserError: if no file matches; if a file cannot be read, is empty, not of its format or
            not UTF-8; if a column that the schema names is absent, is there twice or has a
            type that cannot serve; if there are rows and none has a readable time.
    """
    files: list[File] = []
    spans: list[list[ScannedChunk]] = []
    rows = 0
    found, notes = find(pattern, option)
    guess = None
    places = {path: place for place, path in enumerate(first)}
    found.sort(key=lambda file: (places.get(file.path, len(places)), file.path))
    for number, file in enumerate(found, 1):
        place = f"{file.path} ({number} of {len(found)})"
        file = replace(file, first=rows, latest=latest)
        file, mine, guess = _scan(file, schema, place, progress, guess)
        files.append(file)
        spans.append(mine)
        rows += sum(span.rows for span in mine)
    if files and all(file.format != "parquet" and is_empty(file) for file in files):
        raise UserError(f"{files[0].path}: has no text in it")
    notes += ndjson.check_some_file_has([file for file in files if file.rows], schema)
    notes += _copies(files)
    times = union_extents([span.times for mine in spans for span in mine])
    if times is None:
        if rows:
            raise UserError(_explain_undated(files, spans, rows, schema))
        return Plan(tuple(files), (), 0, notes)
    chunks = [
        chunk for index in range(len(files)) for chunk in _chunks(index, files, spans, times[0])
    ]
    chunks.sort(key=lambda chunk: (chunk.least, chunk.file, chunk.start))
    return Plan(tuple(files), tuple(chunks), rows, notes)


def read(file: File, chunk: Chunk, schema: Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Reads a chunk; the same rows in the same order on every call.

    Args:
        file: the chunk's file, as the plan has it.
        chunk: what to read of it.
        schema: of the rows, as for the plan.
        batch_rows: the most rows of a batch, at least 1.

    Yields:
        Raw batches without a tag, in the order of the file.

    Raises:
        UserError: if the chunk does not have the rows that were planned.
        OSError: if the file cannot be read any more.
    """
    rows = 0
    schema = with_guess(schema, file)
    form = _TEXT.get(file.format)
    own = folders.schema_in_file(file, schema)
    for batch in (
        text.read(file, chunk, form, own, batch_rows)
        if form
        else parquet.read(file, chunk, own, batch_rows)
    ):
        rows += batch.num_rows
        batch = add_times(folders.add_constants(batch, file, schema), schema)
        yield reject_later(batch, schema, file.latest)
    if rows != chunk.rows:
        raise UserError(
            f"{file.path}: has changed since it was planned: {rows} rows where {chunk.rows} were"
        )


def read_first(pattern: str, schema: Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """Reads the first rows of the input; no more of its files than these take.

    Args:
        pattern: as for ``plan``.
        schema: of the rows.
        rows: how many, at least 1; a compressed file is scanned whole.

    Yields:
        Raw batches without a tag.

    Raises:
        UserError: as ``plan``, of the files that were looked at.
        OSError: if a file cannot be read any more.
    """
    guess = None
    for file in sorted(find(pattern)[0], key=lambda file: file.path):
        file, spans, guess = _scan(file, schema, file.path, None, guess, rows)
        for span in spans:
            for batch in read(file, _chunk_of(span), schema, min(rows, _AGREEMENT_ROWS)):
                yield batch.slice(0, rows)
                rows -= batch.num_rows
                if rows <= 0:
                    return


def add_times(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """A raw batch with the times of its other columns, written as this plan takes times to be."""
    found = {READ + name: name for name in schema.calendar_sources if name != schema.time}
    if schema.has_label_time:
        found[LABEL] = str(schema.label_time)
    there = set(batch.schema.names)
    for column, name in found.items():
        # what is no time is reported for each row
        if name in there and column not in there and is_time(batch.schema.field(name).type):
            times = read_optional_times(batch.column(name), schema)
            batch = batch.append_column(column, times)
    return batch


def _scan(
    file: File,
    schema: Schema,
    place: str,
    progress: Callable[[str], None] | None,
    guess: TimeGuess | None,
    most: int | None = None,
) -> tuple[File, list[ScannedChunk], TimeGuess | None]:
    """The file with what its beginning shows, the chunks of its rows, and how times are written.

    That is guessed by the first file that has any, once for all files. With ``most`` no more
    chunks are looked for as soon as these hold so many rows.
    """
    spans = []
    rows = 0
    try:
        file = with_encoding(file, schema)
        if file.format != "parquet" and is_empty(file):
            return replace(file, notes=(f"{file.path}: has no text in it",)), [], guess
        file = folders.with_constants(file, schema)
        if schema.label_time in dict(file.constants):
            raise UserError(
                f"{file.path}: its folder names {schema.label_time!r}, the label's time: it must "
                "be a column of the file"
            )
        own = folders.schema_in_file(file, schema)
        file = _BEGIN[file.format](file, own)
        form = _TEXT.get(file.format)
        if guess is None and schema.dated and schema.time_format is None:
            of = f"{file.path}: column {schema.time!r}"
            guess = guess_format(_sample(file, own), of, schema.time_zone)
        if guess is not None:
            file = replace(file, time_format=guess.form, notes=(*file.notes, *guess.notes))
        schema, own = with_guess(schema, file), with_guess(own, file)
        checksum = 0 if form else parquet.checksum(file)
        for span in text.scan(file, form, own) if form else parquet.scan(file, own):
            span = folders.date_chunk(span, file, schema)
            checksum = span.sums[1] if span.sums else checksum
            if not span.rows:
                continue
            spans.append(span)
            rows += span.rows
            if progress:
                progress(f"looking through {place}: {rows:,} rows")
            if most is not None and rows >= most:
                break
        _check_folders(file, spans, schema)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file.path}: cannot be read: {first_line(error)}") from error
    found = dict.fromkeys(note for span in spans for note in span.notes)
    notes = (*file.notes, *found)
    return replace(file, notes=notes, rows=rows, checksum=checksum), spans, guess


def _sample(file: File, schema: Schema) -> pa.Array:
    """Values of the time's column from a file's beginning, or of its folder."""
    if not schema.dated:
        return pa.array([dict(file.constants)[schema.time]], pa.string())
    form = _TEXT.get(file.format)
    if form is None:
        return parquet.sample(file, schema)
    found = [pa.nulls(0, pa.string())]
    for block in text.blocks(file, form, schema):
        end = form.cut(block.data[:_SAMPLE_BYTES], file, schema) or len(block.data)
        try:
            values = form.batch(block.data[:end], file, 0, schema).column(schema.time)
        except pa.ArrowInvalid:  # not UTF-8: the scan finds the place
            break
        found.append(values.drop_null().cast(pa.string()))
        if sum(map(len, found)) >= _SAMPLE_VALUES:
            break
    return pa.concat_arrays(found)


def _check_folders(file: File, spans: list[ScannedChunk], schema: Schema) -> None:
    """Checks what a file has of the columns that its folders name."""
    if not file.constants:
        return
    own = {normalize_name(name) for name in _names_in(file, schema)}
    for name, _ in file.constants:
        if normalize_name(name) not in own:
            continue
        rest = tuple(each for each in file.constants if each[0] != name)
        alone = replace(file, constants=rest)
        role = "number" if name in schema.numbers else "category"
        folders.check_agreement(
            (
                batch
                for span in spans
                for batch in read(alone, _chunk_of(span), schema, _AGREEMENT_ROWS)
            ),
            name,
            file,
            "time" if name in (schema.time, *schema.calendar_sources) else role,
        )


def _names_in(file: File, schema: Schema) -> Sequence[str]:
    """The names of a file's columns, or of its first rows' keys."""
    if file.format == "parquet":
        return parquet.column_names(file)
    return ndjson.key_names(file, schema) if file.format == "ndjson" else file.columns


def _chunk_of(span: ScannedChunk) -> Chunk:
    return Chunk(0, span.start, span.stop, 0, span.rows, span.line, 0, 0, span.sums)


def _copies(files: Sequence[File]) -> tuple[str, ...]:
    """A note if two files have the same rows, to the byte."""
    seen: dict[tuple[object, ...], str] = {}
    copies = []
    for file in files:
        same = seen.setdefault((file.rows, file.checksum, file.columns, file.constants), file.path)
        if file.rows and same != file.path:
            copies.append(f"{file.path} and {same}")
    if not copies:
        return ()
    more = f" and {len(copies) - 1:,} more" if copies[1:] else ""
    return (f"the same rows are read twice: {copies[0]}{more}",)


def _chunks(
    index: int, files: list[File], spans: list[list[ScannedChunk]], least: int
) -> Iterator[Chunk]:
    """A file's chunks; one without a time takes that of its neighbour, or else the least."""
    first = files[index].first
    least = next((span.times[0] for span in spans[index] if span.times), least)
    for span in spans[index]:
        least, greatest = span.times or (least, least)
        places = index, span.start, span.stop, first, span.rows, span.line
        answered = span.labels[1] if span.labels else None
        yield Chunk(*places, least, greatest, span.sums, answered)
        first += span.rows


def _explain_undated(
    files: list[File], spans: list[list[ScannedChunk]], rows: int, schema: Schema
) -> str:
    """The message if no row has a readable time; it shows the first one's."""
    index = next(index for index, mine in enumerate(spans) if mine)
    chunk = next(_chunks(index, files, spans, 0))
    row = next(read(files[index], chunk, schema, 1))
    shape = row.column(PROBLEM)[0].as_py() if PROBLEM in row.schema.names else None
    if shape and "--latest" in shape:
        return f"{files[index].path}: none of the {rows} rows has a time that may be: {shape}"
    first = row.column(schema.time)[0].as_py()
    if not shape and isinstance(first, str) and (form := suggest_format(first)):
        return (
            f"{files[index].path}: column {schema.time!r} (the time): {show_value(first)} has a "
            f"year of two digits: set {form} in the schema"
        )
    return (
        f"{files[index].path}: column {schema.time!r} (the time): none of the {rows} rows has a "
        f"readable time (the first is {show_value(first)}): "
        + (f"line {chunk.line}: {shape}" if shape else f"{describe_times(schema)}; {OTHERS}")
    )
