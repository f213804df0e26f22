"""The files in ``deploy/`` that this machine cannot run fit the schemas of what reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.validate import OPERATOR, unknown
from monitor.serve.options import parser as serve_parser
from pipeline.arguments import parse

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / ".tools/schemas/bin"
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))

needs_schemas = pytest.mark.skipif(
    not (SCHEMAS.parent / ".done").exists(), reason="the schemas are not at hand: make schemas"
)


@needs_schemas
def test_the_manifests_for_kubernetes_and_flinks_operator_fit_their_schemas() -> None:
    command = [str(SCHEMAS / "python"), "-m", "deploy.validate"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) >= 8


@needs_schemas
def test_a_field_that_flinks_operator_does_not_have_is_found() -> None:
    definition = yaml.safe_load((ROOT / OPERATOR).read_text(encoding="utf-8"))
    [schema] = [one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"]]
    wrong = {"spec": {"jobManager": {"resource": {"memry": "1g"}}}}
    assert list(unknown(wrong, schema, "")) == [
        ".spec.jobManager.resource.memry: there is no such field"
    ]


@needs_schemas
def test_the_compose_file_fits_its_schema() -> None:
    check = [str(SCHEMAS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    subprocess.run([*check, str(ROOT / "deploy/compose.yaml")], check=True)


def test_the_compose_files_job_and_server_have_options_that_there_are(tmp_path: Path) -> None:
    schema = tmp_path / "sales.toml"
    schema.write_text('name = "s"\ntime = "t"\ntarget = "y"\n[features]\nnumeric = ["x"]\n')
    [script, *_] = COMPOSE["services"]["job"]["command"]
    options = script.partition("python -m pipeline ")[2].replace("\\\n", " ")
    words = options.replace('"$$@"', "").replace("'", "").split()
    settings, _ = parse([word.replace("/data/sales.toml", str(schema)) for word in words])
    assert settings.output == "/runs/a"
    serve = COMPOSE["services"]["serve"]
    argv = [*serve["entrypoint"][4:], *serve["command"]]
    assert serve_parser().parse_args(argv).host == "0.0.0.0"


def test_what_the_compose_file_mounts_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / "deploy" / source).is_file()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in UNITS:  # the program need not be installed where they are checked
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(
            text.replace("/opt/correnteza/bin/correnteza", "/bin/true")
        )
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.glob("*.service")))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_unit_starts_a_run_and_goes_on_with_one_that_is_there(tmp_path: Path) -> None:
    [unit] = [one for one in UNITS if one.name == "correnteza.service"]
    [line] = re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.M)
    line = line.replace("exec /opt/correnteza/bin/correnteza", "echo")
    assert "--resume" not in subprocess.check_output(line, shell=True, cwd=tmp_path, text=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/settings.json").touch()
    started = subprocess.check_output(line, shell=True, cwd=tmp_path, text=True).split()
    assert started == ["--config", "/etc/correnteza/run.toml", "--output", "run", "--resume"]
