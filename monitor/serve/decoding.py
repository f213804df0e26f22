"""What a decoder's process does: it reads bodies within bounded memory, one at a time."""

from __future__ import annotations

import os
import resource
import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

    from model.schema import Schema

MEMORY = 1 << 30
"""Bytes that reading one body may take."""
BAD, LARGE, MANY, WRONG = "bad_body", "body_too_large", "too_many_rows", "bad_rows"


class DecodeJsonRequest(NamedTuple):
    """What is asked of a decoder of JSON: the rows of a body, as a raw batch of a schema."""

    body: bytes
    schema: Schema
    most: int


class DecodeRequest(NamedTuple):
    """What is asked of a decoder: which columns of a body, of at most how many rows.

    Those that are ``carried`` may be absent.
    """

    media: str
    body: bytes
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    most: int
    carried: tuple[str, ...] = ()
    times: tuple[str, ...] = ()


def run_decoder(pipe: Connection) -> None:
    """Answers orders until the server ends.

    Args:
        pipe: orders come from it; ``answer`` describes what goes into it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others take a gigabyte at once
    import monitor.serve.columnar  # so that pyarrow is loaded, and counts as there
    import monitor.serve.jsonrows  # noqa: F401

    limit_memory()
    while True:
        try:
            order: DecodeRequest | DecodeJsonRequest = pipe.recv()
        except EOFError:
            return
        pipe.send_bytes(answer(order) if isinstance(order, DecodeRequest) else answer_json(order))
        del order


def answer(order: DecodeRequest) -> bytes:
    """A code (none if all is well), a line's end, and the rows in Arrow IPC or a reason."""
    import pyarrow as pa

    from monitor.serve import columnar

    try:
        return b"\n" + pack_rows(columnar.read(*order))
    except columnar.TooMany as error:
        return refusal(MANY, error)
    except columnar.Wrong as error:
        return refusal(WRONG, error)
    except columnar.TooLarge as error:
        return refusal(LARGE, error)
    except MemoryError:
        return refusal(LARGE, f"reading it takes more than {MEMORY >> 20} MiB")
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        return refusal(BAD, error)


def answer_json(order: DecodeJsonRequest) -> bytes:
    """As ``answer``, of a JSON body."""
    from monitor.serve.jsonrows import Unreadable, join_columns, read_rows

    try:
        return b"\n" + pack_rows(join_columns(*read_rows(*order)))
    except Unreadable as error:
        return refusal(error.code, error)
    except MemoryError:
        return refusal(LARGE, f"reading it takes more than {MEMORY >> 20} MiB")


def pack_rows(rows: pa.RecordBatch) -> bytes:
    """Rows in Arrow IPC."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def refusal(code: str, reason: object) -> bytes:
    """A code and the first line of a reason."""
    reason_line = (str(reason).strip() or "it cannot be read").splitlines()[0]
    return f"{code}\n{reason_line}".encode(errors="replace")


def limit_memory() -> None:
    """This process may take ``MEMORY`` beside what it has (on Linux)."""
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
