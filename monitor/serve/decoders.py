"""Arrow, Parquet and large JSON bodies, read in processes of their own.

A few kilobytes of them can unpack to any size, and readers written in C++ have met files that
crashed them. So a process with bounded memory reads one body at a time, and gives back the
features' columns, checked and plain. If it ends or takes too long, that request is refused and the
next one gets a new process; the server goes on. (Reading 16 MiB of JSON takes half a gigabyte and
keeps Python's lock all the while, so that nothing else would be answered.)
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from contextlib import suppress

import pyarrow as pa

from monitor.serve.decoding import BAD, DecodeJsonRequest, DecodeRequest, run_decoder


class Undecodable(Exception):
    """A body that cannot be read.

    Attributes:
        code: of the problem that it is.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Decoder:
    """A process that reads bodies, one at a time."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=run_decoder, args=(theirs,), daemon=True, name="decoder"
        )
        self._process.start()
        theirs.close()

    def decode(self, order: DecodeRequest | DecodeJsonRequest, seconds: float) -> pa.RecordBatch:
        """The features of a body.

        Raises:
            Undecodable: if it is not of its media type, is too large, or has too many rows.
            TimeoutError: if it takes too long; the decoder is of no use then.
            EOFError: if the process ended over it; as before.
        """
        try:
            self._pipe.send(order)
            if not self._pipe.poll(seconds):
                raise TimeoutError
            message = self._pipe.recv_bytes()
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise EOFError from error
        code, _, data = message.partition(b"\n")
        if code:
            raise Undecodable(code.decode(), data.decode(errors="replace"))
        with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
            return reader.read_next_batch()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


class Decoders:
    """As many decoders as there are processors, started when they are first needed."""

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[Decoder | None] = queue.LifoQueue()
        for _ in range(os.cpu_count() or 1):
            self._idle.put(None)

    def decode(self, order: DecodeRequest | DecodeJsonRequest, seconds: float) -> pa.RecordBatch:
        """The features of a body, by a decoder that is free within that time.

        Raises:
            Undecodable: as ``Decoder.decode``, and if the process ended over it.
            TimeoutError: if no decoder was free, or reading takes too long.
        """
        try:
            decoder = self._idle.get(timeout=seconds)
        except queue.Empty as error:
            raise TimeoutError from error
        usable = False
        try:
            decoder = decoder or Decoder()
            rows = decoder.decode(order, seconds)
            usable = True
            return rows
        except Undecodable:
            usable = True
            raise
        except EOFError as error:
            raise Undecodable(BAD, "reading it failed") from error
        finally:
            if decoder is not None and not usable:
                decoder.close()
            self._idle.put(decoder if usable else None)

    def warm(self) -> None:
        """Starts a decoder, so that the first body need not wait for that."""
        self._idle.put(self._idle.get() or Decoder())

    def close(self) -> None:
        """Ends all processes that are idle."""
        with suppress(queue.Empty):
            while True:
                decoder = self._idle.get_nowait()
                if decoder is not None:
                    decoder.close()
