"""Dataflow's options: what is refused before anything runs, and what Beam is told."""

from __future__ import annotations

import json
import re
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from deploy.dataflow.main import to_argv
from model.errors import UserError
from pipeline import runners
from pipeline.arguments import parse
from pipeline.runners import dataflow
from pipeline.settings import RENAMED, Settings
from tests.kit.job import ROOT, SCHEMA, Job, make_settings

NEEDED = ("--project=my-project", "--region=europe-west1", "--temp_location=gs://my-bucket/tmp")
RUN = "gs://my-bucket/runs/a"


@pytest.fixture(autouse=True)
def google(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need no part of Google's to be installed: only the needs are looked at."""
    monkeypatch.setattr(dataflow, "find_spec", lambda name: ModuleSpec(name, None))


def refusal(*argv: str, **values: object) -> str:
    """What a job is refused with."""
    with pytest.raises(UserError) as error:
        runners.preflight(
            make_settings(**{"runner": "dataflow", "output": RUN, **values}), list(argv)
        )
    return str(error.value)


@pytest.mark.parametrize("more", [[], ["--dry_run=True"], ["--template_location=gs://my-bucket/t"]])
@pytest.mark.parametrize("values", [{}, {"live": True, "refreshes": 0}])
def test_a_job_a_dry_run_and_a_template_with_all_that_is_needed_are_refused_nothing(
    more: list[str], values: dict[str, object]
) -> None:
    settings = make_settings(**{"runner": "dataflow", "output": RUN, **values})
    runners.preflight(settings, [*NEEDED, *more])


@pytest.mark.parametrize("more", [(), ("--dry_run=True",), ("--template_location=gs://my-b/t",)])
@pytest.mark.parametrize("missing", NEEDED)
def test_what_is_missing_is_named_with_a_value_to_give(missing: str, more: tuple[str]) -> None:
    name = missing.split("=")[0]
    message = refusal(*(word for word in NEEDED if word != missing), *more)
    assert message.startswith(f"--runner dataflow: {name} is missing: ")
    assert f", as {name} " in message


@pytest.mark.parametrize("there", [None, ModuleNotFoundError("google")])
def test_without_beams_part_for_google_the_version_to_install_is_reported(
    there: ModuleNotFoundError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> None:
        if there is not None:
            raise there

    monkeypatch.setattr(dataflow, "find_spec", find)
    message = refusal(*NEEDED)
    assert message.endswith(f"pip install 'apache-beam[gcp]=={beam.__version__}'")


def test_a_folder_of_this_machine_is_refused_since_workers_do_not_reach_it() -> None:
    message = refusal(*NEEDED, output="runs/a")
    assert message.startswith("--output runs/a: is on this machine")
    assert "--output gs://" in message


def test_a_run_without_a_folder_is_refused() -> None:
    message = refusal(*NEEDED, output=None)
    assert message.startswith("--runner dataflow: --output is missing: ")
    assert "--output gs://" in message


def test_files_of_this_machine_are_refused_and_those_in_a_bucket_are_not(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SCHEMA)
    schema = str(tmp_path / "s.toml")
    message = refusal(*NEEDED, input="in/*.csv", schema_file=schema)
    assert message.startswith("--input in/*.csv: is on this machine")
    bucket = make_settings(
        runner="dataflow", output=RUN, input="gs://my-bucket/*.csv", schema_file=schema
    )
    runners.preflight(bucket, list(NEEDED))


@pytest.mark.parametrize("name", ["--temp_location", "--staging_location"])
@pytest.mark.parametrize("value", ["/tmp/x", "gs://my-bucket", "gs://b/tmp", "s3://my-bucket/tmp"])
def test_a_place_that_is_no_folder_in_a_bucket_is_refused(name: str, value: str) -> None:
    message = refusal(*NEEDED, f"{name}={value}")
    assert name[2:] in message
    assert message.endswith(f"must be a folder in a bucket, as {name} gs://my-bucket/tmp")


@pytest.mark.parametrize(
    ("word", "why"),
    [("--project=1234", "project number"), ("--job_name=My_Job", "job_name (My_Job)")],
)
def test_a_name_that_dataflow_does_not_take_is_refused(word: str, why: str) -> None:
    assert why in refusal(*NEEDED, word)


def test_without_a_setup_file_beside_the_package_an_image_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataflow, "setup_file", lambda: None)
    assert "--sdk_container_image IMAGE" in refusal(*NEEDED)
    image = [*NEEDED, "--sdk_container_image=eu.gcr.io/my-project/correnteza:1"]
    settings = make_settings(runner="dataflow", output=RUN)
    runners.preflight(settings, image)
    assert not any("setup_file" in word for word in dataflow.beam_options_for(settings, image))


def test_a_refused_job_writes_nothing(job: Job, home: Path) -> None:
    message = job.refused("--runner", "dataflow", *NEEDED, "--dry_run=True", "--output", "o")
    assert message.startswith("--output o: is on this machine")
    assert list(home.iterdir()) == []


def beam_options_for(*argv: str, output: str | None = RUN) -> dict[str, str]:
    """Beam's options for a job, by name."""
    given = dataflow.beam_options_for(make_settings(runner="dataflow", output=output), list(argv))
    return dict(word.partition("=")[::2] for word in given)


def test_the_package_of_this_project_goes_to_the_workers() -> None:
    assert beam_options_for(*NEEDED)["--setup_file"] == str(ROOT / "setup.py")


@pytest.mark.parametrize("name", ["--sdk_container_image", "--worker_harness_container_image"])
def test_an_image_has_the_package_so_none_is_built(name: str) -> None:
    assert "--setup_file" not in beam_options_for(
        *NEEDED, f"{name}=eu.gcr.io/my-project/correnteza:1"
    )


def test_the_main_session_is_not_saved_unless_it_is_asked_for() -> None:
    assert "--no_save_main_session" in beam_options_for(*NEEDED)
    assert "--no_save_main_session" not in beam_options_for(*NEEDED, "--save_main_session")


def test_what_is_given_stays() -> None:
    argv = beam_options_for(*NEEDED, "--job_name=mine", "--setup_file=/a/setup.py")
    assert (argv["--job_name"], argv["--setup_file"]) == ("mine", "/a/setup.py")


def test_every_option_that_is_added_is_one_of_beams() -> None:
    given = dataflow.beam_options_for(make_settings(runner="dataflow", output=RUN), list(NEEDED))
    assert parse(["--runner=dataflow", *given])[1] == given  # else it is refused as unknown


def test_a_folder_has_one_job_name_and_another_folder_another() -> None:
    names = [beam_options_for(output=path)["--job_name"] for path in (RUN, RUN + "/", RUN + "b")]
    assert names[0] == names[1] != names[2]
    assert "--job_name" not in beam_options_for(output=None)


@pytest.mark.parametrize("last", ["A_1", "20260101T000000Z", "é", "-", "a.b", "x" * 99])
def test_a_job_name_is_one_that_dataflow_takes(last: str) -> None:
    name = dataflow.job_name(f"gs://my-bucket/{last}")
    assert re.fullmatch(PipelineOptionsValidator.JOB_PATTERN, name)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--dry_run=True", "nothing runs"),
        ("--template_location=gs://my-bucket/t", "template: gs://my-bucket/t"),
        ("--no_wait_until_finish", "goes on by itself"),
    ],
)
def test_a_job_that_is_not_waited_for_is_reported(word: str, message: str) -> None:
    assert message in str(dataflow.launch_message([*NEEDED, word]))
    assert dataflow.launch_message(list(NEEDED)) is None


@pytest.mark.slow
def test_a_dry_run_makes_the_job_and_touches_nothing(job: Job, home: Path) -> None:
    pytest.importorskip("google.cloud.dataflow", reason="needs apache-beam[gcp]")
    image = "--sdk_container_image=eu.gcr.io/my-project/correnteza:1"
    live = ("--live", "--refreshes", "0", "--output", RUN, image)
    result = job.ran("--runner", "dataflow", *NEEDED, "--dry_run=True", *live)
    assert "nothing runs" in result.out
    assert list(home.iterdir()) == []


def test_a_dry_run_is_dry_with_a_template_too() -> None:
    both = [*NEEDED, "--template_location=gs://my-bucket/t", "--dry_run=True"]
    assert dataflow.is_dry(both) and not dataflow.is_dry(both[:-1])
    assert "nothing runs" in str(dataflow.launch_message(both))


SAMPLE = {
    "output": RUN,
    "input": "gs://my-bucket/in/*.csv",
    "people": "original",
    "window": "5m",
    "every": "1m",
    "latency": "500ms",
    "lag": "2",
    "windows": "0",
    "refreshes": "0",
    "live": "true",
    "rate": "12.5",
    "disorder": "20",
    "learner": "ridge",
    "learner_param": "alpha=1 solver=svd",
    "predictions": "none",
    "sample_rows": "500",
    "batch_rows": "50",
    "shards": "2",
    "keep": "0",
    "seed": "7",
    "resume": "true",
    "overwrite": "true",
    "sdk_container_image": "eu.gcr.io/my-project/correnteza:1",
}
TOGETHER = {"input": ["schema"], "schema": ["input"], "every": ["window"], "latency": ["every"]}


def parameters() -> list[dict[str, Any]]:
    """What the flex template asks for."""
    metadata = json.loads((ROOT / "deploy/dataflow/metadata.json").read_text())
    found: list[dict[str, Any]] = metadata["parameters"]
    return found


@pytest.mark.parametrize("parameter", parameters(), ids=lambda parameter: str(parameter["name"]))
def test_each_parameter_of_the_flex_template_is_an_option_and_changes_it(
    parameter: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(SCHEMA)
    sample = {**SAMPLE, "schema": str(tmp_path / "s.toml")}
    name = str(parameter["name"])
    if name == "resume":  # whose folder is looked at
        sample["output"] = str(tmp_path)
    for regex in parameter.get("regexes", []):
        assert re.search(regex, sample[name])
    names = {"output", name, *TOGETHER.get(name, [])}
    names |= {"window"} if name == "latency" else set()
    settings, beams = parse(to_argv([f"--{each}={sample[each]}" for each in sorted(names)]))
    if name == "sdk_container_image":
        assert beams == [f"--{name}={sample[name]}"]
        return
    field = {"schema": "schema_file", **RENAMED}.get(name, name)
    assert getattr(settings, field) != Settings.model_fields[field].get_default(
        call_default_factory=True
    )
    assert beams == []


def test_the_flex_template_insists_on_a_folder_and_an_image_alone() -> None:
    asked = {str(one["name"]) for one in parameters() if not one.get("isOptional")}
    assert asked == {"output", "sdk_container_image"}
