"""Processes that read columnar bodies: bounded in memory and time, and replaced when they end."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from monitor.serve.decoders import Decoder, Decoders, Undecodable
from monitor.serve.decoding import MEMORY, DecodeRequest
from tests.kit.serve import ARROW, PEOPLE, arrow

ORDER = DecodeRequest(ARROW, arrow(pa.table(PEOPLE)), ("idade", "idh"), ("estado",), 10)
LONG = 120.0
"""Seconds: a process may take so long to start on a machine that is busy."""


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders()
    yield made
    made.close()


def children() -> set[int]:
    """The processes of this process that read bodies."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found}
    return {pid for pid, line in lines.items() if b"spawn_main" in line}


def test_the_columns_that_are_asked_for_come_back_as_they_were(decoders: Decoders) -> None:
    found = decoders.decode(ORDER, LONG)
    assert found.to_pydict() == {name: PEOPLE[name] for name in ("idade", "idh", "estado")}


def test_one_process_reads_many_bodies(decoders: Decoders) -> None:
    before = children()
    for _ in range(5):
        decoders.decode(ORDER, LONG)
    assert len(children() - before) == 1


def test_a_process_that_ends_over_a_body_fails_that_one_alone(decoders: Decoders) -> None:
    before = children()
    decoders.decode(ORDER, LONG)
    [pid] = children() - before
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Undecodable, match="reading it failed"):
        decoders.decode(ORDER, LONG)
    assert decoders.decode(ORDER, LONG).num_rows == 4
    assert len(children() - before) == 1


def test_a_process_that_takes_too_long_is_ended_and_replaced(decoders: Decoders) -> None:
    before = children()
    decoders.decode(ORDER, LONG)
    [pid] = children() - before
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        decoders.decode(ORDER, 0.2)
    assert pid not in children()
    assert decoders.decode(ORDER, LONG).num_rows == 4


def test_a_process_may_take_a_gigabyte_beside_what_it_has(decoders: Decoders) -> None:
    before = children()
    decoders.decode(ORDER, LONG)
    [pid] = children() - before
    soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    held = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    assert soft == hard and MEMORY / 2 < soft - held <= MEMORY


def test_no_process_outlives_the_one_that_started_it() -> None:
    before = children()
    decoder = Decoder()
    decoder.decode(ORDER, LONG)
    [pid] = children() - before
    decoder._pipe.close()  # as when this process is killed
    decoder._process.join(LONG)
    assert pid not in children()
