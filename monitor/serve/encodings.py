"""Request bodies that are compressed, as ``Content-Encoding`` names: gzip, deflate, zstd.

A few kilobytes can unpack to any size, so no more is unpacked than a body may have, and one byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import zstandard

from monitor.serve.problems import Problem

DEEPEST = 3
"""Maximum number of encodings, one over the other."""
WINDOW = 8 << 20
"""Maximum window of zstd, bytes; RFC 9659 lets a decoder of HTTP refuse a larger one."""
STEP = 256
"""Bytes of zstd that are unpacked at once: a block of 4 bytes can become 128 KiB, so 8 MiB."""


def codings_of(header: str | None) -> list[str]:
    """The encodings that a Content-Encoding header names, in the order in which to undo them.

    Raises:
        Problem: if one is not known, or there are too many.

    Example:
        >>> codings_of("gzip"), codings_of("deflate, identity, x-gzip"), codings_of(None)
        (['gzip'], ['x-gzip', 'deflate'], [])
    """
    named = [coding.strip().lower() for coding in (header or "").split(",")]
    found = [coding for coding in reversed(named) if coding not in ("", "identity")]
    unknown = [coding for coding in found if coding not in UNPACK]
    if unknown or len(found) > DEEPEST:
        what = unknown[0][:60] if unknown else ", ".join(found)[:60]
        message = f"Content-Encoding {what!r}: must be one of gzip, deflate, zstd, identity"
        raise Problem("unsupported_encoding", message)
    return found


def unpack(body: bytes, codings: list[str], most: int) -> bytes:
    """The body without its encodings.

    Args:
        body: as it came.
        codings: of ``codings_of``.
        most: maximum number of bytes, at each step.

    Raises:
        Problem: if it is too large, or not of its encoding.

    Example:
        >>> import gzip
        >>> unpack(gzip.compress(b"[]"), ["gzip"], 2)
        b'[]'
    """
    for coding in codings:
        try:
            body = UNPACK[coding](body, most + 1)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise Problem("bad_body", f"the body is not {coding}: {error}") from error
        if len(body) > most:
            message = f"the body has more than {most:,} bytes when it is unpacked"
            raise Problem("body_too_large", message)
    return body


def from_gzip(body: bytes, most: int) -> bytes:
    """Unpacks gzip (RFC 1952), also of several members; no more than ``most`` bytes."""
    unpacked = bytearray()
    while body:
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        unpacked += _unpack(member, body, most - len(unpacked))
        if len(unpacked) >= most:
            break
        body = member.unused_data.lstrip(b"\0")  # zeros behind a member are padding
    return bytes(unpacked)


def from_deflate(body: bytes, most: int) -> bytes:
    """Unpacks deflate: with zlib's header, as RFC 9110 has it, or bare, as some clients do."""
    try:
        return _unpack(zlib.decompressobj(), body, most)
    except zlib.error:
        return _unpack(zlib.decompressobj(wbits=-zlib.MAX_WBITS), body, most)


def _unpack(stream: zlib._Decompress, body: bytes, most: int) -> bytes:
    """The first ``most`` bytes of a stream; all of them if it is shorter.

    Raises:
        EOFError: if the stream is cut off.
    """
    data = stream.decompress(body, most)
    if len(data) < most and not stream.eof:
        raise EOFError("it is cut off")
    return data


def from_zstd(body: bytes, most: int) -> bytes:
    """Unpacks zstd (RFC 8878), also of several frames; ``most`` bytes or a few more at most."""
    unpacked = bytearray()
    frame: Any = None
    for start in range(0, len(body), STEP):
        rest = body[start : start + STEP]
        while rest and len(unpacked) < most:
            if frame is None:
                frame = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
            unpacked += frame.decompress(rest)
            rest = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None and len(unpacked) < most:
        raise EOFError("it is cut off")
    return bytes(unpacked)


UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": from_gzip,
    "x-gzip": from_gzip,
    "deflate": from_deflate,
    "zstd": from_zstd,
}
"""By the name of an encoding."""
