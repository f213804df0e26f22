"""A Flink cluster as its REST interface shows it: what its page shows, for programs.

See Flink's documentation, "REST API": /jobs, /jobs/:jobid/status, /jobs/:jobid/checkpoints, ...
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError
from urllib3.util import Retry

SECONDS = 15.0
"""Seconds in which a cluster has to answer; one that starts a job or a savepoint is busy."""
RETRIES = Retry(connect=2, read=0, status=0, other=0, redirect=5, backoff_factor=0.1)
"""Only what could not connect is tried again: then the cluster has done nothing yet."""
CANCEL_SECONDS = 60.0
SAVEPOINT_SECONDS = 120.0
RAISED_FROM = "The above exception was the direct cause of the following exception:"
MEANWHILE = "During handling of the above exception, another exception occurred:"
"""What Python writes between two tracebacks."""
SERVER_SIDE = ("<Exception on server side", "End of exception on server side")
"""What Flink writes before and after a stack trace."""
OVER = {"FINISHED", "FAILED", "CANCELED"}


class Unreachable(Exception):
    """The cluster does not answer, or not as Flink does."""


@dataclass(frozen=True)
class Cluster:
    """A Flink cluster.

    Attributes:
        address: ``host:port`` of its page, or a URL.
    """

    address: str

    @property
    def page(self) -> str:
        """The URL of its page."""
        address = self.address.rstrip("/")
        return address if "://" in address else f"http://{address}"

    def get(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """The response to a path; with a body it is posted.

        Raises:
            Unreachable: if it does not answer with JSON.
        """
        method = method or ("GET" if body is None else "POST")
        try:
            response = _session().request(method, self.page + path, json=body, timeout=SECONDS)
            if response.ok:
                return response.json()
        except (OSError, ValueError) as error:  # all of requests' errors are one of these
            problem = f"{self.page} does not answer as Flink does: {_describe(error)}"
            raise Unreachable(problem) from error
        raise Unreachable(f"{self.page}{path}: {_reason(response)}")

    def slots(self) -> tuple[int, int]:
        """How many task slots are free, and how many there are."""
        overview = self.get("/overview")
        return int(overview["slots-available"]), int(overview["slots-total"])

    def fetch_config(self) -> dict[str, str]:
        """The cluster's configuration."""
        return {entry["key"]: entry["value"] for entry in self.get("/jobmanager/config")}

    def jobs(self, name: str) -> list[Job]:
        """All jobs of a name that it remembers, the newest last."""
        jobs = [job for job in self.get("/jobs/overview")["jobs"] if job["name"] == name]
        return [Job(self, job["jid"]) for job in sorted(jobs, key=lambda j: int(j["start-time"]))]


def root_cause(trace: str) -> str:
    r"""The error at the root of a Java stack trace, in one line.

    In that of a Python worker Java's message is the Python traceback; so it is the first error
    that the last one of that was raised from.

    Example:
        >>> root_cause("a.B: failed\n\tat c.D\nCaused by: a.E: the disk is full\n\tat f.G")
        'a.E: the disk is full'
    """
    message = trace.rpartition("Caused by: ")[2].partition("\n\tat ")[0]
    root = message.rpartition(MEANWHILE)[2].partition(RAISED_FROM)[0]
    lines = [line.strip() for line in root.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


@cache
def _session() -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
    return session


def _describe(error: Exception) -> str:
    """The error below those that requests and urllib3 wrap around it."""
    cause = error.args[0] if error.args else error
    if isinstance(cause, MaxRetryError) and cause.reason is not None:
        return str(cause.reason).rpartition(": ")[2]
    return str(error)


def _reason(response: requests.Response) -> str:
    status = f"HTTP status {response.status_code} {response.reason}"
    try:
        message: str = response.json()["errors"][-1]
    except (ValueError, KeyError, IndexError, TypeError):
        return status
    lines = [
        line
        for line in message.splitlines()
        if line.strip() and not line.startswith(("\tat", *SERVER_SIDE))
    ]
    return lines[-1].strip() if lines else status


@dataclass(frozen=True)
class Job:
    """A job on a cluster.

    Attributes:
        cluster: where it runs.
        id: what Flink calls it.
    """

    cluster: Cluster
    id: str

    @property
    def state(self) -> str:
        """RUNNING, RESTARTING, FAILED, CANCELED, ... as it is now.

        Flink answers for most else of a job from what it saw up to three seconds ago
        (its ``web.refresh-interval``).
        """
        return str(self.cluster.get(f"/jobs/{self.id}/status")["status"])

    def restarts(self) -> int:
        """How often it was started again after a failure."""
        metrics = self.cluster.get(f"/jobs/{self.id}/metrics?get=numRestarts")
        return int(metrics[0]["value"]) if metrics else 0

    def checkpoints(self) -> dict[str, Any]:
        """Its checkpoints, as Flink describes them."""
        checkpoints: dict[str, Any] = self.cluster.get(f"/jobs/{self.id}/checkpoints")
        return checkpoints

    def last_checkpoint(self) -> str | None:
        """The path of its last checkpoint, or savepoint; None before the first."""
        latest = self.checkpoints()["latest"]
        kept = [latest[kind] for kind in ("completed", "savepoint") if latest.get(kind)]
        newest = max(kept, key=lambda one: int(one["id"]), default=None)
        return None if newest is None else str(newest["external_path"])

    def failure(self) -> str | None:
        """What made it fail last, in one line: its root cause; None if nothing did."""
        response = self.cluster.get(f"/jobs/{self.id}/exceptions?maxExceptions=1")
        newest = response["exceptionHistory"]["entries"]
        return root_cause(newest[0]["stacktrace"]) if newest else None

    def cancel(self) -> None:
        """Cancels it, and waits until it is over; its retained checkpoints stay.

        Flink may refuse for a while, as when the job is being initialized: it is tried again.

        Raises:
            Unreachable: if it is not over in time.
        """
        until = time.monotonic() + CANCEL_SECONDS
        while True:
            try:
                if self.state in OVER:
                    return
                self.cluster.get(f"/jobs/{self.id}?mode=cancel", method="PATCH")
                why = ""
            except Unreachable as error:
                why = f": {error}"
            if time.monotonic() > until:
                raise Unreachable(f"job {self.id} is not cancelled in {CANCEL_SECONDS:.0f} s{why}")
            time.sleep(0.1)

    def savepoint(self) -> str:
        """Takes a savepoint and cancels the job; gives the savepoint's path.

        Raises:
            Unreachable: if the cluster cannot; the job goes on then.
        """
        trigger = self.cluster.get(f"/jobs/{self.id}/savepoints", {"cancel-job": True})
        until = time.monotonic() + SAVEPOINT_SECONDS
        while time.monotonic() < until:
            # Flink takes it, and then cancels the job, whether or not this look is answered.
            with suppress(Unreachable):
                answer = self.cluster.get(f"/jobs/{self.id}/savepoints/{trigger['request-id']}")
                if answer["status"]["id"] == "COMPLETED":
                    break
            time.sleep(0.5)
        else:
            raise Unreachable(f"no savepoint within {SAVEPOINT_SECONDS:.0f} s")
        return _location(answer["operation"])


def _location(operation: dict[str, Any]) -> str:
    if "location" in operation:
        return str(operation["location"])
    trace = operation["failure-cause"].get("stack-trace", "")
    causes = [line for line in trace.splitlines() if line.startswith("Caused by: ")]
    raise Unreachable(causes[-1] if causes else operation["failure-cause"]["class"])
