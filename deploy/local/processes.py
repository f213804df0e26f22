"""The processes of the local cluster: start one, look for them, stop them.

Each carries a mark in its command line, so it is found even when its pid file is lost; the
pid file finds one that is only just starting.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from deploy.local.parameters import HOME

RUN = HOME / "run"
MARK = f"-Dcorrenteza.flink={HOME}"
ROLES = {
    "jobmanager": "StandaloneSessionClusterEntrypoint",
    "taskmanager": "TaskManagerRunner",
    "jobserver": "FlinkJobServerDriver",
}
"""Each process by the word that its command line holds, in the order of starting."""
PATIENCE = 15.0
"""So many seconds a process has to end by itself before it is killed."""


def commands() -> dict[int, str]:
    """The command line of every process on this machine, by pid."""
    output = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for line in output.splitlines():
        pid, state, *words = line.split(None, 2)
        if words and not state.startswith("Z"):  # a zombie has ended
            found[int(pid)] = words[0]
    return found


def find_role(role: str, found: dict[int, str]) -> set[int]:
    """The pids of a role, by their marks.

    Example:
        >>> find_role("taskmanager", {7: f"java {MARK} x.TaskManagerRunner", 8: "vim x"})
        {7}
    """
    return {pid for pid, argv in found.items() if MARK in argv and ROLES[role] in argv}


def alive(role: str) -> set[int]:
    """The pids of a role: by their marks, and by the pid file if it tells of one of ours."""
    found = commands()
    pids = find_role(role, found)
    try:
        noted = int((RUN / f"{role}.pid").read_text())
    except (FileNotFoundError, ValueError):
        return pids
    return pids | {noted} if str(HOME) in found.get(noted, "") else pids


def start(role: str, argv: list[str], environment: dict[str, str], out: Path) -> None:
    """Starts a process that lives on by itself, and notes its pid."""
    RUN.mkdir(parents=True, exist_ok=True)
    with out.open("ab") as output:
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=HOME,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (RUN / f"{role}.pid").write_text(f"{process.pid}\n")


def stop(roles: Iterable[str] = tuple(reversed(ROLES))) -> dict[str, int]:
    """Ends the processes of some roles, at first gently.

    Returns:
        How many there were, by role.

    Raises:
        SystemExit: if one is still there after it was killed.
    """
    there = {role: alive(role) for role in roles}
    _signal(there, signal.SIGTERM)
    _wait(there, PATIENCE)
    _signal(there, signal.SIGKILL)
    _wait(there, PATIENCE)
    left = {role: pids for role in roles if (pids := alive(role))}
    if left:
        raise SystemExit(f"error: still running after kill -9: {left}")
    for role in roles:
        (RUN / f"{role}.pid").unlink(missing_ok=True)
    return {role: len(pids) for role, pids in there.items() if pids}


def _signal(there: dict[str, set[int]], number: signal.Signals) -> None:
    for role, pids in there.items():
        for pid in pids & alive(role):
            try:
                # Each leads a group: workers that a TaskManager started end with it.
                (os.killpg if os.getpgid(pid) == pid else os.kill)(pid, number)
            except ProcessLookupError:
                continue


def _wait(there: dict[str, set[int]], seconds: float) -> None:
    until = time.monotonic() + seconds
    while any(alive(role) for role in there) and time.monotonic() < until:
        time.sleep(0.2)


def answers(port: str) -> bool:
    """Whether anything listens on a port of this machine."""
    try:
        with socket.create_connection(("localhost", int(port)), timeout=1):
            return True
    except OSError:
        return False
