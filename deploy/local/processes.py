"""The processes of a local cluster or broker: start one, look for them, stop them.

Each has a mark in its command line, so it is found even when its pid file is lost; the pid file
finds one that is only just starting.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.parameters import HOME, ROOT

PATIENCE = 15.0
"""Seconds that a process has to end by itself before it is killed."""


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


@dataclass(frozen=True)
class Processes:
    """The processes that belong together.

    Attributes:
        home: the folder of all that they write.
        mark: what the command line of each holds.
        roles: each process by the word that its command line holds, in the order of starting.
    """

    home: Path
    mark: str
    roles: Mapping[str, str]

    @property
    def run(self) -> Path:
        """The folder of the pid files."""
        return self.home / "run"

    def find_role(self, role: str, found: dict[int, str]) -> set[int]:
        """The pids of a role, by their marks.

        Example:
            >>> argv = f"java {FLINK.mark} x.TaskManagerRunner"
            >>> FLINK.find_role("taskmanager", {7: argv, 8: "vim x"})
            {7}
        """
        return {
            pid for pid, argv in found.items() if self.mark in argv and self.roles[role] in argv
        }

    def alive(self, role: str) -> set[int]:
        """The pids of a role: by their marks, and by the pid file if it names one of ours."""
        found = commands()
        try:
            noted = int((self.run / f"{role}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return self.find_role(role, found)
        if found.get(noted, "").startswith("["):
            # A program that only just starts has no command line yet; ps shows its name instead.
            time.sleep(0.1)
            found = commands()
        pids = self.find_role(role, found)
        return pids | {noted} if str(self.home) in found.get(noted, "") else pids

    def start(self, role: str, argv: list[str], environment: dict[str, str], out: Path) -> None:
        """Starts a process that lives on by itself, and notes its pid."""
        self.run.mkdir(parents=True, exist_ok=True)
        with out.open("ab") as output:
            process = subprocess.Popen(
                argv,
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.run / f"{role}.pid").write_text(f"{process.pid}\n")

    def wait_for(self, role: str, is_up: Callable[[], bool], log: Path, seconds: float) -> None:
        """Waits until a process that was started answers.

        Raises:
            SystemExit: if it does not in time, or has ended; names its log.
        """
        began = time.monotonic()
        while not is_up():
            ended = not self.alive(role)
            if ended or time.monotonic() - began > seconds:
                how = "ended at once" if ended else f"does not answer after {seconds:.0f} s"
                raise SystemExit(f"error: the {role} {how}: see {log.relative_to(ROOT)}")
            time.sleep(0.2)

    def stop(self, roles: Iterable[str] | None = None) -> dict[str, int]:
        """Ends the processes of some roles, or of all, at first gently.

        Returns:
            How many there were, by role.

        Raises:
            SystemExit: if one is still there after it was killed.
        """
        roles = list(reversed(list(self.roles))) if roles is None else list(roles)
        there = {role: self.alive(role) for role in roles}
        self._signal(there, signal.SIGTERM)
        self._wait(there, PATIENCE)
        self._signal(there, signal.SIGKILL)
        self._wait(there, 4 * PATIENCE)
        left = {role: pids for role in roles if (pids := self.alive(role))}
        if left:
            raise SystemExit(f"error: still running after kill -9: {left}")
        for role in roles:
            (self.run / f"{role}.pid").unlink(missing_ok=True)
        return {role: len(pids) for role, pids in there.items() if pids}

    def _signal(self, there: dict[str, set[int]], number: signal.Signals) -> None:
        for role, pids in there.items():
            for pid in pids & self.alive(role):
                try:
                    # Each leads a group: workers that a TaskManager started end with it.
                    (os.killpg if os.getpgid(pid) == pid else os.kill)(pid, number)
                except ProcessLookupError:
                    continue

    def _wait(self, there: dict[str, set[int]], seconds: float) -> None:
        until = time.monotonic() + seconds
        while any(self.alive(role) for role in there) and time.monotonic() < until:
            time.sleep(0.2)


FLINK = Processes(
    HOME,
    f"-Dcorrenteza.flink={HOME}",
    {
        "jobmanager": "StandaloneSessionClusterEntrypoint",
        "taskmanager": "TaskManagerRunner",
        "jobserver": "FlinkJobServerDriver",
    },
)


def answers(port: str) -> bool:
    """Whether anything listens on a port of this machine."""
    try:
        with socket.create_connection(("localhost", int(port)), timeout=10):
            return True
    except OSError:
        return False
