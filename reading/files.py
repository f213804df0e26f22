"""The files of an input: found, classified by suffix, checked."""

from __future__ import annotations

import os
from collections.abc import Sequence

from model.errors import UserError
from model.remote import file_systems, get_scheme, storage_errors
from model.wording import first_few, first_line
from reading.chunks import File
from reading.finding import FoundFile, Matches, is_hidden, match
from reading.formats import FORMATS, format_of, format_of_named, unknown_format
from reading.streams import members, open_stream

_FOLDERS = "folders: ** in the glob reads what is below them"


def find(pattern: str, option: str = "--input") -> tuple[list[File], tuple[str, ...]]:
    """The files that a path, a glob or a folder stands for, sorted by path, and notes on them.

    Empty files are left out, and so is what is hidden, or, in a folder, of no known format.

    Args:
        pattern: the path, the glob or the folder.
        option: what it was given for, for the messages.

    Raises:
        UserError: if there is none, all are empty, one has an unknown suffix, or the file
            system cannot be listed.
    """
    matches = match(pattern, option)
    found = list(matches.files.values())
    kind_of = format_of if matches.folders else format_of_named
    unknown = [file for file in found if kind_of(file.path) is None]
    if not matches.folders and unknown:
        raise unknown_format(unknown[0].path)
    known = [file for file in found if file not in unknown]
    files = [file for each in known if each.size for file in _files_of(each)]
    if not files:
        raise UserError(_explain_nothing(f"{option} {pattern}", matches, known, unknown))
    empty = [file.path for file in known if not file.size]
    notes = [
        _note_left_out(matches.left_out, "hidden files and copies of editors and systems"),
        _note_left_out([file.path for file in unknown], "files of no known format"),
        _note_left_out(empty, "empty files (0 bytes)"),
        _note_left_out(matches.passed, _FOLDERS),
        _note_twice(files),
    ]
    return files, tuple(note for note in notes if note)


def _explain_nothing(
    given: str, matches: Matches, known: list[FoundFile], unknown: list[FoundFile]
) -> str:
    """Why a pattern stands for no file that could be read."""
    if len(known) == 1:
        return f"{known[0].path}: is empty (0 bytes)"
    if known:
        return f"{given}: all of its {len(known)} files are empty (0 bytes)"
    if unknown or matches.folders:
        have = ", ".join(FORMATS)
        return f"{given}: no file below it is of a known format ({have})"
    hint = ""
    if matches.left_out:
        hint = f" but {first_few(matches.left_out)}, left out by name (name one exactly to read it)"
    if matches.passed:
        hint = f" but {first_few(matches.passed)}, left out ({_FOLDERS})"
    return f"{given}: no file matches{hint}"


def _note_left_out(paths: Sequence[str], kind: str) -> str | None:
    return f"{len(paths):,} left out ({kind}): {first_few(paths)}" if paths else None


def _note_twice(files: Sequence[File]) -> str | None:
    """A note if a file stands beside a compressed one of the same name."""
    plain = {file.path for file in files if file.compression is None}
    packed = [file for file in files if file.compression]
    copies = [file.path for file in packed if os.path.splitext(file.stored)[0] in plain]
    if not copies:
        return None
    return f"read beside the uncompressed file of the same name: {first_few(copies)}"


def _files_of(found: FoundFile) -> list[File]:
    """The file, or, of a zip archive, all of its members that are data."""
    kind = format_of_named(found.path)
    assert kind is not None
    form, compression = kind
    if form != "zip":
        return [File(found.path, form, found.size, found.updated, compression)]
    try:
        inside = [each for each in members(found.path) if each.file_size]
    except OSError as error:
        raise UserError(f"{found.path}: cannot be read: {first_line(error)}") from error
    inside = [each for each in inside if not any(map(is_hidden, each.filename.split("/")))]
    if not inside:
        raise UserError(f"{found.path}: holds no file with data")
    files = []
    for each in sorted(inside, key=lambda member: member.filename):
        path, kind = f"{found.path}/{each.filename}", format_of(each.filename)
        if kind is None or kind[1] or kind[0] in ("zip", "parquet"):
            raise UserError(f"{path}: a zip archive must hold plain CSV or NDJSON: unpack it")
        files.append(File(path, kind[0], found.size, found.updated, "zip", archive=found.path))
    return files


def is_empty(file: File) -> bool:
    """Whether there is no byte in a file once it is decompressed."""
    if file.compression is None:
        return False  # by its size it would have been left out
    with open_stream(file) as stream:
        return not stream.read(1)


def check_unchanged(file: File) -> None:
    """Checks that a file is the one that was planned, by its size and when it was written.

    Raises:
        UserError: if not.
        OSError: if it is not there any more.
    """
    try:
        found = _size_and_time(file.stored)
    except storage_errors(ValueError) as error:
        raise OSError(f"{file.path}: cannot be read again: {first_line(error)}") from error
    if found != (file.size, file.updated):
        raise UserError(f"{file.path}: has changed since it was planned")


def _size_and_time(path: str) -> tuple[int, float]:
    """A file's bytes, and when it was written, seconds since the epoch; 0 if nothing says so."""
    if get_scheme(path) is None:
        local = os.stat(path)
        return local.st_size, local.st_mtime
    found = file_systems().get_filesystem(path).metadata(path)  # its name is not a glob
    return found.size_in_bytes, found.last_updated_in_seconds or 0.0
