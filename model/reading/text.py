"""Text files: in blocks of whole rows, with the numbers of their lines.

A format of text (CSV, NDJSON) says where rows end and how a block becomes a batch. This module
does what they share: blocks and their offsets, line numbers, UTF-8, compression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import LINE, sliced
from model.errors import UserError
from model.reading.chunks import Chunk, File, Span, extent, union
from model.reading.encodings import not_utf8
from model.reading.files import opened
from model.schema import Schema

BLOCK = 4 << 20
"""Bytes of a block, about: it ends with the last row that ends within them."""
LONGEST = 64 << 20
"""Bytes within which a row has to end."""


class Format(NamedTuple):
    """What tells one format of text from another.

    Attributes:
        cut: the offset behind the last row that ends in a piece of text, 0 if none does.
        lines: for each row of a block the number of its first line, from 0.
        times: the event times of a block's rows, in any order.
        batch: a block's rows as a raw batch, given the id of the first.
    """

    cut: Callable[[bytes, File, Schema], int]
    lines: Callable[[bytes, File, Schema], npt.NDArray[np.int64]]
    times: Callable[[bytes, File, Schema], pa.Array]
    batch: Callable[[bytes, File, int, Schema], pa.RecordBatch]


class Block(NamedTuple):
    """Whole rows: their offset in the text, and the number of the first line."""

    start: int
    data: bytes
    line: int


def behind_bom(file: File) -> File:
    """The file, its body behind the byte order mark if it has one."""
    with opened(file) as stream:
        head = bytes(stream.read(3))
    return replace(file, body=3 if head == b"\xef\xbb\xbf" else 0)


def line_ends(data: bytes) -> npt.NDArray[np.int64]:
    r"""The offsets behind every ``\n``, ``\r\n`` and ``\r``.

    Example:
        >>> line_ends(b"a\nb\r\n\rc").tolist()
        [2, 5, 6]
    """
    codes = np.frombuffer(data, np.uint8)
    if b"\r" not in data:
        return np.flatnonzero(codes == 10) + 1
    following = np.append(codes[1:], 0)
    return np.flatnonzero((codes == 10) | ((codes == 13) & (following != 10))) + 1


def blocks(file: File, form: Format, schema: Schema) -> Iterator[Block]:
    """A file's rows from ``file.body`` on, in blocks of about ``BLOCK`` bytes.

    Raises:
        UserError: if a row does not end within ``LONGEST`` bytes, or its quote with the file.
    """
    start, line, rest = file.body, file.line, b""
    with opened(file) as stream:
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
    if rest and not form.cut(rest + b"\n", file, schema):
        raise UserError(f"{file.path}:{line}: a quote that is opened in this row is never closed")
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


def scan(file: File, form: Format, schema: Schema) -> Iterator[Span]:
    """The blocks of a file that hold rows; a compressed file is one span.

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
        times = union([span.times for span in found])
        yield Span(file.body, found[-1].stop, rows, file.line, times)


def _spans(file: File, form: Format, schema: Schema) -> Iterator[Span]:
    for block in blocks(file, form, schema):
        _check_utf8(block, file)
        times = form.times(block.data, file, schema)
        if len(times):
            stop = block.start + len(block.data)
            yield Span(block.start, stop, len(times), block.line, extent(times))


def _check_utf8(block: Block, file: File) -> None:
    try:
        block.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(file.path, block.data, block.start, error) from error


def read(
    file: File, chunk: Chunk, form: Format, schema: Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """A chunk's rows as raw batches of at most so many rows."""
    first = chunk.first
    for block in _blocks_of(file, chunk, form, schema):
        batch = form.batch(block.data, file, first, schema)
        if not _follow_on(block, batch.num_rows, chunk.line + first - chunk.first):
            lines = block.line + form.lines(block.data, file, schema)
            batch = batch.append_column(LINE, pa.array(lines, pa.int64()))
        yield from sliced(batch, batch_rows)
        first += batch.num_rows


def _blocks_of(file: File, chunk: Chunk, form: Format, schema: Schema) -> Iterator[Block]:
    if not file.is_seekable:
        yield from blocks(file, form, schema)
        return
    with opened(file) as stream:
        stream.seek(chunk.start)
        yield Block(chunk.start, stream.read(chunk.stop - chunk.start), chunk.line)


def _follow_on(block: Block, rows: int, line: int) -> bool:
    """Whether the block's rows stand on a line each, the first one on that line."""
    unended = not block.data.endswith((b"\n", b"\r"))
    return block.line == line and rows == _count_lines(block.data) + unended
