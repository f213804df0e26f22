"""Checkpoints on Flink grow with each pause of a source: apache/beam#27648.

``python -m deploy.reproductions.checkpoint_growth`` runs Beam's own ``PeriodicImpulse`` and one
``Map`` on the cluster of ``make flink-up`` for a minute, and shows the size of its checkpoints.
Nothing in that job has a state that should grow; it keeps some 4 KB of each pause of its source.
(The residual of a splittable DoFn is kept in a state cell whose name is new each time. Mended
upstream by PR #39191, in no release yet.) Ends with 0 if they did not grow: then the workaround
may go, which is to drain a long run now and then, and to go on with ``--resume``.
"""

from __future__ import annotations

import subprocess
import sys
import time

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.periodicsequence import PeriodicImpulse

from deploy.local.parameters import from_environment
from pipeline.runners.cluster import Cluster, Job, Unreachable

NAME, LAUNCH = "reproduction-27648", "launch"
PAUSE, MINUTE = 0.1, 60.0
"""Seconds between two elements; how long it runs."""
FLAT = 1_000.0
"""Checkpoints of a steady job may grow by so many bytes a second."""


def options() -> PipelineOptions:
    """As for any streaming job on Flink."""
    return PipelineOptions(
        runner="PortableRunner",
        job_endpoint=f"localhost:{from_environment().beam_job_port}",
        environment_type="LOOPBACK",
        job_name=NAME,
        streaming=True,
        parallelism=1,
        checkpointing_interval=3000,
        max_bundle_time_mills=100,
    )


def launch() -> int:
    """Runs the job, until it is cancelled."""
    with beam.Pipeline(options=options()) as pipeline:
        pipeline | PeriodicImpulse(fire_interval=PAUSE) | beam.Map(lambda at: at)
    return 0


def growth(job: Job) -> float:
    """The bytes by which its last checkpoints, some ten, grew in a second."""
    history = [one for one in job.checkpoints()["history"] if one["status"] == "COMPLETED"]
    last, first = history[0], history[-1]
    seconds = (last["trigger_timestamp"] - first["trigger_timestamp"]) / 1000
    print(f"a checkpoint of {first['state_size']:,} bytes; {seconds:.0f} s later one of ", end="")
    print(f"{last['state_size']:,}")
    return float((last["state_size"] - first["state_size"]) / seconds)


def wait_for_job(cluster: Cluster, before: list[Job]) -> Job:
    """The job, once it is on the cluster."""
    for _ in range(60):
        time.sleep(1)
        new = [job for job in cluster.jobs(NAME) if job not in before]
        if new:
            return new[-1]
    raise Unreachable("the job has not started within a minute")


def main() -> int:
    """Runs it; gives 1 if checkpoints grew."""
    cluster = Cluster(from_environment().page)
    before = cluster.jobs(NAME)
    argv = [sys.executable, "-m", __spec__.name, LAUNCH]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as launcher:
        try:
            job = wait_for_job(cluster, before)
            time.sleep(MINUTE)
            grown = growth(job)
            job.cancel()
        finally:
            launcher.terminate()
    rate = f"{grown:,.0f} bytes a second, {grown * PAUSE:,.0f} each pause"
    print(f"they grow by {rate}: apache/beam#27648" if grown > FLAT else "they do not grow")
    return 1 if grown > FLAT else 0


if __name__ == "__main__":
    sys.exit(launch() if sys.argv[1:] == [LAUNCH] else main())
