"""The header of what is written as bytes: what it is, and in which version.

Bytes that cross a shuffle, and a source's checkpoint, lie in a runner's savepoint too, from which a
changed program may be started. Bytes of another version are refused, never misread.
"""

from __future__ import annotations

MAGIC = b"Cz"
KINDS = {
    b"B": "a batch",
    b"C": "a planner's checkpoint",
    b"K": "a Kafka planner's checkpoint",
    b"M": "a refresh's figures",
    b"N": "a model's reference",
    b"O": "a model of class shares",
    b"P": "a batch's part in a cohort",
    b"R": "a reference to rows",
    b"S": "a batch's sums",
    b"T": "a work item",
    b"U": "a batch's summary",
    b"W": "a window's data",
}
"""What bytes may be, by the letter in their header."""


class OtherVersion(ValueError):
    """Bytes that another version of the program wrote, as into a savepoint."""


def header(kind: bytes, version: int) -> bytes:
    """The four bytes that a coder's bytes begin with.

    Args:
        kind: a letter of ``KINDS``.
        version: from 1 to 255.
    """
    return MAGIC + kind + bytes([version])


def describe_header(encoded: bytes) -> str:
    """What bytes are by their header, for a person to read.

    Example:
        >>> describe_header(header(b"T", 2)), describe_header(bytes(4))
        ('a work item of version 2', 'bytes without a version (00000000)')
    """
    kind = KINDS.get(encoded[2:3])
    if kind is None or not encoded.startswith(MAGIC) or len(encoded) < 4:
        return f"bytes without a version ({encoded[:4].hex()})"
    return f"{kind} of version {encoded[3]}"


def strip_header(expected: bytes, encoded: bytes) -> bytes:
    """The bytes without their header.

    Raises:
        OtherVersion: if they begin with another one.

    Example:
        >>> strip_header(header(b"T", 1), b"CzT" + bytes([1]) + b"body")
        b'body'
    """
    if not encoded.startswith(expected):
        raise OtherVersion(
            f"{describe_header(encoded)}: this program reads {describe_header(expected)}. A "
            "savepoint (or checkpoint) is read by the version of the program that took it: start "
            "from it with that one, drain the job instead of a savepoint, and go on with this one "
            "and --resume"
        )
    return encoded[len(expected) :]
