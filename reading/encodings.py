"""Which encoding a text has: by its byte order mark, else by the schema, else UTF-8.

Nothing else is guessed: text that is not of its encoding is an error, which proposes another.
"""

from __future__ import annotations

import codecs
from dataclasses import replace

from model.errors import UserError
from model.schema import Schema
from reading.chunks import File
from reading.streams import open_stream

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTENTS = (
    (b"\x1f\x8b", "gzip", ".gz"),
    (b"BZh", "bzip2", ".bz2"),
    (b"\xfd7zXZ\x00", "xz", ".xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard", ".zst"),
    (b"PK\x03\x04", "a zip archive, or a spreadsheet,", ".zip, or save the spreadsheet as CSV"),
    (b"PAR1", "Parquet", ".parquet"),
)
"""What files begin with that are no text."""
_HEAD = 4096
"""Bytes in which zero bytes are looked for."""


def with_encoding(file: File, schema: Schema) -> File:
    """The file with the encoding of its text, and a text file's format by its first character.

    Raises:
        UserError: if it holds zero bytes, as UTF-16 without a byte order mark does, or is not text
            by its first bytes.
    """
    if file.format == "parquet":
        return file
    with open_stream(file) as stream:
        head = bytes(stream.read(_HEAD))
    _check_content(file, head)
    wanted = codecs.lookup(schema.csv.encoding).name
    wanted = "utf-8" if wanted == "utf-8-sig" else wanted
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    encoding = marked or wanted
    # UTF-16 of mostly ASCII text has a zero in every second byte.
    if encoding == "utf-8" and head.count(0) > len(head) // 4:
        raise UserError(f"{file.path}: holds zero bytes: {_proposal(likely_encoding(head))}")
    notes = file.notes
    if marked and wanted not in ("utf-8", marked, marked[:6]):
        notes = (*notes, f"{file.path}: is {marked}, by its byte order mark, and not {wanted}")
    form = file.format
    if form == "text":
        form = _form(head, encoding)
        kind = "CSV" if form == "csv" else "JSON"
        notes = (*notes, f"{file.path}: read as {kind} (by its first character)")
    return replace(file, encoding=encoding, format=form, notes=notes)


def _check_content(file: File, head: bytes) -> None:
    """Refuses files that are not text by their content, whatever their suffix."""
    for mark, kind, suffix in _CONTENTS:
        if head.startswith(mark):
            remedy = f"rename it so that its name ends with {suffix}"
            raise UserError(f"{file.path}: is {kind} by its content: {remedy}")


def _form(head: bytes, encoding: str) -> str:
    """CSV or NDJSON, by the first character that is not a space."""
    text = head.decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    return "ndjson" if text.startswith(("{", "[")) else "csv"


def likely_encoding(data: bytes) -> str | None:
    """The encoding that text which is not UTF-8 most likely has; None if nothing speaks for one.

    Example:
        >>> likely_encoding("São".encode("cp1252")), likely_encoding("a,b".encode("utf-16-le"))
        ('cp1252', 'utf-16-le')
    """
    if data.count(0) > len(data) // 4:
        return "utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    if sum(not letter.isascii() for letter in text) > 2 * wrong:
        return None  # most of it is UTF-8: some bytes are damaged
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    return "cp1252"


def _proposal(encoding: str | None) -> str:
    if encoding is None:
        return "repair the byte, or name the text's encoding: [csv] encoding in the schema"
    return f'is it [csv] encoding = "{encoding}"?'


def not_utf8(path: str, data: bytes, offset: int, error: UnicodeDecodeError) -> UserError:
    """The error for bytes that are not UTF-8: which byte is wrong, and what the text may be.

    Args:
        path: the file.
        data: the bytes that were decoded.
        offset: where they begin in the text.
        error: why they could not be decoded.
    """
    return UserError(
        f"{path}: is not UTF-8 text: byte {offset + error.start} is "
        f"0x{data[error.start]:02x} ({error.reason}): {_proposal(likely_encoding(data))}"
    )
