"""Hostile clients and a damaged folder, all at once: ``make attack ARGS=3600`` for an hour of them.

Slow heads and bodies, held connections, invented methods and paths, bombs, streams of events, and
files that are damaged while the server runs. All the while a well-behaved client asks for
predictions; what is measured is how long it waits, and the server's memory and open files.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.__main__ import main as run_job
from tests.kit.job import SMALL
from tests.kit.serve import JSON, Served, rows, serve

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BOMB = gzip.compress(bytes(64 << 20))
BODY = json.dumps(rows())


@dataclass
class Seen:
    """What was seen of a server under attack.

    Attributes:
        waits: seconds that each well-behaved request took.
        failures: those that were not answered with 200.
        memory: bytes, sampled.
        files: open files, sampled.
        attacks: how many connections the hostile clients made.
    """

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    attacks: int = 0


def slow_head(connection: socket.socket, chance: random.Random) -> None:
    trickle(connection, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200)


def slow_body(connection: socket.socket, chance: random.Random) -> None:
    trickle(connection, HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 200)


def unread_body(connection: socket.socket, chance: random.Random) -> None:
    trickle(connection, b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n")


def silence(connection: socket.socket, chance: random.Random) -> None:
    connection.recv(1)


def invent(connection: socket.socket, chance: random.Random) -> None:
    name = "".join(chance.choices("ABCDEFGH", k=chance.choice((8, 8000)))).encode()
    connection.sendall(b"%s /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (name, name))
    connection.recv(100)


def bomb(connection: socket.socket, chance: random.Random) -> None:
    head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
    connection.sendall(HEAD + head + BOMB)
    connection.recv(100)


def events(connection: socket.socket, chance: random.Random) -> None:
    connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(chance.random() * 2)
    connection.recv(100)


def deaf(connection: socket.socket, chance: random.Random) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    time.sleep(2)


def garbage(connection: socket.socket, chance: random.Random) -> None:
    connection.sendall(chance.randbytes(chance.choice((10, 100_000))))
    connection.recv(100)


def trickle(connection: socket.socket, data: bytes) -> None:
    """Sends the first half at once and the rest a byte now and then."""
    half = len(data) // 2
    connection.sendall(data[:half])
    for place in range(half, len(data)):
        connection.sendall(data[place : place + 1])
        time.sleep(0.1)


ATTACKS: tuple[Callable[[socket.socket, random.Random], None], ...] = (
    *(slow_head, slow_body, unread_body, silence, invent, bomb, events, deaf, garbage),
)


def attack(server: Served, folder: Path, seconds: float, attackers: int = 40) -> Seen:
    """Attacks a server for a while.

    Args:
        server: it.
        folder: its run's; files in it are damaged, and mended.
        seconds: for so long.
        attackers: hostile clients at the same time.
    """
    seen = Seen()
    end = time.monotonic() + seconds

    def hostile(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", server.port)) as made:
                made.settimeout(2)
                seen.attacks += 1
                chance.choice(ATTACKS)(made, chance)

    def vandal() -> None:
        chance = random.Random(0)
        data = (b"{}", b"[" * 100_000, b"", b"\xff" * 100)
        while time.monotonic() < end:
            for path in (folder / "metrics" / "20300101T000000Z.json", folder / "status.json"):
                path.write_bytes(chance.choice(data))
            time.sleep(0.2)

    threads = [threading.Thread(target=hostile, args=(n,)) for n in range(attackers)]
    threads.append(threading.Thread(target=vandal))
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        ask(server, seen)
        seen.memory.append(memory(server.running.pid))
        seen.files.append(len(os.listdir(f"/proc/{server.running.pid}/fd")))
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    return seen


def ask(server: Served, seen: Seen) -> None:
    """Asks for a prediction as any client would."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", "/predict", BODY, {"Content-Type": JSON})
        status = connection.getresponse().status
        if status != 200:
            seen.failures.append(str(status))
    except OSError as error:
        seen.failures.append(repr(error))
    finally:
        connection.close()
    seen.waits.append(time.monotonic() - began)


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def main(argv: list[str]) -> int:
    """Attacks a server for some seconds (60), and prints what was seen."""
    seconds = float(argv[0]) if argv else 60.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        if run_job([*SMALL, "--output", str(folder)]) != 0:
            return 1
        with serve(folder, "--timeout", 5) as server:
            seen = attack(server, folder, seconds)
    half = len(seen.memory) // 2
    ranked = sorted(seen.waits)
    print(f"{seen.attacks:,} hostile connections in {seconds:,.0f} s")
    print(f"{len(seen.waits):,} requests, {len(seen.failures):,} failed: {seen.failures[:5]}")
    print(f"waits: p50 {ranked[len(ranked) // 2]:.3f} s, max {ranked[-1]:.3f} s")
    for name, values, unit in (("memory", seen.memory, 1 << 20), ("files", seen.files, 1)):
        first, second = max(values[:half]) / unit, max(values[half:]) / unit
        print(f"{name}: at most {first:,.0f} in the first half, {second:,.0f} in the second")
    return 1 if seen.failures or ranked[-1] > 1 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
