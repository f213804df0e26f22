"""``python -m pipeline models``: list, show, verify, prune, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.kit.job import SMALL, Job, content, models

NAMES = [f"20260101T000{minute}00Z" for minute in range(1, 4)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three windows."""
    from pipeline.__main__ import main

    folder = tmp_path_factory.mktemp("models") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def mine(run: Path, home: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(run, home / "run"))


def change(path: Path, at: int = 100) -> None:
    """Changes one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_list_has_a_line_a_model_with_its_figures(run: Path, job: Job) -> None:
    lines = job.ran("models", run).out.splitlines()
    assert lines[0].split() == [
        "model",
        "(window's",
        "end)",
        "rows",
        "learner",
        "MAE",
        "R2",
        "bytes",
        "fit",
        "s",
        "gate",
    ]
    assert [line.split()[0] for line in lines[1:]] == NAMES
    for line, manifest in zip(lines[1:], models(run).values(), strict=True):
        _, rows, learner, mae, r2, size, _, gate = line.split()
        assert gate == "untried"  # 20 rows are needed for each of people's columns
        assert manifest["gate"]["accepted"] and manifest["gate"]["trial"] is None
        assert (rows, learner, size) == ("1,200", "ridge", f"{manifest['bytes']:,}")
        assert float(mae.replace(",", "")) == pytest.approx(manifest["training"]["mae"], rel=1e-2)
        assert float(r2) == pytest.approx(manifest["training"]["r2"], rel=1e-2)


def test_a_name_shows_the_manifest_as_it_stands(run: Path, job: Job) -> None:
    result = job.ran("models", run, NAMES[1]).out
    assert result == (run / "models" / NAMES[1] / "manifest.json").read_text()
    assert json.loads(result)["window_end"] == "2026-01-01T00:02:00Z"


def test_models_that_match_their_hash_are_ok(run: Path, job: Job) -> None:
    result = job.ran("models", run, "--verify").out
    assert result.splitlines() == [*(f"{name}  ok" for name in NAMES), "3 models, 0 damaged"]


def test_one_byte_that_has_changed_is_found_and_nothing_is_opened(mine: Path, job: Job) -> None:
    model = mine / "models" / NAMES[1] / "model.joblib"
    planted = b"cposix\nsystem\n(S'touch planted'\ntR."  # a pickle that runs a command
    model.write_bytes(planted)
    change(mine / "models" / NAMES[2] / "model.joblib")
    result = job("models", mine, "--verify")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0] == f"{NAMES[0]}  ok"
    for line, name in zip(lines[1:3], NAMES[1:], strict=True):
        assert line.startswith(f"{name}  damaged: model.joblib has SHA-256 ")
        assert line.endswith("it is not opened")
    assert lines[3] == "3 models, 2 damaged"
    assert not Path("planted").exists()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"format": 2}', b"\xff\xfe"])
def test_a_manifest_that_is_none_is_damaged_in_every_command(
    data: bytes, mine: Path, job: Job
) -> None:
    (mine / "models" / NAMES[0] / "manifest.json").write_bytes(data)
    assert job.ran("models", mine).out.splitlines()[1].split() == [NAMES[0], "damaged"]
    verified = job("models", mine, "--verify")
    assert (verified.code, verified.out.splitlines()[-1]) == (1, "3 models, 1 damaged")
    assert job.refused("models", mine, NAMES[0]).startswith(f"{NAMES[0]}: manifest.json: ")


def test_a_model_file_that_is_missing_is_damage(mine: Path, job: Job) -> None:
    (mine / "models" / NAMES[0] / "model.joblib").unlink()
    result = job("models", mine, "--verify")
    assert result.code == 1
    assert result.out.splitlines()[0] == f"{NAMES[0]}  damaged: model.joblib is missing"


def test_a_folder_without_a_manifest_is_no_model(mine: Path, job: Job) -> None:
    (mine / "models" / NAMES[0] / "manifest.json").unlink()
    assert NAMES[0] not in job.ran("models", mine).out
    assert NAMES[0] not in job.ran("models", mine, "--verify").out
    message = job.refused("models", mine, NAMES[0])
    assert message == f"{NAMES[0]}: is not a model of {mine}/models; it has {NAMES[1]}, {NAMES[2]}"


@pytest.mark.parametrize("keep", [1, 2, 3, 9])
def test_prune_keeps_the_newest(keep: int, mine: Path, job: Job) -> None:
    before = content(mine)
    result = job.ran("models", mine, "--prune", keep)
    assert result.out.split() == [w for name in NAMES[:-keep] for w in ("removed", name)]
    assert sorted(os.listdir(mine / "models")) == NAMES[-keep:]
    gone = {f"models/{name}/{file}" for name in NAMES[:-keep] for file in FILES}
    assert set(before) - set(content(mine)) == gone


FILES = ("manifest.json", "model.joblib")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--prune", "0"], "--prune 0: must be >= 1"),
        (["--prune", "-3"], "--prune -3: must be >= 1"),
        (["--prune", "x"], "argument --prune: invalid int value: 'x'"),
        (["--ver"], "unrecognized arguments: --ver"),
        (["--verify", "--prune", "1"], "not allowed with argument"),
        ([NAMES[0], "--verify"], "not allowed with argument"),
        (["nonsense"], f"nonsense: is not a model of run/models; it has {', '.join(NAMES)}"),
        (["../../../etc"], "../../../etc: is not a model of run/models"),
    ],
)
def test_what_the_command_refuses(argv: list[str], message: str, mine: Path, job: Job) -> None:
    before = content(mine)
    assert message in job.refused("models", "run", *argv)
    assert content(mine) == before


def test_a_path_that_is_no_runs_folder_is_refused(job: Job) -> None:
    Path("file").write_text("")
    Path("empty").mkdir()
    assert "required: OUTPUT" in job.refused("models")
    assert job.refused("models", "no") == "no: is not a folder; must be a run's folder"
    assert job.refused("models", "file") == "file: is not a folder; must be a run's folder"
    for argv in (["empty"], ["empty", "--verify"]):
        message = job.refused("models", *argv)
        assert message == f"{argv[0]}: holds no run: no settings.json in it"
    assert "foo://bar: foo:// is not known: must be " in job.refused("models", "foo://bar")


def test_a_run_without_a_model_reports_it(mine: Path, job: Job) -> None:
    shutil.rmtree(mine / "models")
    assert job.ran("models", mine).out == f"no model in {mine}/models\n"
    assert "it has none" in job.refused("models", mine, NAMES[0])


def test_help_shows_every_option(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        job("models", "--help")
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in output for word in ("OUTPUT", "name", "--verify", "--prune N", "examples:"))
