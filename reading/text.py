"""Text files: in blocks of whole rows, with the numbers of their lines.

A format of text (CSV, NDJSON) defines where rows end and how a block becomes a batch. This module
does what they share: blocks and their offsets, line numbers, UTF-8, compression.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import LINE, slice_batch
from model.errors import UserError
from model.schema import Schema
from reading.chunks import (
    LINES,
    Chunk,
    File,
    ScannedChunk,
    time_extent,
    union_extents,
)
from reading.encodings import not_utf8
from reading.streams import open_stream

BLOCK = 4 << 20
"""Bytes of a block, about: it ends with the last row that ends within them."""
LONGEST = 64 << 20
"""Bytes within which a row has to end."""


class Times(NamedTuple):
    """The times of a block's rows, in any order.

    Attributes:
        events: event times; null where there is none that can be read.
        labels: when labels became known; None if they have no time of their own.
    """

    events: pa.Array
    labels: pa.Array | None = None


class Format(NamedTuple):
    """The functions that differ between formats of text.

    Attributes:
        cut: the offset after the last row that ends in a piece of text, 0 if none does.
        lines: for each row of a block the number of its first line, from 0.
        times: the times of a block's rows, of both clocks.
        batch: a block's rows as a raw batch, given the id of the first.
        notes: lines for the user on what is suspicious in a block.
    """

    cut: Callable[[bytes, File, Schema], int]
    lines: Callable[[bytes, File, Schema], npt.NDArray[np.int64]]
    times: Callable[[bytes, File, Schema], Times]
    batch: Callable[[bytes, File, int, Schema], pa.RecordBatch]
    notes: Callable[[bytes, File, Schema], tuple[str, ...]] = lambda data, file, schema: ()


class Block(NamedTuple):
    """Whole rows: their offset in the text, and the number of the first line."""

    start: int
    data: bytes
    line: int


def skip_bom(file: File) -> File:
    """The file, its body after the byte order mark if it has one."""
    with open_stream(file) as stream:
        head = bytes(stream.read(3))
    return replace(file, body=3 if head == b"\xef\xbb\xbf" else 0)


def read_head(file: File, size: int) -> tuple[bytes, bool]:
    """A file's bytes from ``file.body`` on, about ``size`` of them; and whether that is all."""
    pieces: list[bytes] = []
    with open_stream(file) as stream:
        stream.read(file.body)
        while sum(map(len, pieces)) < size:
            piece = bytes(stream.read(size))
            if not piece:
                return b"".join(pieces), True
            pieces.append(piece)
    return b"".join(pieces), False


def blocks(file: File, form: Format, schema: Schema) -> Iterator[Block]:
    """A file's rows from ``file.body`` on, in blocks of about ``BLOCK`` bytes.

    Raises:
        UserError: if a row does not end within ``LONGEST`` bytes, or its quote with the file.
    """
    start, line, rest = file.body, file.line, b""
    with open_stream(file) as stream:
        stream.read(file.body)
        while piece := _piece(stream):
            data = rest + piece
            end = form.cut(data, file, schema)
            if end:
                yield Block(start, data[:end], line)
            elif len(data) > LONGEST:
                raise UserError(
                    f"{file.path}:{line}: no row ends in the {len(data) >> 20} MiB from here: "
                    "is a quote not closed?"
                )
            start, line, rest = start + end, line + _count_lines(data[:end]), data[end:]
    end = form.cut(rest + b"\n", file, schema) if rest else 0
    if end < len(rest):
        line += _count_lines(rest[:end])
        what = "a quote that is opened in this row is never closed"
        if file.layout != LINES:
            what = "a value does not end after this line: is the file cut off?"
        raise UserError(f"{file.path}:{line}: {what}")
    if rest:
        yield Block(start, rest, line)


def _piece(stream: Any) -> bytes:
    r"""The next bytes of a text; a ``\r`` is never cut off from what follows it."""
    piece = bytes(stream.read(BLOCK))
    while piece.endswith(b"\r") and (more := bytes(stream.read(1))):
        piece += more
    return piece


def _count_lines(data: bytes) -> int:
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends


def scan(file: File, form: Format, schema: Schema) -> Iterator[ScannedChunk]:
    """The blocks of a file that hold rows; a file that is not seekable is one span.

    The last span may have no rows: its sums are then those of the whole text.

    Raises:
        UserError: if the file is not UTF-8, or a quote is not closed.
    """
    spans = _spans(file, form, schema)
    if file.is_seekable:
        yield from spans
        return
    found = list(spans)
    if found:
        rows = sum(span.rows for span in found)
        times = union_extents([span.times for span in found])
        notes = tuple(note for span in found for note in span.notes)
        sums = 0, (found[-1].sums or (0, 0))[1]
        labels = union_extents([span.labels for span in found])
        yield ScannedChunk(file.body, found[-1].stop, rows, file.line, times, notes, sums, labels)


def _spans(file: File, form: Format, schema: Schema) -> Iterator[ScannedChunk]:
    before = 0
    for block in blocks(file, form, schema):
        check_utf8(file.path, block.data, block.start)
        times, known_at = form.times(block.data, file, schema)
        stop = block.start + len(block.data)
        notes = form.notes(block.data, file, schema) if len(times) else ()
        after = zlib.crc32(block.data, before)
        known = time_extent(times, file.latest) if len(times) else None
        labels = None if known_at is None else time_extent(known_at, file.latest)
        sums = before, after
        yield ScannedChunk(block.start, stop, len(times), block.line, known, notes, sums, labels)
        before = after


def check_utf8(path: str, data: bytes, start: int) -> None:
    """Checks that a piece of a text is UTF-8.

    Args:
        path: the file, for the message.
        data: the piece.
        start: its offset.

    Raises:
        UserError: if not, with the place.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(path, data, start, error) from error


def read(
    file: File, chunk: Chunk, form: Format, schema: Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """A chunk's rows as raw batches of at most ``batch_rows`` rows.

    Raises:
        UserError: if its bytes are not those that were planned.
    """
    first = chunk.first
    for block in _blocks_of(file, chunk, form, schema):
        batch = form.batch(block.data, file, first, schema)
        if file.layout != LINES or not _follow_on(
            block, batch.num_rows, chunk.line + first - chunk.first
        ):
            lines = block.line + form.lines(block.data, file, schema)
            batch = batch.append_column(LINE, pa.array(lines, pa.int64()))
        yield from slice_batch(batch, batch_rows)
        first += batch.num_rows


def _blocks_of(file: File, chunk: Chunk, form: Format, schema: Schema) -> Iterator[Block]:
    """A chunk's blocks, their bytes checked: all of a seekable file's before any is given."""
    if file.is_seekable:
        with open_stream(file) as stream:
            stream.seek(chunk.start)
            data = stream.read(chunk.stop - chunk.start)
        found = iter([Block(chunk.start, data, chunk.line)])
    else:
        found = blocks(file, form, schema)
    sum_ = chunk.sums[0] if chunk.sums else 0
    for block in found:
        sum_ = zlib.crc32(block.data, sum_)
        if file.is_seekable:
            _check_sum(file, chunk, sum_)
        yield block
    _check_sum(file, chunk, sum_)


def _check_sum(file: File, chunk: Chunk, found: int) -> None:
    if chunk.sums and chunk.sums[1] != found:
        raise UserError(f"{file.path}: has changed since it was planned: its bytes are others")


def _follow_on(block: Block, rows: int, line: int) -> bool:
    """Whether the block's rows stand on a line each, the first one on that line."""
    unended = not block.data.endswith((b"\n", b"\r"))
    return block.line == line and rows == _count_lines(block.data) + unended
