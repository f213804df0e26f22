"""A schema registry on this machine, for trying and for tests: ``make registry-up``.

Apicurio's, which has Confluent's API below ``/apis/ccompat/v7``. It keeps schemas in memory: with
``make registry-down`` they are gone.
"""

from __future__ import annotations

import argparse
import os
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.local.install import check_java, install_whole, run_downloader
from deploy.local.parameters import ROOT, read_parameters
from deploy.local.processes import Processes, answers

HOME = ROOT / ".tools" / "registry"
REGISTRY = Processes(HOME, f"-Dcorrenteza.registry={HOME}", {"registry": "apicurio-registry-app"})
LIMIT = 300.0
"""Seconds that the registry has to answer."""


@dataclass(frozen=True)
class Parameters:
    """Version and port; a field is set by its name in capitals.

    Attributes:
        registry_version: of apicurio-registry-app.
        registry_port: where it listens, on this machine alone.
        registry_memory: of its heap.
    """

    registry_version: str = "3.0.9"
    registry_port: str = "19095"
    registry_memory: str = "384m"

    @property
    def folder(self) -> Path:
        """Where this version is installed."""
        return HOME / f"apicurio-{self.registry_version}"

    @property
    def address(self) -> str:
        """The registry, as ``[format] registry`` has it."""
        return f"http://127.0.0.1:{self.registry_port}/apis/ccompat/v7"


def from_environment() -> Parameters:
    """The parameters that the environment sets; an unset or empty one keeps its default."""
    return read_parameters(Parameters)


def is_up(parameters: Parameters) -> bool:
    """Whether it listens."""
    return answers(parameters.registry_port)


def up(parameters: Parameters) -> None:
    """Installs the registry, starts it, and waits until it answers; one that does is left alone.

    Raises:
        SystemExit: if its port is taken, or it does not answer in time; names its log.
    """
    began = time.monotonic()
    if REGISTRY.alive("registry") and is_up(parameters):
        print(f"the schema registry is up already: {parameters.address}")
        return
    check_java("Apicurio's registry")
    install_whole(
        parameters.folder,
        f"Apicurio's registry {parameters.registry_version} (some 110 MB, once)",
        lambda part: _install(part, parameters),
    )
    REGISTRY.stop()
    if is_up(parameters):
        raise SystemExit(
            f"error: port {parameters.registry_port} is taken by another program: name a free "
            f"one, as make registry-up REGISTRY_PORT={int(parameters.registry_port) + 1000}"
        )
    start(parameters)
    print(f"the schema registry is up, after {time.monotonic() - began:.0f} s")
    print(f"  its address: {parameters.address}")
    print("  stop it:     make registry-down")


def start(parameters: Parameters) -> None:
    """Starts the registry that is installed, and waits until it answers.

    Raises:
        SystemExit: if it does not in time, or has ended; names its log.
    """
    log = HOME / "log" / "registry.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    [jar] = parameters.folder.glob("apicurio-registry-app-*-runner.jar")
    argv = ["java", REGISTRY.mark, f"-Xmx{parameters.registry_memory}"]
    argv += ["-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={parameters.registry_port}"]
    REGISTRY.start("registry", [*argv, "-jar", str(jar)], dict(os.environ), log)
    REGISTRY.wait_for("registry", lambda: is_up(parameters), log, LIMIT)


def down() -> None:
    """Ends the registry."""
    ended = REGISTRY.stop()
    print(f"the schema registry is down ({'stopped' if ended else 'nothing was running'})")


def _install(part: Path, parameters: Parameters) -> None:
    fetched = part.with_name("fetched")
    artifact = f"io.apicurio:apicurio-registry-app:{parameters.registry_version}:tar.gz:all"
    argv = ["mvn", "--batch-mode", "dependency:copy", f"-Dartifact={artifact}"]
    run_downloader([*argv, f"-DoutputDirectory={fetched}"], fetched, HOME)
    [archive] = fetched.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(part, filter="data")


def main() -> None:
    """``python -m deploy.local.registry up`` and ``down``."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.registry", description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    if parser.parse_args().action == "up":
        up(from_environment())
    else:
        down()


if __name__ == "__main__":
    main()
