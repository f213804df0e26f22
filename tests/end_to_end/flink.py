"""A local Flink cluster for tests: ``make flink-up`` starts it; CI does so before the tests.

Some of the tests on it kill its processes, so they run one after the other: each has "flink" in its
file's, its class's or its parameter's name, by which ``tests/conftest.py`` gathers them.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from deploy.local import cluster
from deploy.local.parameters import from_environment
from deploy.local.processes import FLINK
from pipeline.runners.cluster import Cluster, Job
from tests.kit.job import ROOT

PARAMETERS = from_environment()
CLUSTER = Cluster(PARAMETERS.page)
ENDPOINT = f"localhost:{PARAMETERS.beam_job_port}"
WORDS = (
    *("--runner", "flink", "--job_endpoint", ENDPOINT),
    *("--flink_master", f"localhost:{PARAMETERS.flink_rest_port}"),
)
needs_flink = [
    pytest.mark.slow,
    pytest.mark.skipif(
        # Where no test may be skipped it fails if Flink is down, and not if it is busy just now.
        os.environ.get("REQUIRE_ALL") != "1"
        and not all(cluster.healthy(role, PARAMETERS) for role in FLINK.roles),
        reason="Flink is not up: make flink-up",
    ),
]
"""The marks of a test that runs on the cluster."""


def mend() -> None:
    """Starts what has died of the cluster, and waits until all of it answers."""
    argv = [sys.executable, "-m", "deploy.local", "up"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def kill(role: str) -> None:
    """Kills the cluster's process of a role, at once."""
    pids = FLINK.alive(role)
    assert pids, f"no {role} is there to kill"
    for pid in pids:
        os.kill(pid, 9)


def running() -> list[Job]:
    """The jobs that run on the cluster."""
    result = CLUSTER.get("/jobs/overview")["jobs"]
    return [Job(CLUSTER, job["jid"]) for job in result if job["state"] == "RUNNING"]
