"""Brings the local cluster up, mends it, and takes it down.

Three processes: Flink's JobManager (page, REST, checkpoints), its TaskManager (slots) and
Beam's job server, which turns a portable pipeline into a Flink job. One that answers is left
alone; one that is dead or deaf is started anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any
from urllib.request import ProxyHandler, build_opener

from deploy.local.install import install
from deploy.local.parameters import HOME, ROOT, Parameters
from deploy.local.processes import FLINK, answers

CONF, LOG = HOME / "conf", HOME / "log"
PARAMETERS = FLINK.run / "parameters.json"
TEMPLATE = ROOT / "deploy" / "flink" / "config.yaml"
LIMIT = 300.0
"""A process has so many seconds to answer."""
SHOW_EVERY = 5.0
OPENED = ("lang", "nio", "util", "net")
"""What of Java's base Beam's job server reaches into."""


def up(parameters: Parameters) -> None:
    """Installs what is missing, starts what is not there, and waits until all of it answers.

    Raises:
        SystemExit: if a port is taken, or a process does not answer in time.
    """
    began = time.monotonic()
    if " " in str(HOME):
        raise SystemExit(f"error: {HOME}: Flink's scripts cannot work in a path with a space")
    missing = [role for role in FLINK.roles if not healthy(role, parameters)]
    if any(FLINK.alive(role) for role in FLINK.roles):
        _check_same(parameters)
    if not missing:
        tell(parameters, "is up already; nothing was changed")
        return
    install(parameters)
    FLINK.stop(reversed(missing))
    stale = {one["id"] for one in _taskmanagers(parameters) or ()}
    for role in missing:
        _check_ports(role, parameters)
    configure(parameters)
    for role in missing:
        _start(role, parameters)
    for role in missing:
        wait(role, parameters, stale)
    tell(parameters, f"is up, after {time.monotonic() - began:.0f} s")


def down() -> None:
    """Ends every process of the cluster; its logs, checkpoints and savepoints stay."""
    ended = FLINK.stop()
    for scratch in (HOME / "tmp", FLINK.run):
        shutil.rmtree(scratch, ignore_errors=True)
    stopped = ", ".join(ended) if ended else "nothing was running"
    print(f"Flink is down ({stopped}); checkpoints and logs stay in {_short(HOME)}")


def tell(parameters: Parameters, state: str) -> None:
    """Says where the cluster is and how to run a job on it."""
    endpoint = f"localhost:{parameters.beam_job_port}"
    usual = parameters.beam_job_port == Parameters.beam_job_port
    option = "" if usual else f" --job_endpoint {endpoint}"
    print(f"Flink {parameters.flink_version} {state}")
    print(f"  page:       {parameters.page}")
    print(f"  job server: {endpoint}")
    print(f"  logs:       {_short(LOG)}")
    print(f"  a job:      .venv/bin/python -m pipeline --runner flink{option}")
    print("  stop it:    make flink-down")


def healthy(role: str, parameters: Parameters, stale: Collection[str] = ()) -> bool:
    """Whether a process of ours runs once, and answers.

    Args:
        role: which.
        parameters: where it answers.
        stale: ids of TaskManagers that ended, and may be registered still.
    """
    if len(FLINK.alive(role)) != 1:
        return False
    if role == "jobserver":
        return all(answers(port) for port in _ports(role, parameters))
    registered = _taskmanagers(parameters)
    if role == "jobmanager" or registered is None:
        return registered is not None
    # One that was killed stays registered for a while: its port answers no more.
    new = (one["path"] for one in registered if one["id"] not in stale)
    ports = (re.search(r":(\d+)/", path) for path in new)
    return any(port and answers(port[1]) for port in ports)


def configure(parameters: Parameters) -> None:
    """Writes Flink's configuration from ``deploy/flink/config.yaml``."""
    CONF.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoints", "savepoints", "tmp", "log", "run"):
        (HOME / name).mkdir(exist_ok=True)
    theirs = parameters.flink / "conf"
    for path in theirs.glob("log*"):
        shutil.copy(path, CONF)
    opened = re.search(r"^ +all: (.*)$", (theirs / "config.yaml").read_text(), re.MULTILINE)
    text = Template(TEMPLATE.read_text()).substitute(
        home=HOME,
        java_opts=opened[1] if opened else "",
        rest_port=parameters.flink_rest_port,
        rpc_port=parameters.flink_rpc_port,
        slots=parameters.flink_slots,
        taskmanager_memory=parameters.flink_taskmanager_memory,
        task_off_heap=parameters.flink_task_off_heap,
    )
    (CONF / "config.yaml").write_text(text)
    PARAMETERS.write_text(json.dumps(asdict(parameters), indent=2) + "\n")


def _start(role: str, parameters: Parameters) -> None:
    # Without what the user's shell says of another Flink.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLINK_")}
    environment |= {
        "FLINK_CONF_DIR": str(CONF),
        "FLINK_LOG_DIR": str(LOG),
        "FLINK_PID_DIR": str(FLINK.run),
        "FLINK_IDENT_STRING": "correnteza",
    }
    out = LOG / f"{role}.log"
    argv = (
        _job_server(parameters)
        if role == "jobserver"
        else [str(parameters.flink / "bin" / f"{role}.sh"), "start-foreground"]
    )
    FLINK.start(role, argv, environment, out)


def _job_server(parameters: Parameters) -> list[str]:
    return [
        *("java", "-Xmx1g", FLINK.mark),
        *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED),
        *("-classpath", f"{parameters.job_server}/*"),
        "org.apache.beam.runners.flink.FlinkJobServerDriver",
        *("--job-host", "localhost", "--job-port", parameters.beam_job_port),
        *("--artifact-port", parameters.beam_artifact_port),
        *("--expansion-port", parameters.beam_expansion_port),
        *("--artifacts-dir", str(HOME / "tmp" / "artifacts")),
        *("--flink-master", f"localhost:{parameters.flink_rest_port}"),
        *("--flink-conf-dir", str(CONF)),
    ]


def wait(role: str, parameters: Parameters, stale: Collection[str]) -> None:
    """Waits until a process that was started answers.

    Raises:
        SystemExit: if it does not in time, or has ended; names its log.
    """
    began = shown = time.monotonic()
    while not healthy(role, parameters, stale):
        now = time.monotonic()
        ended = not FLINK.alive(role)
        if ended or now - began > LIMIT:
            how = "ended at once" if ended else f"does not answer after {LIMIT:.0f} s"
            raise SystemExit(f"error: the {role} {how}: see {_log(role)}")
        if now - shown > SHOW_EVERY:
            shown = now
            print(f"   waiting for the {role} ({now - began:.0f} s)", flush=True)
        time.sleep(0.3)


def _log(role: str) -> str:
    names = {"jobmanager": "*standalonesession*.log", "taskmanager": "*taskexecutor*.log"}
    found = [LOG / f"{role}.log", *LOG.glob(names.get(role, ""))] if role in names else []
    written = [path for path in found if path.exists() and path.stat().st_size]
    return _short(max(written, key=lambda p: p.stat().st_mtime, default=LOG / f"{role}.log"))


def _ports(role: str, parameters: Parameters) -> dict[str, str]:
    named = {
        "jobmanager": ("flink_rest_port", "flink_rpc_port"),
        "taskmanager": (),
        "jobserver": ("beam_job_port", "beam_artifact_port", "beam_expansion_port"),
    }
    values = asdict(parameters)
    return {values[name]: name.upper() for name in named[role]}


def _check_ports(role: str, parameters: Parameters) -> None:
    for port, name in _ports(role, parameters).items():
        if answers(port):
            raise SystemExit(
                f"error: port {port} is taken by another program: name a free one, as "
                f"make flink-up {name}={int(port) + 1000}"
            )


def _check_same(parameters: Parameters) -> None:
    try:
        before = json.loads(PARAMETERS.read_text())
    except FileNotFoundError:
        return
    differ = [
        f"{name.upper()} is {before.get(name)}, not {value}"
        for name, value in asdict(parameters).items()
        if before.get(name) != value
    ]
    if differ:
        raise SystemExit(
            f"error: Flink is up with other parameters ({'; '.join(differ)}): make flink-down first"
        )


def _taskmanagers(parameters: Parameters) -> list[dict[str, Any]] | None:
    """What the page tells of registered TaskManagers; None if it is not there."""
    # Without a proxy of the user's: this is about this machine.
    try:
        with build_opener(ProxyHandler({})).open(
            f"{parameters.page}/taskmanagers", timeout=30
        ) as r:
            answer: list[dict[str, Any]] = json.load(r)["taskmanagers"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return answer


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))
