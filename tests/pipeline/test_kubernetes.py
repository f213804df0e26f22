"""The Kubernetes manifests start what there is: the job's options, and the server's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.schema import load_schema
from monitor.serve.options import parser
from pipeline.arguments import parse

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"


def manifests(name: str) -> dict[str, Any]:
    """The documents of a file by their kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((FOLDER / name).read_text())}


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    only: dict[str, Any]
    (only,) = manifest["spec"]["template"]["spec"]["containers"]
    return only


@pytest.fixture
def started(tmp_path: Path) -> Any:
    """Runs the launcher's script with a python that prints its arguments."""
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    launcher = container(manifests("launcher.yaml")["Job"])

    def start(run: Path) -> list[str]:
        env = {"PATH": f"{fake.parent}{os.pathsep}/usr/bin{os.pathsep}/bin", "RUN": str(run)}
        argv = [*launcher["command"], *launcher["args"]]
        return subprocess.check_output(argv, env=env, text=True).splitlines()

    return start


def test_the_launcher_starts_a_run_with_options_that_there_are(
    started: Any, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.toml"
    schema.write_text(manifests("launcher.yaml")["ConfigMap"]["data"]["schema.toml"])
    module, name, *argv = started(tmp_path / "run")
    assert [module, name] == ["-m", "pipeline"]
    settings, _ = parse([word.replace("/schema/schema.toml", str(schema)) for word in argv])
    assert settings.output == str(tmp_path / "run") and not settings.resume
    assert load_schema(str(schema)).target == "arr_delay"


def test_the_launcher_goes_on_with_a_run_whose_folder_is_there(
    started: Any, tmp_path: Path
) -> None:
    (tmp_path / "settings.json").touch()
    assert "--resume" in started(tmp_path)


def test_the_server_is_started_with_options_that_there_are() -> None:
    pod = container(manifests("serve.yaml")["Deployment"])
    python, dash, module, command, *argv = pod["command"]
    assert [python, dash, module, command] == ["python", "-m", "pipeline", "serve"]
    launcher = container(manifests("launcher.yaml")["Job"])
    assert argv[0] == next(one["value"] for one in launcher["env"] if one["name"] == "RUN")
    options = parser().parse_args(argv)
    assert options.host == "0.0.0.0"
    assert pod["readinessProbe"]["httpGet"]["path"] == "/health"


def test_the_service_finds_the_servers_pods() -> None:
    both = manifests("serve.yaml")
    labels = both["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert both["Service"]["spec"]["selector"].items() <= labels.items()
