"""``python -m pipeline check``: what it shows, its exit codes, and how a trial ends."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from model.runs import RunFolder
from pipeline import check
from pipeline.check import has_fired, last, merge, process, trial, trial_folder, watch
from pipeline.runners import prism
from pipeline.runners.requirements import Requirement
from tests.kit.fake_flink import FakeFlink, serving
from tests.kit.job import Job, Told, make_settings
from tests.kit.ports import find_port

QUIET = Console(file=io.StringIO())
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are not wrapped, so that their cells can be read."""
    consoles = tuple(Console(width=400, markup=False, stderr=to == "err") for to in ("out", "err"))
    monkeypatch.setattr(check, "consoles", lambda: consoles)


@pytest.fixture
def cluster() -> Iterator[FakeFlink]:
    """A Flink that has all that a job requirements."""
    with serving() as fake:
        yield fake


@pytest.fixture
def no_prism(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Prism is at hand is the machine's affair: here it is not."""
    monkeypatch.setattr(prism, "find_prism", lambda: None)


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial may begin."""
    monkeypatch.setattr(check, "trial", None)


def nowhere() -> tuple[str, ...]:
    """Beam's options for a Flink that is not there."""
    return (
        *("--job_endpoint", f"localhost:{find_port()}"),
        *("--flink_master", f"localhost:{find_port()}"),
    )


def cells(result: Told) -> dict[str, list[str]]:
    """The lines of a table, without its titles, by their first cell."""
    found: dict[str, list[str]] = {}
    for line in result.out.splitlines()[1:]:
        if line[:1].strip():
            found[line.split("  ")[0]] = []
        found[list(found)[-1]].append(line)
    return found


def test_each_runner_is_reported_with_what_brings_it(job: Job, no_prism: None) -> None:
    result = job.ran("check", *nowhere())
    found = cells(result)
    assert list(found) == ["direct", "prism", "flink", "dataflow"]
    assert found["direct"][0].split()[1:3] == ["yes,", "but"]
    assert "its source ends" in found["direct"][0]
    assert found["prism"][0].split()[1] == "no" and "make prism builds it" in found["prism"][0]
    assert found["flink"][0].split()[1] == "no"
    assert [line.count("make flink-up") for line in found["flink"]] == [1, 1]
    assert all(word in "".join(found["dataflow"]) for word in ("--project", "--output gs://"))


def test_no_runner_that_can_is_exit_code_1(job: Job, no_prism: None) -> None:
    result = job("check", "--live", *nowhere())
    assert result.code == 1
    assert [lines[0].split()[1] for lines in cells(result).values()] == ["no"] * 4
    assert "--live needs a runner that streams" in result.out


def test_a_cluster_that_has_all_can_and_where_its_workers_are_is_reported(
    job: Job, cluster: FakeFlink, no_prism: None
) -> None:
    result = job("check", "--live", *cluster.words)
    assert (result.code, cells(result)["flink"][0].split()[1:3]) == (0, ["yes,", "but"])
    result = job("check", "--live", *cluster.words, "--environment_type=EXTERNAL")
    assert (result.code, cells(result)["flink"][0].split()) == (0, ["flink", "yes"])


def test_what_no_runner_may_do_is_reported_each(job: Job) -> None:
    result = job("check", "--allow_unsafe_triggers", *nowhere())
    assert result.code == 1
    assert all("--allow_unsafe_triggers: " in lines[0] for lines in cells(result).values())


def test_a_chosen_runner_that_lacks_something_is_reported_alone_and_not_tried(
    job: Job, cluster: FakeFlink, untried: None
) -> None:
    cluster.config, cluster.free = {}, 1
    result = job("check", "--runner", "flink", *cluster.words)
    assert result.code == 1
    found = cells(result)
    assert "keeps checkpoints in memory" in found["checkpoint storage"][0]
    assert "state.checkpoints.dir" in found["checkpoint storage"][0]
    assert "1 of 8 task slots are free" in found["task slots"][0]
    here = {what: lines[0][len(what) :].split()[0] for what, lines in found.items()}
    assert [what for what, state in here.items() if state == "no"] == [
        *("task slots", "checkpoint storage")
    ]
    assert here["Beam's job server"] == here["a Flink cluster"] == "yes"


def test_a_runner_in_the_config_file_is_chosen_too(
    job: Job, cluster: FakeFlink, untried: None
) -> None:
    cluster.config = {}
    Path("c.toml").write_text("runner = 'flink'\n")
    result = job("check", "--config", "c.toml", *cluster.words)
    assert result.code == 1 and result.out.startswith("flink needs")


def test_a_bad_parallelism_is_reported_in_the_table(job: Job, cluster: FakeFlink) -> None:
    result = job("check", "--runner", "flink", *cluster.words, "--parallelism=0")
    assert result.code == 1 and "--parallelism=0" in cells(result)["options"][0]


def test_dataflow_is_not_tried_and_it_gives_the_reason(
    job: Job, untried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipeline.check.runners.requirements_of", lambda *_: iter([Requirement("all")])
    )
    result = job.ran("check", "--runner", "dataflow")
    assert result.out.splitlines()[-1].startswith("no trial: only Google's service can run it")


@pytest.mark.parametrize(("ended", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_of_a_chosen_runner_is_its_trials(
    ended: bool, code: int, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "trial", lambda *_: check.Trial(ended, "so it was"))
    result = job("check", "--runner", "direct")
    assert result.code == code
    assert result.out.splitlines()[-1] == "trial: so it was (0 s)"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--learnr", "x"], "unknown option --learnr: do you mean --learner?"),
        (["--learner", "x"], "--learner 'x': "),
        (["--schema", "gone.toml"], "gone.toml"),
    ],
)
def test_what_is_wrong_on_every_runner_is_refused_as_a_run_is(
    argv: list[str], message: str, job: Job
) -> None:
    refused = job.refused("check", *argv)
    assert message in refused and refused == job.refused(*argv)


@pytest.mark.parametrize(("every", "warned"), [("18s", False), ("17s", True)])
def test_a_wait_of_more_than_200_refreshes_is_warned_of_and_its_memory_shown(
    every: str, warned: bool, job: Job, no_prism: None
) -> None:
    options = ["--people-delay", "0..1h", "--window", every, "--latency", every]
    result = job("check", *options)  # 3,600 s are 200 refreshes of 18 s
    [line] = [line for line in result.out.splitlines() if line.startswith("wait = 1 hour")]
    assert "MB" in line and "kB" in line
    lines = [line for line in result.err.splitlines() if line.startswith("warning: wait spans")]
    assert len(lines) == warned
    if warned:
        assert "212 refreshes" in lines[0] and "212 refreshes" in line


def test_help_shows_what_it_does(job: Job) -> None:
    result = job.ran("check", "--help").out
    assert result.startswith("usage: python -m pipeline check") and "exit code" in result


@pytest.mark.parametrize("width", [20, 40, 100])
def test_the_table_fits_a_narrow_terminal_and_is_plain_without_one(
    width: int, job: Job, no_prism: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Console(width=width, markup=False, highlight=False)
    monkeypatch.setattr(check, "consoles", lambda: (narrow, QUIET))
    result = job.ran("check", *nowhere())
    assert max(map(len, result.out.splitlines())) <= width
    assert "\x1b" not in result.out


def test_needs_of_one_thing_are_shown_once_if_they_are_met_and_all_if_not() -> None:
    both = [
        Requirement("a", "no x", "y"),
        Requirement("b"),
        Requirement("a"),
        Requirement("a", "no z", "w"),
        Requirement("b"),
    ]
    assert merge(both) == [both[0], both[3], both[1]]


def report(folder: Path, minute: int, model: int | None, scored: int = 5) -> None:
    """A report of a refresh, whose model is of the window that ended at a minute."""
    from model.metrics import Metrics

    figures = dict.fromkeys(("mae", "rmse", "r2", "baseline_mae", "skill"))
    made_of = Metrics.model_validate(
        {
            "refresh_start": f"2026-01-01T00:0{minute}:00Z",
            "refresh_end": f"2026-01-01T00:0{minute + 1}:00Z",
            "model": None if model is None else f"20260101T000{model}00Z",
            **{"rows": 5, "scored": scored, "unlabelled": 0, "late": 0, "rejected": 0},
            **figures,
        }
    )
    (folder / "metrics").mkdir(exist_ok=True)
    path = folder / "metrics" / f"20260101T000{minute}00Z.json"
    path.write_text(made_of.model_dump_json())


def test_windows_have_fired_when_one_is_scored_by_the_model_of_the_one_before(
    tmp_path: Path,
) -> None:
    folder = RunFolder(str(tmp_path))
    assert not has_fired(folder)
    report(tmp_path, 0, None)
    assert not has_fired(folder)
    report(tmp_path, 1, None, scored=0)
    assert not has_fired(folder)  # two reports, but no model
    report(tmp_path, 2, 1)
    assert not has_fired(folder)  # a model, but an older one
    report(tmp_path, 3, 3, scored=0)
    assert not has_fired(folder)
    report(tmp_path, 3, 3)
    assert has_fired(folder)


def test_a_job_that_shows_no_windows_is_given_up_after_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "LIMIT", 1)
    with subprocess.Popen(SLEEP, text=True) as running:
        ended = watch(running, RunFolder(str(tmp_path)), io.StringIO(), QUIET)
        running.kill()
    assert not ended.fired
    assert ended.message == "no two windows fired within 1 s; the job is cancelled"


def test_a_job_that_ends_without_windows_is_reported_with_its_error(tmp_path: Path) -> None:
    said = io.StringIO("people -> o\nerror: the job failed: no good\nmore\n")
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as running:
        ended = watch(running, RunFolder(str(tmp_path)), said, QUIET)
    assert not ended.fired
    assert ended.message == ("the job ended before two windows had fired: the job failed: no good")
    assert last(io.StringIO("a\nb\n\n")) == "b" and last(io.StringIO()) == "no message"


def test_the_process_of_a_trial_is_ended_even_if_it_minds_no_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(check, "CANCEL_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(2, signal.SIG_IGN); print(1, flush=True); "
    popen = subprocess.Popen

    def start(words: list[str], **given: object) -> subprocess.Popen[str]:
        return popen(
            [sys.executable, "-c", deaf + "time.sleep(60)"],
            **{**given, "stdout": subprocess.PIPE},  # type: ignore[call-overload]
        )

    monkeypatch.setattr(subprocess, "Popen", start)
    with (tmp_path / "said").open("w+") as said, process([], said) as running:
        assert running.stdout is not None and running.stdout.read(1) == "1"  # it is deaf by now
    assert running.returncode == -9


def test_the_process_of_a_trial_ends_when_the_command_is_interrupted(tmp_path: Path) -> None:
    argv = ["--runner", "direct", "--refreshes", "1000000", "--output", str(tmp_path / "o")]
    began = time.monotonic()
    with (
        (tmp_path / "said").open("w+") as said,
        pytest.raises(KeyboardInterrupt),
        process(argv, said) as running,
    ):
        while not (tmp_path / "o" / "status.json").exists():
            assert running.poll() is None and time.monotonic() < began + 300
            time.sleep(0.05)
        raise KeyboardInterrupt
    assert running.returncode == 130
    assert "interrupted" in (tmp_path / "said").read_text()


def test_the_folder_of_a_trial_is_where_workers_reach_it_and_is_removed(home: Path) -> None:
    with trial_folder(make_settings(output="runs/a")) as here:
        report(Path(here.path), 0, None)
        assert home not in Path(here.path).parents
    assert not Path(here.path).exists()
    for output, beside in (("runs/a/", "runs/a-correnteza-check-"), (None, "runs/correnteza-")):
        with trial_folder(make_settings(output=output, shared=True)) as there:
            assert there.path.startswith(beside)
            Path(there.path).mkdir(parents=True)
            report(Path(there.path), 0, None)
        assert not Path(there.path).exists()
    assert [path.name for path in home.rglob("*")] in ([], ["runs"])


def test_a_trial_is_not_the_run_that_a_checkpoint_or_a_name_is_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def start(argv: list[str], said: object) -> object:
        seen.extend(argv)
        raise InterruptedError

    monkeypatch.setattr(check, "process", start)
    argv = ["--savepoint_path=file:/a", "--job_name", "mine", "--parallelism=4"]
    with pytest.raises(InterruptedError):
        trial(make_settings(runner="flink", shared=True, output="a"), argv, QUIET)
    assert seen[-1] == "--parallelism=4" and {"--live", "--shared", "flink"} < {*seen}
    assert not any("savepoint" in word or "mine" in word for word in seen)


def test_a_trial_that_is_refused_shows_why() -> None:
    ended = trial(make_settings(), ["--qwxyz"], QUIET)
    assert not ended.fired
    assert "unknown option --qwxyz" in ended.message


@pytest.mark.parametrize("task", ["", 'task = "classification"\n'])
def test_what_of_a_feature_of_files_has_no_column_is_reported(
    job: Job, no_prism: None, home: Path, task: str
) -> None:
    frame = pd.DataFrame({"t": 1.7e9 + np.arange(3_000), "y": np.arange(3_000) % 2, "k": "few"})
    frame["c"] = [f"v{n % 97 if n % 10 else 0}" for n in range(3_000)]
    frame["d"] = frame["c"]
    frame.to_csv("in.csv", index=False)
    counts = frame["c"].value_counts()
    features = '[features]\ncategorical = ["c", "d", "k"]\n'
    encoders = "[features.encoders]\nd = { max_categories = 1_000 }\n"
    schema = f'name = "s"\ntime = "t"\ntarget = "y"\ntime_format = "s"\n{task}'
    (home / "s.toml").write_text(schema + features + encoders)
    result = job.ran("check", "--input", "in.csv", "--schema", "s.toml", *nowhere())
    share = 100 * counts.iloc[64:].sum() / 3_000
    encoder = f"max_categories = {len(counts)}" if task else 'encoder = "target"'
    lines = [line for line in result.out.splitlines() if "fall into other" in line]
    assert lines == [
        f"first 3,000 rows: column 'c': {len(counts)} values, the 64 most frequent are columns, "
        f"{share:.1f} % of rows fall into other; {encoder} keeps all"
    ]


@pytest.mark.parametrize("apart", [False, True])
def test_check_warns_of_a_positive_that_no_row_has_and_of_a_target_of_another_task(
    job: Job, home: Path, apart: bool
) -> None:
    frame = pd.DataFrame({"t": 1.7e9 + np.arange(200), "y": ["NO", "YES"] * 100, "x": 1.0})
    frame["k"] = np.arange(200)
    frame.to_csv("in.csv", index=False)
    argv = ["check", "--input", "in.csv", "--schema", "s.toml", *nowhere()]
    schema = 'name = "s"\ntime = "t"\ntarget = "y"\ntime_format = "s"\n{}\n'
    schema += '[features]\nnumeric = ["x"]\n'
    if apart:
        frame.drop(columns=["y"]).to_csv("in.csv", index=False)
        frame[["t", "y", "k"]].to_csv("labels.csv", index=False)
        argv += ["--labels", "labels.csv"]
        schema = schema.replace("{}", '{}\nid = "k"\nwait = "1d"')
        schema += '[labels]\nid = "k"\ntarget = "y"\ntime = "t"\n'
    classes = 'task = "classification"\nclasses = ["NO", "yes"]\npositive = "yes"'
    (home / "s.toml").write_text(schema.format(classes))
    message = "none of the first 200 values is the positive 'yes'; they are 'NO', 'YES'"
    assert message in job.ran(*argv).err
    (home / "s.toml").write_text(schema.format(""))
    result = job(*argv)
    assert result.code == 2
    assert "not numbers, as 'NO', 'YES': if it is a class, set task" in result.err
