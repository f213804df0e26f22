"""A file's bytes as a stream: decompressed, taken out of its archive, and as UTF-8.

A compressed file may be made of several streams, one after the other, some of them empty; zero
bytes between and after them are padding. Anything else after a stream, and a stream that does
not end, is an error: rows would be lost otherwise.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa

from model.errors import UserError
from model.remote import file_systems, get_scheme
from reading.chunks import File

_PIECE = 1 << 20
"""Bytes of a file that are decompressed or decoded at a time."""


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, /) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: cast(_Decompressor, zlib.decompressobj(wbits=31)),
    "bz2": lambda: cast(_Decompressor, bz2.BZ2Decompressor()),
    "xz": lambda: cast(_Decompressor, lzma.LZMADecompressor()),
}


def open_stream(file: File) -> Any:
    """The file's bytes as a stream: plain text as UTF-8; seekable if ``file.is_seekable``.

    Raises:
        OSError: if it cannot be opened, or, while it is read, if it is damaged.
        UserError: while it is read, if it is not text of its encoding.
    """
    stream = open_stored(file.stored)
    if file.is_seekable:
        return stream
    pieces = _pieces(file, stream)
    if file.encoding != "utf-8":
        pieces = _decode(pieces, file)
    return _Pieces(pieces, stream)


def open_stored(path: str) -> Any:
    """A file's bytes as they are stored, seekable.

    Raises:
        OSError: if it cannot be opened.
    """
    if get_scheme(path) is None:
        return pa.OSFile(path)
    return pa.PythonFile(file_systems().open(path, compression_type="uncompressed"), "r")


def _pieces(file: File, stream: Any) -> Iterator[bytes]:
    if file.compression == "zip":
        return _member(stream, file.path.removeprefix(f"{file.archive}/"))
    if file.compression == "zstd":
        return _raw(pa.CompressedInputStream(stream, "zstd"))
    if file.compression is None:
        return _raw(stream)
    return decompress(_raw(stream), file.compression)


def _raw(stream: Any) -> Iterator[bytes]:
    while piece := bytes(stream.read(_PIECE)):
        yield piece


def decompress(pieces: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """The bytes of all streams of a compressed file, one after the other.

    Args:
        pieces: the file's bytes.
        compression: ``gzip``, ``bz2`` or ``xz``.

    Raises:
        OSError: if a stream is damaged or does not end, or something else follows one.

    Example:
        >>> import gzip
        >>> file = gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b") + bytes(512)
        >>> b"".join(decompress(iter([file]), "gzip"))
        b'ab'
    """
    decompressor: _Decompressor | None = None
    streams = 0
    for piece in pieces:
        data = piece
        while data:
            if decompressor is None:
                data = data.lstrip(b"\0") if streams else data
                if not data:
                    break
                decompressor = _DECOMPRESSORS[compression]()
            try:
                yield decompressor.decompress(data)
            except (zlib.error, lzma.LZMAError, OSError) as error:
                place = f"behind its stream {streams}" if streams else "here"
                raise OSError(f"is damaged, or is not {compression} {place}: {error}") from error
            if not decompressor.eof:
                break
            data, decompressor, streams = decompressor.unused_data, None, streams + 1
    if decompressor is not None:
        raise OSError(f"is cut off: its {compression} stream does not end")


def members(path: str) -> list[zipfile.ZipInfo]:
    """The files in a zip archive, in its order.

    Raises:
        OSError: if it is not a zip archive, or is cut off.
    """
    with open_stored(path) as stream:
        try:
            with zipfile.ZipFile(cast(BinaryIO, stream)) as archive:
                return [member for member in archive.infolist() if not member.is_dir()]
        except (zipfile.BadZipFile, pa.ArrowInvalid) as error:
            raise OSError(f"is not a zip archive, or is cut off: {error}") from error


def _member(stream: Any, name: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(stream) as archive, archive.open(name) as member:
            while piece := member.read(_PIECE):
                yield piece
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise OSError(f"is damaged: {error}") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an odd compression
        raise OSError(f"cannot be unpacked here, unzip it first: {error}") from error


def _decode(pieces: Iterator[bytes], file: File) -> Iterator[bytes]:
    """Text of an encoding as UTF-8.

    Raises:
        UserError: names the first byte that is not of the encoding.
    """
    decoder = codecs.getincrementaldecoder(file.encoding)()
    offset = 0
    for piece in chain(pieces, (b"",)):
        kept = len(decoder.getstate()[0])
        try:
            yield decoder.decode(piece, final=not piece).encode("utf-8")
        except UnicodeError as error:
            start = error.start if isinstance(error, UnicodeDecodeError) else 0
            at = offset - kept + start
            raise UserError(
                f"{file.path}: is not {file.encoding} text: byte {at}: "
                f"{getattr(error, 'reason', error)}"
            ) from error
        offset += len(piece)


class _Pieces:
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes], stream: Any) -> None:
        self.pieces = pieces
        self.stream = stream
        self.rest = b""

    def read(self, nbytes: int) -> bytes:
        found, size = [self.rest], len(self.rest)
        while size < nbytes and (piece := next(self.pieces, None)) is not None:
            found.append(piece)
            size += len(piece)
        data = b"".join(found)
        self.rest = data[nbytes:]
        return data[:nbytes]

    def __enter__(self) -> _Pieces:
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()
