"""JSON that is not a value a line: an array of objects, or objects one after the other.

Where values end is found by their brackets, without parsing: so a file is read in blocks of whole
values, as one of lines is. A value that is not a JSON object stays in its place as a problem.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import orjson

from model.errors import UserError
from model.rows import Row, RowError
from reading.chunks import ARRAY, LINES, VALUES, File
from reading.streams import open_stream

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_SPACE = b" \t\r\n"
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 20
_LINE_END = re.compile(rb"\r\n|\r|\n")
_HEAD = 4 << 20
"""Bytes of a file's beginning by which its layout is known."""
_TAIL = 4096
"""Bytes of a file's end in which the end of its array is looked for."""


def layout_of(data: bytes) -> str:
    r"""How the values lie in a JSON text, by its first block: by line, in an array, or anyhow.

    Example:
        >>> layout_of(b'{"a": 1}\n{"a": 2}\n'), layout_of(b'[{"a": 1}]'), layout_of(b'{\n"a": 1}')
        ('lines', 'array', 'values')
    """
    text = data.lstrip(_SPACE).decode("utf-8", "replace")
    line, _, rest = text.partition("\n")
    first = _end_of_value(line)
    alone = first == len(line.rstrip())
    if text.startswith("["):
        return LINES if alone and rest.strip() else ARRAY
    if not text.startswith("{") or alone:
        return LINES
    end = _end_of_value(text)
    behind = text[end:].lstrip()[:1]
    return VALUES if end > len(line) or (end and behind == "{") else LINES


def _end_of_value(text: str) -> int:
    """Where the JSON value ends with which a text begins; 0 if it is not one."""
    try:
        return json.JSONDecoder().raw_decode(text)[1]
    except (ValueError, RecursionError):
        return 0


def begin(file: File) -> File:
    """The file with its layout, its body after its array's bracket.

    Raises:
        UserError: if its array does not end.
    """
    with open_stream(file) as stream:
        data = bytes(stream.read(_HEAD))[file.body :]
    file = replace(file, layout=layout_of(data))
    if file.layout != ARRAY:
        return file
    _check_end(file)
    before = data[: data.index(b"[") + 1]
    line = file.line + len(_LINE_END.findall(before))
    return replace(file, body=file.body + len(before), line=line)


def _check_end(file: File) -> None:
    tail = b""
    with open_stream(file) as stream:
        if file.is_seekable:
            stream.seek(max(0, file.size - _TAIL))
        while piece := bytes(stream.read(1 << 20)):
            tail = (tail + piece).rstrip(_SPACE)[-1:]
    if tail != b"]":
        raise UserError(f"{file.path}: its JSON array does not end: is the file cut off?")


class _Places:
    """Where values lie in a piece of text that begins between two.

    Attributes:
        ends: the offsets after the values that are objects or arrays and end in the text.
        commas: the offsets of the commas between values.
        closed: the offset of the bracket that ends the array; None if it is not there.
    """

    def __init__(self, data: bytes) -> None:
        plain = _ESCAPED.sub(b"__", data) if b"\\" in data else data
        codes = np.frombuffer(plain, np.uint8)
        quotes = np.flatnonzero(codes == ord('"'))
        lower = codes | 0x20  # a bracket and a brace differ by this bit
        opening, closing = lower == ord("{"), lower == ord("}")
        marks = np.flatnonzero(opening | closing | (codes == ord(",")))
        # After an even number of quotes a mark is outside strings.
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
        steps = opening[marks].astype(np.int64) - closing[marks]
        depth = np.cumsum(steps)
        past = np.flatnonzero(depth < 0)
        self.closed = int(marks[past[0]]) if len(past) else None
        stop = past[0] if len(past) else len(marks)
        marks, steps, depth = marks[:stop], steps[:stop], depth[:stop]
        self.ends = marks[(steps < 0) & (depth == 0)] + 1
        self.commas = marks[(steps == 0) & (depth == 0)]


def cut(data: bytes) -> int:
    """The offset after the last value that ends in the data, and after the array's end."""
    places = _Places(data)
    if places.closed is not None or not data.strip(_SPACE):
        return len(data)
    if not len(places.ends):
        return 0
    end = int(places.ends[-1])
    rest = data[end:]
    return end + len(rest) - len(rest.lstrip(_SPACE))


def _pieces(data: bytes, file: File) -> list[tuple[int, int]]:
    """Where each value of a block of whole values begins and ends, spaces around it not counted.

    Raises:
        UserError: if anything follows the array.
    """
    places = _Places(data)
    if places.closed is not None and data[places.closed + 1 :].strip(_SPACE):
        raise UserError(
            f"{file.path}: something follows its JSON array: a file must hold one array"
        )
    stop = len(data) if places.closed is None else places.closed
    if file.layout == ARRAY:
        edges, skip = [-1, *places.commas.tolist(), stop], 1  # without the comma itself
    else:
        edges, skip = [0, *places.ends.tolist(), stop], 0
    found = [_trim(data, start + skip, end) for start, end in pairwise(edges)]
    if found and found[0][0] == found[0][1]:  # what stands before a block's first comma
        del found[0]
    if found and found[-1][0] == found[-1][1]:  # what stands after the last value
        del found[-1]
    return found


def _trim(data: bytes, start: int, end: int) -> tuple[int, int]:
    piece = data[start:end]
    start += len(piece) - len(piece.lstrip(_SPACE))
    return (start, start + len(piece.strip(_SPACE))) if piece.strip(_SPACE) else (end, end)


def starts(data: bytes, file: File) -> npt.NDArray[np.int64]:
    """The offset of each value of a block."""
    return np.array([start for start, _ in _pieces(data, file)], np.int64)


def rows(data: bytes, file: File) -> list[Row]:
    """The values of a block of whole values."""
    return read_rows(data, [data[start:end] for start, end in _pieces(data, file)])


def read_rows(data: bytes, texts: list[bytes]) -> list[Row]:
    """The objects that texts are in JSON, or why they are not, as ``read_row`` has them.

    Args:
        data: a block of text.
        texts: pieces of it, one a row.

    Example:
        >>> read_rows(b'', [b'{"a": 1}', b'{"a": NaN}'])
        [{'a': 1}, {'a': nan}]
    """
    digits = data.translate(_ZEROS)
    # Of integers with more than 64 bits orjson makes floats.
    read = read_row if _has_long_integers(digits) else _read_quickly
    return [read(text) for text in texts]


def _has_long_integers(digits: bytes) -> bool:
    """Whether a text may hold an integer of more than 64 bits; all of its digits are zeros."""
    if b"-" + _LONG[1:] in digits:
        return True
    at = digits.find(_LONG)
    while at >= 0:
        if digits[at - 1 : at] != b".":  # else it is a fraction: 0.00012345678901234567
            return True
        at = digits.find(_LONG, at + len(_LONG))
    return False


def _read_quickly(text: bytes) -> Row:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:  # it may be what Python allows, as NaN
        return read_row(text)
    return value if type(value) is dict else read_row(text)


def read_row(text: bytes) -> Row:
    """The object that a text is in JSON, or why it is not one.

    Example:
        >>> read_row(b'{"a": 1}'), read_row(b"7").reason
        ({'a': 1}, 'is not a JSON object')
    """
    value: object
    try:
        value = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        return RowError(text.decode("utf-8", "replace"), f"is not JSON: {error}")
    if isinstance(value, dict):
        return value
    return RowError(text.decode("utf-8", "replace"), "is not a JSON object")
