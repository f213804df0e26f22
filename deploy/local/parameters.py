"""What can be chosen of the local cluster: versions, ports and memory, from the environment.

``make flink-up FLINK_REST_PORT=9081`` passes a parameter on: make's variables are exported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".tools" / "flink"
"""Everything that is installed, logged and kept; nothing is written elsewhere."""


@dataclass(frozen=True)
class Parameters:
    """Versions, ports and memory; a field is set by its name in capitals.

    Attributes:
        flink_version: of apache-flink, 1.19 or newer (older ones have another configuration).
        beam_flink_runner: ``artifact:version`` of Beam's runner, made for that Flink.
        slf4j_version: of slf4j-simple, which writes the job server's log.
        flink_rest_port: the page's, and where jobs are submitted.
        flink_rpc_port: the JobManager's, for the TaskManager.
        beam_job_port: the job server's: a pipeline's ``--job_endpoint``.
        beam_artifact_port: where the job server takes a pipeline's files.
        beam_expansion_port: the job server's expansion service.
        flink_slots: how many tasks run side by side, over all jobs.
        flink_taskmanager_memory: of the whole process, as ``6500m``.
        flink_task_off_heap: of these, direct memory for the Python workers' data.
    """

    flink_version: str = "1.19.3"
    beam_flink_runner: str = "beam-runners-flink-1.19:2.62.0"
    slf4j_version: str = "1.7.30"
    flink_rest_port: str = "8081"
    flink_rpc_port: str = "6123"
    beam_job_port: str = "8099"
    beam_artifact_port: str = "8098"
    beam_expansion_port: str = "8097"
    flink_slots: str = "8"
    flink_taskmanager_memory: str = "6500m"
    flink_task_off_heap: str = "1500m"

    @property
    def flink(self) -> Path:
        """Where this version of Flink is installed."""
        return HOME / f"flink-{self.flink_version}"

    @property
    def job_server(self) -> Path:
        """Where this version of Beam's job server is installed."""
        return HOME / self.beam_flink_runner.replace(":", "-")

    @property
    def page(self) -> str:
        """The cluster's page."""
        return f"http://localhost:{self.flink_rest_port}"


def from_environment() -> Parameters:
    """The parameters that the environment sets; an unset or empty one keeps its default.

    Raises:
        SystemExit: if one cannot be right.

    Example:
        >>> os.environ["FLINK_SLOTS"] = "2"
        >>> from_environment().flink_slots
        '2'
    """
    found = read_parameters(Parameters)
    if found.beam_flink_runner.count(":") != 1:
        raise SystemExit(
            f"error: BEAM_FLINK_RUNNER={found.beam_flink_runner}: artifact:version is allowed, "
            f"as {Parameters.beam_flink_runner}"
        )
    return found


def read_parameters(kind: type[T]) -> T:
    """Parameters of a kind, a dataclass of texts: each from the environment, or its default.

    Raises:
        SystemExit: if a port, or a number of slots, is none.
    """
    given = {field.name: os.environ.get(field.name.upper(), "") for field in fields(kind)}
    for name, value in given.items():
        counted = name.endswith(("_port", "_slots"))
        if value and counted and not (value.isdigit() and 1 <= int(value) <= 65535):
            raise SystemExit(f"error: {name.upper()}={value}: a number from 1 to 65535 is allowed")
    return kind(**{name: value for name, value in given.items() if value})
