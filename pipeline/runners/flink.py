"""Flink: a cluster, and Beam's job server before it (``make flink-up``, or your own)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePath

from model import files
from pipeline.runners.cluster import Cluster, Unreachable
from pipeline.runners.needs import Need, job_server, value_of, with_defaults
from pipeline.settings import Settings

ENDPOINT, PAGE = "localhost:8099", "localhost:8081"
DEFAULTS = {
    "--job_endpoint": ENDPOINT,
    "--environment_type": "LOOPBACK",
    "--parallelism": "2",
    "--checkpointing_interval": "3000",
    "--finish_bundle_before_checkpointing": "",
    "--max_bundle_time_mills": "500",
}
"""See deploy/README.md for the reason of each."""
LOCAL = {"localhost", "127.0.0.1", "::1", "[::1]"}
OFF = {"false", "0", "-1"}
JOB_SERVERS = (
    *("auto_balance_write_files_sharding_enabled", "auto_watermark_interval"),
    *("allow_non_restored_state", "checkpoint_timeout_millis", "checkpointing_interval"),
    *(
        "checkpointing_mode",
        "disable_metrics",
        "enable_stable_input_drain",
        "execution_mode_for_batch",
    ),
    *("execution_retry_delay", "externalized_checkpoints_enabled", "fail_on_checkpointing_errors"),
    *("faster_copy", "finish_bundle_before_checkpointing", "latency_tracking_interval"),
    *("max_bundle_size", "max_bundle_time_mills", "min_pause_between_checkpoints"),
    *("num_concurrent_checkpoints", "number_of_execution_retries", "object_reuse"),
    *("operator_chaining", "re_iterable_group_by_key_result", "savepoint_path"),
    *("retain_externalized_checkpoints_on_cancellation", "shutdown_sources_after_idle_ms"),
    *("state_backend", "state_backend_storage_path", "tolerable_checkpoint_failure_number"),
)
"""Options that the job server knows, and Beam's Python does not (FlinkPipelineOptions)."""


def cluster_of(words: list[str]) -> Cluster:
    """The cluster that Beam's words name by ``--flink_master``, or the one on this machine."""
    given = value_of(words, "--flink_master")
    return Cluster(PAGE if given in (None, "[auto]") else str(given))


def job_name(output: str) -> str:
    """The name of the job of a run's folder, by which it is found on the cluster."""
    digest = hashlib.sha256(output.encode()).hexdigest()[:8]
    return f"correnteza-{PurePath(output).name}-{digest}".lower()


def words_for(settings: Settings, words: list[str]) -> list[str]:
    """Beam's options for a job on it: those that are given, and our defaults for the rest."""
    defaults = {**DEFAULTS, "--job_name": job_name(str(settings.output))}
    return with_defaults(words, defaults)


def needs(settings: Settings, words: list[str]) -> Iterator[Need]:
    """What Flink needs for a job: a job server, a cluster with checkpoints, a shared folder."""
    given = with_defaults(words, DEFAULTS)
    endpoint = str(value_of(given, "--job_endpoint"))
    yield from _options(given)
    yield _folder(settings, given, endpoint)
    yield from _savepoint(settings, words)
    yield job_server(endpoint, "make flink-up starts one here")
    yield from _cluster(cluster_of(words), _whole(given, "--parallelism") or 1)


def _options(words: list[str]) -> Iterator[Need]:
    for name, why in (
        ("--checkpointing_interval", "without checkpoints a crash starts the job anew"),
        (
            "--finish_bundle_before_checkpointing",
            "without it a job with checkpoints may hang from its start",
        ),
    ):
        value = str(value_of(words, name)).lower()
        lacks = f"{name}={value}: {why}" if value in OFF else ""
        yield Need("checkpoints", lacks, "leave it out" if lacks else "")
    for name in ("--checkpointing_interval", "--parallelism"):
        value = str(value_of(words, name))
        told = name == "--checkpointing_interval" and value in OFF  # above, with the reason
        lacks = "" if _whole(words, name) or told else f"{name}={value}"
        yield Need("options", lacks, "a whole number from 1 on is allowed" if lacks else "")


def _whole(words: list[str], name: str) -> int | None:
    """The value of an option that has to be a whole number from 1 on; None if it is not."""
    value = str(value_of(words, name))
    return int(value) or None if value.isdecimal() else None


def _folder(settings: Settings, words: list[str], endpoint: str) -> Need:
    kind = str(value_of(words, "--environment_type")).upper()
    what = "a run folder that the workers reach"
    here = kind == "LOOPBACK" or (endpoint.rpartition(":")[0] in LOCAL and kind != "DOCKER")
    if here or settings.shared or (settings.output and not files.is_local(settings.output)):
        return Need(what)
    return Need(
        what,
        f"--output {settings.output or '(a fresh folder below runs/)'}: a folder of this machine, "
        f"which workers elsewhere ({kind}, {endpoint}) do not reach",
        "name one on a file system of Beam's, as gs:// or s3://, or give --shared if it is on a "
        "volume that they mount too",
    )


def _savepoint(settings: Settings, words: list[str]) -> Iterator[Need]:
    path = value_of(words, "--savepoint_path")
    if path is None:
        return
    what = "the checkpoint to start from"
    if not settings.resume:
        yield Need(
            what,
            f"--savepoint_path={path}: goes with its run's folder",
            "--output FOLDER --resume, with the run's other options as they were",
        )
    local = path.removeprefix("file:")
    if files.is_local(local) and not files.exists(files.join(local, "_metadata")):
        yield Need(
            what,
            f"--savepoint_path={path}: no checkpoint of Flink's is there",
            "a folder with a file _metadata is allowed, as .tools/flink/checkpoints/ID/chk-7; "
            "without --savepoint_path the run goes on from its first missing report",
        )


def _cluster(cluster: Cluster, parallelism: int) -> Iterator[Need]:
    what = "a Flink cluster"
    try:
        free, total = cluster.slots()
        configured = cluster.configured()
    except Unreachable as error:
        yield Need(what, str(error), "make flink-up starts one; another: --flink_master=HOST:PORT")
        return
    yield Need(what)
    slots = f"{free} of {total} task slots are free at {cluster.page}, {parallelism} are needed"
    way_out = "cancel another job there, or give a smaller --parallelism"
    yield Need("task slots", slots, way_out) if free < parallelism else Need("task slots")
    kept = configured.get("execution.checkpointing.dir") or configured.get("state.checkpoints.dir")
    yield (
        Need("checkpoint storage")
        if kept
        else Need(
            "checkpoint storage",
            f"{cluster.page} keeps checkpoints in memory, where each over 5 MB fails",
            "set state.checkpoints.dir in its configuration, as deploy/flink/config.yaml does",
        )
    )
