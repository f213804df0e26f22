"""Formats and compressions of files, by their suffixes."""

from __future__ import annotations

import os

from model.errors import UserError

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""``text`` is CSV or NDJSON, by what the file begins with."""
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
ARCHIVE = ".zip"

_AS_CSV = "save it as CSV"
_AS_PARQUET = "convert it to Parquet"
_OTHERS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _AS_CSV),
    **dict.fromkeys((".arrow", ".feather", ".orc", ".avro", ".sas7bdat", ".sav"), _AS_PARQUET),
    **dict.fromkeys((".pkl", ".pickle", ".h5", ".hdf5", ".db", ".sqlite"), _AS_PARQUET),
    **dict.fromkeys((".tar", ".tgz", ".7z", ".rar"), "unpack it"),
    **dict.fromkeys((".snappy", ".lz4", ".lzo", ".deflate", ".br", ".z"), "decompress it"),
}


def format_of(path: str) -> tuple[str, str | None] | None:
    """A file's format and compression by its suffix; None if that is not known.

    Example:
        >>> format_of("a.csv.GZ"), format_of("a.parquet"), format_of("a.zip"), format_of("a")
        (('csv', 'gzip'), ('parquet', None), ('zip', None), None)
    """
    name, suffix = os.path.splitext(path.lower())
    if suffix == ARCHIVE:
        return "zip", None
    compression = COMPRESSIONS.get(suffix)
    if compression:
        suffix = os.path.splitext(name)[1]
    form = FORMATS.get(suffix)
    if form is None or (compression and form == "parquet"):
        return None
    return form, compression


def format_of_named(path: str) -> tuple[str, str | None] | None:
    """As ``format_of``, for a file that is asked for: one without a suffix is text.

    Hadoop's and MySQL's files have none. In a folder such a file is more often a LICENSE.

    Example:
        >>> format_of_named("out/part-00000"), format_of_named("a.xyz"), format_of_named("a.pq")
        (('text', None), None, ('parquet', None))
    """
    return format_of(path) or (None if "." in os.path.basename(path) else ("text", None))


def unknown_format(path: str) -> UserError:
    """The error for a file whose format is not known, with what to do about it."""
    suffix = os.path.splitext(path.lower())[1]
    remedy = _OTHERS.get(suffix)
    return UserError(
        f"{path}: the format goes by the suffix, which must be one of {', '.join(FORMATS)} (text "
        f"may have {', '.join(COMPRESSIONS)} after it) or {ARCHIVE}"
        + (f" ({remedy} first)" if remedy else "")
    )
