"""A Kafka broker on this machine, for trying and for tests: ``make kafka-up``, ``make kafka-down``.

One process, broker and controller in one (KRaft). It has two listeners: a plain one, and one with
TLS and a user (SCRAM), whose clients take ``.tools/kafka/client.properties``. Stopped, it leaves
its topics; ``make kafka-down ARGS=--delete`` deletes them.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from string import Template
from uuid import uuid4

from deploy.local.install import check_java, copy_jars, install_whole
from deploy.local.parameters import ROOT, read_parameters
from deploy.local.processes import Processes, answers

HOME = ROOT / ".tools" / "kafka"
FILES = ROOT / "deploy" / "kafka"
BROKER = Processes(HOME, f"-Dcorrenteza.kafka={HOME}", {"broker": "kafka.Kafka"})
USER = "correnteza"
LIMIT = 300.0
"""Seconds that the broker has to answer."""


@dataclass(frozen=True)
class Parameters:
    """Version and ports; a field is set by its name in capitals.

    Attributes:
        kafka_version: of kafka_2.13.
        kafka_port: the plain listener's.
        kafka_tls_port: the listener's with TLS and a user.
        kafka_controller_port: the controller's.
        kafka_memory: of the broker's heap.
    """

    kafka_version: str = "3.9.0"
    kafka_port: str = "19092"
    kafka_tls_port: str = "19093"
    kafka_controller_port: str = "19094"
    kafka_memory: str = "512m"

    @property
    def jars(self) -> Path:
        """Where this version is installed."""
        return HOME / f"kafka-{self.kafka_version}"

    @property
    def servers(self) -> str:
        """The plain listener, as clients write it."""
        return f"127.0.0.1:{self.kafka_port}"


def from_environment() -> Parameters:
    """The parameters that the environment sets; an unset or empty one keeps its default."""
    return read_parameters(Parameters)


def up(parameters: Parameters) -> None:
    """Installs the broker, starts it, and waits until it answers; one that answers is left alone.

    Raises:
        SystemExit: if a port is taken, or the broker does not answer in time.
    """
    began = time.monotonic()
    if BROKER.alive("broker") and is_up(parameters):
        show(parameters, "is up already; nothing was changed")
        return
    check_java("Kafka")
    install_whole(
        parameters.jars,
        f"Kafka {parameters.kafka_version} (some 50 MB, once)",
        lambda part: copy_jars(
            part, FILES / "pom.xml", {"kafka.version": parameters.kafka_version}, "Kafka", HOME
        ),
    )
    BROKER.stop()
    _check_ports(parameters)
    _configure(parameters)
    start(parameters)
    show(parameters, f"is up, after {time.monotonic() - began:.0f} s")


def down(delete: bool = False) -> None:
    """Ends the broker; its topics stay, unless they are to be deleted."""
    ended = BROKER.stop()
    if delete:
        for name in ("data", "secrets", "run", "log"):
            shutil.rmtree(HOME / name, ignore_errors=True)
        for name in ("server.properties", "client.properties"):
            (HOME / name).unlink(missing_ok=True)
    left = "nothing of it is left" if delete else f"topics stay in {_short(HOME / 'data')}"
    print(f"Kafka is down ({'stopped' if ended else 'nothing was running'}); {left}")


def start(parameters: Parameters) -> None:
    """Starts the broker that has been configured, and waits until it answers.

    Raises:
        SystemExit: if it does not in time, or has ended; names its log.
    """
    log = HOME / "log" / "broker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [*_java(parameters, f"-Xmx{parameters.kafka_memory}"), "kafka.Kafka"]
    BROKER.start("broker", [*argv, str(HOME / "server.properties")], dict(os.environ), log)
    BROKER.wait_for("broker", lambda: is_up(parameters), log, LIMIT)


def is_up(parameters: Parameters) -> bool:
    """Whether both listeners answer."""
    return answers(parameters.kafka_port) and answers(parameters.kafka_tls_port)


def show(parameters: Parameters, state: str) -> None:
    """Prints where the broker is, and how it is used."""
    print(f"Kafka {parameters.kafka_version} {state}")
    print(f"  plain:        {parameters.servers}")
    print(f"  TLS and user: 127.0.0.1:{parameters.kafka_tls_port} ({_short(_client())})")
    print("  stop it:      make kafka-down")


def _java(parameters: Parameters, *options: str) -> list[str]:
    log4j = f"-Dlog4j.configuration=file:{FILES / 'log4j.properties'}"
    return ["java", BROKER.mark, *options, log4j, "-cp", f"{parameters.jars}/*"]


def _check_ports(parameters: Parameters) -> None:
    for name in ("kafka_port", "kafka_tls_port", "kafka_controller_port"):
        port = getattr(parameters, name)
        if answers(port):
            raise SystemExit(
                f"error: port {port} is taken by another program: name a free one, as "
                f"make kafka-up {name.upper()}={int(port) + 1000}"
            )


def _configure(parameters: Parameters) -> None:
    """Writes the broker's properties; the first time its key, its user and its data, too."""
    password = _make_secrets()
    text = Template((FILES / "server.properties").read_text()).substitute(
        home=HOME,
        port=parameters.kafka_port,
        tls_port=parameters.kafka_tls_port,
        controller_port=parameters.kafka_controller_port,
        password=password,
    )
    _write_secret(HOME / "server.properties", text)
    _write_secret(_client(), _client_properties(parameters, password))
    if not (HOME / "data" / "meta.properties").exists():
        _format(parameters, password)


def _make_secrets() -> str:
    """The password of key and user; made, with a certificate for this machine, if it is not."""
    folder = HOME / "secrets"
    kept = folder / "password"
    if kept.exists():
        return kept.read_text()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    password = secrets.token_hex(16)
    key = ["keytool", "-keystore", str(folder / "broker.p12"), "-storetype", "PKCS12"]
    key += ["-storepass:env", "KEY_PASSWORD", "-alias", "broker"]
    make = ["-genkeypair", "-keyalg", "RSA", "-validity", "3650", "-dname", "CN=localhost"]
    make += ["-ext", "SAN=IP:127.0.0.1,DNS:localhost"]
    export = ["-exportcert", "-rfc", "-file", str(folder / "broker.pem")]
    for arguments in (make, export):
        environment = {**os.environ, "KEY_PASSWORD": password}
        subprocess.run([*key, *arguments], env=environment, check=True, capture_output=True)
    _write_secret(kept, password)
    return password


def _client_properties(parameters: Parameters, password: str) -> str:
    return "".join(
        f"{name}={value}\n"
        for name, value in {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": HOME / "secrets" / "broker.pem",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            "sasl.password": password,
        }.items()
    )


def _format(parameters: Parameters, password: str) -> None:
    """Makes the folder of the topics, with the user in it."""
    shutil.rmtree(HOME / "data", ignore_errors=True)
    argv = [*_java(parameters), "kafka.tools.StorageTool", "format", "--cluster-id", uuid4().hex]
    argv += ["--config", str(HOME / "server.properties")]
    argv += ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={password}]"]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: Kafka's folder cannot be made: {done.stdout}{done.stderr}")


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)


def _client() -> Path:
    return HOME / "client.properties"


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def main() -> None:
    """``python -m deploy.local.kafka up`` and ``down``."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.kafka", description=__doc__)
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("--delete", action="store_true", help="with down: its topics, too")
    given = parser.parse_args()
    if given.action == "up":
        up(from_environment())
    else:
        down(given.delete)


if __name__ == "__main__":
    main()
