"""Files by glob, on any Beam file system: found, told apart by suffix, opened."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pyarrow as pa
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from model.errors import UserError
from model.reading.chunks import File
from model.schema import Schema

FORMATS = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}

_TOLD = 30


def find(pattern: str) -> list[File]:
    """The files that match a glob, sorted by path.

    Raises:
        UserError: if there is none, one is empty or has an unknown suffix, or the pattern
            is a folder or cannot be listed.
    """
    if os.path.isdir(pattern):
        raise UserError(
            f"--input {pattern}: is a folder: a file or a glob such as "
            f"{os.path.join(pattern, '*.csv')} is allowed"
        )
    relative = FileSystems.get_scheme(pattern) is None and not os.path.isabs(pattern)
    here = os.path.join(os.curdir, "") if relative else ""
    try:  # Beam finds nothing by a glob without a folder before its first mark
        found = FileSystems.match([here + pattern])[0].metadata_list
    except (BeamIOError, ValueError, OSError) as error:
        raise UserError(f"--input {pattern}: cannot be listed: {one_line(error)}") from error
    if not found:
        raise UserError(f"--input {pattern}: no file matches")
    files = [_file(metadata, metadata.path.removeprefix(here)) for metadata in found]
    return sorted(files, key=lambda file: file.path)


def _file(metadata: FileMetadata, path: str) -> File:
    size = metadata.size_in_bytes
    if size == 0:
        raise UserError(f"{path}: is empty (0 bytes)")
    name, suffix = os.path.splitext(path.lower())
    compression = COMPRESSIONS.get(suffix)
    if compression:
        suffix = os.path.splitext(name)[1]
    form = FORMATS.get(suffix)
    if form is None or (compression and form == "parquet"):
        raise UserError(
            f"{path}: the suffix tells the format: {', '.join(FORMATS)} is allowed, for text "
            f"also with {', '.join(COMPRESSIONS)} behind it"
        )
    updated = metadata.last_updated_in_seconds or 0.0
    return File(path, form, size, float(updated), compression)


def opened(file: File) -> pa.NativeFile:
    """The file's bytes, decompressed, as a stream; seekable unless compressed.

    Raises:
        OSError: if it cannot be opened.
    """
    if FileSystems.get_scheme(file.path) is None:
        stream = pa.OSFile(file.path)
    else:
        plain = CompressionTypes.UNCOMPRESSED
        stream = pa.PythonFile(FileSystems.open(file.path, compression_type=plain), "r")
    return pa.CompressedInputStream(stream, file.compression) if file.compression else stream


def check_unchanged(file: File) -> None:
    """Checks that a file is the one that was planned, by its size and when it was written.

    Raises:
        UserError: if not.
        OSError: if it is not there any more.
    """
    try:
        found = FileSystems.get_filesystem(file.path).metadata(file.path)  # its name is no glob
    except (BeamIOError, ValueError) as error:
        raise OSError(f"{file.path}: cannot be read again: {one_line(error)}") from error
    if (found.size_in_bytes, found.last_updated_in_seconds or 0.0) != (file.size, file.updated):
        raise UserError(f"{file.path}: has changed since it was planned")


def one_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_columns(path: str, names: Sequence[str], schema: Schema, hint: str = "") -> None:
    """Checks that a file has each column that the schema names, once.

    Raises:
        UserError: if not; it names the columns that the file has.
    """
    for column in schema.columns:
        count = list(names).count(column)
        if count == 0:
            have = ", ".join(names[:_TOLD]) + (", ..." if len(names) > _TOLD else "")
            raise UserError(f"{path}: has no column {column!r}: its columns are {have}{hint}")
        if count > 1:
            raise UserError(f"{path}: has {count} columns {column!r}: one is allowed")
