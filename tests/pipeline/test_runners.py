"""Runners: what each is refused, and how Beam is told of it."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from model.asof import format_name
from model.errors import UserError
from model.runs import RunFolder
from pipeline import runners
from pipeline.runners import flink, prism
from pipeline.runners.controllers import FlinkController, RunController
from pipeline.runners.requirements import Requirement
from tests.kit.fake_flink import FakeFlink, serving
from tests.kit.job import Job, make_settings
from tests.kit.ports import find_port
from tests.kit.report import report

FILES = {"input": "a.csv", "schema_file": "s.toml"}
GOOGLE = ("--project=my-project", "--region=europe-west1", "--temp_location=gs://my-bucket/tmp")


@pytest.fixture
def cluster() -> Iterator[FakeFlink]:
    """A Flink that has all that a job requirements."""
    with serving() as fake:
        yield fake


def refusal(*argv: str, **values: object) -> str:
    """What a job is refused with."""
    with pytest.raises(UserError) as error:
        runners.preflight(make_settings(**values), list(argv))
    return str(error.value)


@pytest.mark.parametrize(
    ("argv", "remedy"),
    [(["--live"], "leave --live out"), (["--refreshes", "0"], "--refreshes N")],
)
def test_the_embedded_runner_refuses_what_never_ends_and_names_the_way_out(
    argv: list[str], remedy: str, job: Job
) -> None:
    message = job.refused(*argv, "--runner", "direct", "--output", "o")
    assert message.startswith(f"{' '.join(argv)} needs a runner that streams")
    assert message.endswith(f"use --runner prism, or {remedy}")
    assert not Path("o").exists()


def test_a_runner_that_streams_is_refused_nothing_if_it_is_there(cluster: FakeFlink) -> None:
    for runner, argv in (
        ("prism", [f"--prism_location={sys.executable}"]),
        ("flink", cluster.words),
    ):
        runners.preflight(
            make_settings(runner=runner, live=True, refreshes=0, on_interrupt="drain"), argv
        )


def test_draining_is_refused_where_windows_show_only_at_the_end(job: Job) -> None:
    message = job.refused("--on-interrupt", "drain")
    assert message.startswith("--on-interrupt drain needs a runner that streams")
    assert message.endswith("use --runner prism, or leave it out")


@pytest.mark.parametrize("runner", ["direct", "prism", "flink", "dataflow"])
def test_an_unsafe_trigger_is_refused_on_every_runner_with_the_reason(runner: str) -> None:
    message = refusal("--allow_unsafe_triggers", *GOOGLE, runner=runner, output="gs://b/o")
    assert message.startswith(
        "--allow_unsafe_triggers: a window with an unsafe trigger may fire once"
    )
    assert "lose the rows" in message and ": leave it out" in message


def test_a_refused_run_leaves_nothing(job: Job, home: Path) -> None:
    assert "leave it out" in job.refused("--allow_unsafe_triggers", "--output", "o")
    assert list(home.iterdir()) == []


def test_prism_that_is_not_at_hand_is_named_with_what_builds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prism, "find_prism", lambda: None)
    message = refusal(runner="prism")
    assert message.startswith("--runner prism: Prism is not at hand: make prism builds it")
    runners.preflight(make_settings(runner="prism"), ["--prism_location=https://a.b/prism.zip"])


def test_a_prism_that_is_no_program_is_refused_and_the_zip_of_a_release_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "text").write_text("no program")
    for given in (tmp_path, tmp_path / "text", tmp_path / "gone"):
        message = refusal(f"--prism_location={given}", runner="prism")
        assert message == f"--prism_location {given}: is not a program: make prism builds one"
    with zipfile.ZipFile(tmp_path / "prism.zip", "w") as release:
        release.writestr("prism", "a program")
    runners.preflight(make_settings(runner="prism"), [f"--prism_location={tmp_path / 'prism.zip'}"])


def test_beam_gets_the_prism_at_hand_unless_the_options_name_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prism, "find_prism", lambda: "/at/hand")
    settings = make_settings(runner="prism")
    for_ever = f"--job_server_timeout={prism.FOR_EVER}"
    assert prism.beam_options_for(settings, []) == ["--prism_location=/at/hand", for_ever]
    assert prism.beam_options_for(settings, ["--prism_location=/mine"])[1:] == [for_ever]
    assert prism.beam_options_for(settings, ["--job_endpoint=a:1"]) == ["--job_endpoint=a:1"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--checkpointing_interval=0"], "without checkpoints a crash starts the job anew"),
        (["--checkpointing_interval", "-1"], "without checkpoints a crash starts the job anew"),
        (["--finish_bundle_before_checkpointing=false"], "may hang from its start"),
        (["--finish_bundle_before_checkpointing", "False"], "may hang from its start"),
        (["--checkpointing_interval=soon"], "must be a whole number >= 1"),
        (["--parallelism=0"], "must be a whole number >= 1"),
        (["--parallelism=-1"], "must be a whole number >= 1"),
        (["--parallelism=x"], "must be a whole number >= 1"),
        (["--parallelism", "1.5"], "must be a whole number >= 1"),
        (["--parallelism=\u00b2"], "must be a whole number >= 1"),
        (["--job_endpoint=nonsense"], "must be HOST:PORT, as localhost:8099"),
        (["--job_endpoint=localhost:x"], "must be HOST:PORT, as localhost:8099"),
    ],
)
def test_a_value_with_which_flink_would_lose_rows_or_hang_is_refused(
    argv: list[str], message: str, cluster: FakeFlink
) -> None:
    found = refusal(*cluster.words, *argv, runner="flink")
    assert found.startswith("=".join(argv) if len(argv) == 1 else argv[0])
    assert message in found
    lacking = [
        n
        for n in runners.requirements_of(make_settings(runner="flink"), [*cluster.words, *argv])
        if n.problem
    ]
    assert len(lacking) == 1  # told once, and the needs behind it can be looked at all the same


def folder_need(*argv: str, **values: object) -> Requirement:
    """What Flink needs of a run's folder."""
    needs = flink.requirements(make_settings(runner="flink", **values), list(argv))
    return next(need for need in needs if need.what == "a run folder that the workers reach")


DOCKER = ("--environment_type=DOCKER",)
REMOTE = ("--environment_type=EXTERNAL", "--job_endpoint=flink.example:8099")


@pytest.mark.parametrize("argv", [DOCKER, REMOTE, ("--environment_type=external", REMOTE[1])])
def test_workers_elsewhere_do_not_reach_a_folder_of_this_machine(argv: tuple[str, ...]) -> None:
    need = folder_need(*argv, output="runs/a")
    assert need.problem.startswith("--output runs/a: a folder of this machine, which workers else")
    assert "--shared" in need.remedy and "gs://" in need.remedy
    assert folder_need(*argv).problem.startswith("--output (a fresh folder below runs/): ")
    assert folder_need(*argv, output="runs/a", shared=True).met
    assert folder_need(*argv, output="gs://my-bucket/a").met


@pytest.mark.parametrize(
    "argv", [(), ("--environment_type=EXTERNAL",), ("--job_endpoint=flink.example:8099",)]
)
def test_workers_here_reach_a_folder_of_this_machine(argv: tuple[str, ...]) -> None:
    assert folder_need(*argv, output="runs/a").met


def test_a_checkpoint_to_start_from_goes_with_its_runs_folder(
    cluster: FakeFlink, tmp_path: Path
) -> None:
    kept = tmp_path / "chk-7"
    word = f"--savepoint_path=file:{kept}"
    message = refusal(*cluster.words, word, runner="flink")
    assert message.startswith(f"{word}: goes with its run's folder: --output FOLDER --resume")
    again = {"runner": "flink", "output": str(tmp_path), "resume": True}
    message = refusal(*cluster.words, word, **again)
    assert message.startswith(f"{word}: no checkpoint of Flink's is there: ")
    assert "without --savepoint_path the run goes on from its first missing report" in message
    kept.mkdir()
    (kept / "_metadata").touch()
    runners.preflight(make_settings(**again), [*cluster.words, word])


def test_a_run_that_has_ended_does_not_start_from_a_checkpoint(
    cluster: FakeFlink, tmp_path: Path
) -> None:
    kept = tmp_path / "chk-7"
    kept.mkdir()
    (kept / "_metadata").touch()
    (tmp_path / "ended.json").write_text('{"format": 1}')
    word = f"--savepoint_path=file:{kept}"
    message = refusal(*cluster.words, word, runner="flink", output=str(tmp_path), resume=True)
    assert message.startswith(f"{word}: the run in {tmp_path} has ended")
    assert "leave it out: --resume then reads what is new" in message


LATER = """\
name = "s"
time = "t"
target = "y"
id = "k"
wait = "3m"
[features]
numeric = ["x"]
[labels]
id = "k"
target = "y"
time = "known"
"""


def test_a_checkpoint_whose_questions_are_gone_is_refused(
    cluster: FakeFlink, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(LATER)
    settings = make_settings(
        **{"runner": "flink", "output": str(tmp_path), "resume": True, "window": "60"},
        **{"schema_file": str(tmp_path / "s.toml"), "input": "q.csv", "labels": "a.csv"},
    )
    taken = 1_800_000_000
    for minute in range(12):
        # The newest checkpoint has the report of minute 9: what begins five refreshes (a wait and
        # two) before has gone, which is all before minute 4. Minute 5 has no question.
        found = report(minute, rows=0 if minute == 5 else 100)
        path = tmp_path / "metrics" / f"{format_name(minute * 60_000_000)}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(found.as_json())
        os.utime(path, (taken + minute, taken + minute))
        if minute >= 4 and minute != 5:
            (tmp_path / "questions" / path.stem).mkdir(parents=True)

    def problems(name: str, newest: int) -> list[str]:
        kept = tmp_path / name
        kept.mkdir()
        (kept / "_metadata").touch()
        os.utime(kept / "_metadata", (taken + newest, taken + newest))
        argv = [*cluster.words, f"--savepoint_path=file:{kept}"]
        return [need.problem for need in flink.requirements(settings, argv) if need.problem]

    [problem] = problems("savepoint-1", 7)
    assert "savepoint-1: needs the questions of 19700101T000300Z, whose files went" in problem
    assert [problems(f"chk-{newest}", newest) for newest in (8, 9, 11)] == [[], [], []]
    # A resumed job writes questions again, from long before: an early checkpoint needs none
    shutil.rmtree(tmp_path / "questions")
    assert problems("chk-12", 11) == []
    (tmp_path / "questions" / format_name(0)).mkdir(parents=True)
    assert problems("chk-13", 11) == []


def test_a_job_server_that_is_not_there_is_refused_with_what_starts_one(
    cluster: FakeFlink,
) -> None:
    endpoint = f"localhost:{find_port()}"
    message = refusal(*cluster.words, f"--job_endpoint={endpoint}", runner="flink")
    assert message.startswith(f"no job server of Beam's answers at {endpoint} (")
    assert message.endswith("make flink-up starts one here; another: --job_endpoint=HOST:PORT")


def test_a_cluster_that_is_not_there_is_refused_with_what_starts_one(cluster: FakeFlink) -> None:
    page = f"localhost:{find_port()}"
    message = refusal(*cluster.words, f"--flink_master={page}", runner="flink")
    assert message.startswith(f"http://{page} does not answer as Flink does: ")
    assert message.endswith("make flink-up starts one; another: --flink_master=HOST:PORT")


def test_a_cluster_with_too_few_free_slots_is_refused(cluster: FakeFlink) -> None:
    cluster.free = 2
    runners.preflight(make_settings(runner="flink"), cluster.words)
    message = refusal(*cluster.words, "--parallelism=3", runner="flink")
    assert message.startswith("2 of 8 task slots are free at http://localhost:")
    assert ", 3 are needed: cancel another job there, or give a smaller --parallelism" in message


@pytest.mark.parametrize("key", ["state.checkpoints.dir", "execution.checkpointing.dir"])
def test_a_cluster_that_keeps_checkpoints_in_memory_is_refused(
    key: str, cluster: FakeFlink
) -> None:
    cluster.config = {key: "file:///c"}
    runners.preflight(make_settings(runner="flink"), cluster.words)
    cluster.config = {}
    message = refusal(*cluster.words, runner="flink")
    assert "keeps checkpoints in memory, where each over 5 MB fails" in message
    assert message.endswith(
        "set state.checkpoints.dir in its configuration, as deploy/flink/config.yaml does"
    )


def test_flink_gets_what_a_job_needs_and_options_that_are_given_stay() -> None:
    argv = flink.beam_options_for(
        make_settings(runner="flink", output="runs/a"), ["--parallelism=4"]
    )
    assert argv[0] == "--parallelism=4" and "--parallelism=2" not in argv
    assert {"--checkpointing_interval=3000", "--finish_bundle_before_checkpointing"} < {*argv}
    assert {"--environment_type=LOOPBACK", "--job_endpoint=localhost:8099"} < {*argv}
    assert f"--job_name={flink.job_name('runs/a')}" in argv
    assert flink.job_name("runs/a") != flink.job_name("other/a")


def test_a_job_on_flink_is_found_by_its_name_and_others_need_no_cluster(
    cluster: FakeFlink,
) -> None:
    def controller(runner: str, *words: str) -> RunController:
        given = [*cluster.words, *words]
        return runners.make_controller(
            make_settings(runner=runner), given, RunFolder("runs/a"), print
        )

    found = controller("flink")
    assert isinstance(found, FlinkController) and found.name == flink.job_name("runs/a")
    named = controller("flink", "--job_name=mine")
    assert isinstance(named, FlinkController) and named.name == "mine"
    assert (
        type(controller("prism")) is RunController and type(controller("direct")) is RunController
    )


def test_files_end_by_themselves_so_windows_0_is_no_matter() -> None:
    runners.preflight(make_settings(**FILES, refreshes=0), [])
    runners.preflight(make_settings(**FILES), [])
    with pytest.raises(UserError):
        runners.preflight(make_settings(refreshes=0), [])


def test_the_embedded_runner_is_the_fn_api_runner_itself_and_does_not_stream() -> None:
    runner, options = runners.make(make_settings(), ["--direct_num_workers=2"])
    assert type(runner) is FnApiRunner
    assert options.view_as(StandardOptions).streaming is False
    assert options.view_as(DirectOptions).direct_num_workers == 2


@pytest.mark.parametrize(
    ("name", "beams"),
    [("prism", "PrismRunner"), ("flink", "PortableRunner"), ("dataflow", "DataflowRunner")],
)
def test_other_runners_are_named_to_beam_and_stream(name: str, beams: str) -> None:
    runner, options = runners.make(make_settings(runner=name), [])
    assert runner == beams
    assert options.view_as(StandardOptions).streaming is True


@pytest.mark.parametrize("number", ["0", "2", "8"])
def test_more_workers_than_one_are_refused_on_the_embedded_runner(number: str) -> None:
    runners.preflight(make_settings(), ["--direct_num_workers=1"])
    with pytest.raises(UserError, match=f"--direct_num_workers {number}: .* loses what a source"):
        runners.preflight(make_settings(), [f"--direct_num_workers={number}"])
