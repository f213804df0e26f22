"""Flink: a cluster, and Beam's job server before it (``make flink-up``, or your own)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePath

from model import files
from model.runs import RunFolder
from pipeline.runners.checkpoints import find_lost_questions
from pipeline.runners.cluster import Cluster, Unreachable
from pipeline.runners.requirements import (
    Requirement,
    add_defaults,
    option_value,
    require_job_server,
)
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
    "allow_non_restored_state",
    "attached_mode",
    "auto_balance_write_files_sharding_enabled",
    "auto_watermark_interval",
    "checkpoint_timeout_millis",
    "checkpointing_interval",
    "checkpointing_mode",
    "disable_metrics",
    "enable_stable_input_drain",
    "execution_mode_for_batch",
    "execution_retry_delay",
    "externalized_checkpoints_enabled",
    "fail_on_checkpointing_errors",
    "faster_copy",
    "finish_bundle_before_checkpointing",
    "flink_conf_dir",
    "force_unaligned_checkpoint_enabled",
    "job_check_interval_in_secs",
    "latency_tracking_interval",
    "max_bundle_size",
    "max_bundle_time_mills",
    "min_pause_between_checkpoints",
    "num_concurrent_checkpoints",
    "number_of_execution_retries",
    "object_reuse",
    "operator_chaining",
    "re_iterable_group_by_key_result",
    "report_checkpoint_duration",
    "retain_externalized_checkpoints_on_cancellation",
    "savepoint_path",
    "shutdown_sources_after_idle_ms",
    "state_backend",
    "state_backend_storage_path",
    "tolerable_checkpoint_failure_number",
    "unaligned_checkpoint_enabled",
    "use_data_stream_for_batch",
)
"""Options of Beam's Java ``FlinkPipelineOptions`` that its Python does not know.

A job server in Java does not list them; a test reads them from its jar.
"""


def cluster_of(beam_options: list[str]) -> Cluster:
    """The cluster that ``--flink_master`` names, or the one on this machine."""
    given = option_value(beam_options, "--flink_master")
    return Cluster(PAGE if given in (None, "[auto]") else str(given))


def job_name(output: str) -> str:
    """The name of the job of a run's folder, by which it is found on the cluster."""
    digest = hashlib.sha256(output.encode()).hexdigest()[:8]
    return f"correnteza-{PurePath(output).name}-{digest}".lower()


def beam_options_for(settings: Settings, beam_options: list[str]) -> list[str]:
    """Beam's options for a job on it: those that are given, and our defaults for the rest."""
    defaults = {**DEFAULTS, "--job_name": job_name(str(settings.output))}
    return add_defaults(beam_options, defaults)


def requirements(settings: Settings, beam_options: list[str]) -> Iterator[Requirement]:
    """What Flink requires: a job server, a cluster with checkpoints, a shared folder."""
    given = add_defaults(beam_options, DEFAULTS)
    endpoint = str(option_value(given, "--job_endpoint"))
    yield from _options(given)
    yield _folder(settings, given, endpoint)
    yield from _savepoint(settings, beam_options)
    yield require_job_server(endpoint, "make flink-up starts one here")
    yield from _cluster(cluster_of(beam_options), _whole(given, "--parallelism") or 1)


def _options(beam_options: list[str]) -> Iterator[Requirement]:
    for name, why in (
        ("--checkpointing_interval", "without checkpoints a crash starts the job anew"),
        (
            "--finish_bundle_before_checkpointing",
            "without it a job with checkpoints may hang from its start",
        ),
    ):
        value = str(option_value(beam_options, name)).lower()
        problem = f"{name}={value}: {why}" if value in OFF else ""
        yield Requirement("checkpoints", problem, "leave it out" if problem else "")
    for name in ("--checkpointing_interval", "--parallelism"):
        value = str(option_value(beam_options, name))
        reported = name == "--checkpointing_interval" and value in OFF  # above, with the reason
        problem = "" if _whole(beam_options, name) or reported else f"{name}={value}"
        yield Requirement("options", problem, "must be a whole number >= 1" if problem else "")


def _whole(beam_options: list[str], name: str) -> int | None:
    """The value of an option that must be a whole number >= 1; None if it is not."""
    value = str(option_value(beam_options, name))
    return int(value) or None if value.isdecimal() else None


def _folder(settings: Settings, beam_options: list[str], endpoint: str) -> Requirement:
    kind = str(option_value(beam_options, "--environment_type")).upper()
    what = "a run folder that the workers reach"
    here = kind == "LOOPBACK" or (endpoint.rpartition(":")[0] in LOCAL and kind != "DOCKER")
    if here or settings.shared or (settings.output and not files.is_local(settings.output)):
        return Requirement(what)
    return Requirement(
        what,
        f"--output {settings.output or '(a fresh folder below runs/)'}: a folder of this machine, "
        f"which workers elsewhere ({kind}, {endpoint}) do not reach",
        "name one on a file system of Beam's, as gs:// or s3://, or give --shared if it is on a "
        "volume that they mount too",
    )


def _savepoint(settings: Settings, beam_options: list[str]) -> Iterator[Requirement]:
    path = option_value(beam_options, "--savepoint_path")
    if path is None:
        return
    what = "the checkpoint to start from"
    if not settings.resume:
        yield Requirement(
            what,
            f"--savepoint_path={path}: goes with its run's folder",
            "--output FOLDER --resume, with the run's other options as they were",
        )
    elif RunFolder(str(settings.output)).has_ended():
        yield Requirement(
            what,
            f"--savepoint_path={path}: the run in {settings.output} has ended, and so has the "
            "job in the checkpoint: it would not end again",
            "leave it out: --resume then reads what is new",
        )
        return
    local = path.removeprefix("file:")
    if files.is_local(local) and not files.exists(files.join(local, "_metadata")):
        yield Requirement(
            what,
            f"--savepoint_path={path}: no checkpoint of Flink's is there",
            "must be a folder with a file _metadata, as .tools/flink/checkpoints/ID/chk-7; "
            "without --savepoint_path the run goes on from its first missing report",
        )
    elif settings.resume and (lost := find_lost_questions(settings, local)) is not None:
        yield Requirement(
            what,
            f"--savepoint_path={path}: needs the questions of {lost}, whose files went when later "
            "refreshes were reported",
            "name the newest checkpoint; without --savepoint_path the run goes on from its first "
            "missing report",
        )


def _cluster(cluster: Cluster, parallelism: int) -> Iterator[Requirement]:
    what = "a Flink cluster"
    try:
        free, total = cluster.slots()
        configured = cluster.fetch_config()
    except Unreachable as error:
        yield Requirement(
            what, str(error), "make flink-up starts one; another: --flink_master=HOST:PORT"
        )
        return
    yield Requirement(what)
    slots = f"{free} of {total} task slots are free at {cluster.page}, {parallelism} are needed"
    remedy = "cancel another job there, or give a smaller --parallelism"
    yield (
        Requirement("task slots", slots, remedy)
        if free < parallelism
        else Requirement("task slots")
    )
    kept = configured.get("execution.checkpointing.dir") or configured.get("state.checkpoints.dir")
    yield (
        Requirement("checkpoint storage")
        if kept
        else Requirement(
            "checkpoint storage",
            f"{cluster.page} keeps checkpoints in memory, where each over 5 MB fails",
            "set state.checkpoints.dir in its configuration, as deploy/flink/config.yaml does",
        )
    )
