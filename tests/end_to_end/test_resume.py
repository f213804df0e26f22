"""``--resume``: what is missing is made anew, and the files end the same as of one run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kit.job import (
    HEADER,
    SCHEMA,
    SMALL,
    Job,
    content,
    metrics,
    models,
    rejects,
    status,
)

PEOPLE: tuple[object, ...] = (*SMALL, "--refreshes", 8, "--batch-rows", 700)
RUNS = {
    "one batch": (*SMALL, "--refreshes", 8),
    "batches that straddle refreshes": PEOPLE,
    "late rows": (*PEOPLE, "--disorder", "9s"),
    "sliding windows": (*PEOPLE, "--window", "3m", "--every", "1m"),
    "a lag": (*PEOPLE, "--lag", 3),
    "a lag with sliding windows": (*PEOPLE, "--lag", 2, "--window", "2m", "--every", "1m"),
    "serve windows": (*PEOPLE, "--latency", "20s", "--shards", 2),
    "one old model": (*PEOPLE, "--keep", 1),
    "every model": (*PEOPLE, "--keep", 0),
    "figures only": (*PEOPLE, "--predictions", "none"),
    "a file": ("--input", "in.csv", "--schema", "s.toml", "--learner", "ridge"),
    "a file in small batches": (
        *("--input", "in.csv", "--schema", "s.toml", "--learner", "ridge"),
        *("--batch-rows", 30, "--window", "2m", "--every", "1m", "--lag", 2),
    ),
    "files": ("--input", "part*.csv", "--schema", "s.toml", "--learner", "ridge"),
}


def write_files() -> None:
    """Files out of order, with gaps of some minutes, rejects, nulls and unlabelled rows."""
    rng = np.random.default_rng(3)
    minutes = rng.choice([0, 1, 2, 5, 6, 7, 11, 12], 400)
    lines = []
    for minute, second, y in zip(minutes, rng.integers(0, 60, 400), rng.normal(size=400)):  # noqa: B905
        cells = [f"2026-01-01T00:{minute:02d}:{second:02d}Z", f"{y:.6f}", f"{2 * y:.3f}", "a"]
        kind = rng.integers(0, 20)
        if kind < 4:
            cells[kind] = ["soon", "", "inf", "b"][kind]
        lines.append(",".join(cells))
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + "\n".join(lines))
    for part in range(4):
        Path(f"part{part}.csv").write_text(HEADER + "\n".join(lines[part::4]))


def report(number: int) -> Path:
    return sorted(Path("o/metrics").iterdir())[number]


def after(number: int) -> None:
    """Takes back all that a run wrote for the refreshes from one on, and what followed."""
    names = [path.stem for path in sorted(Path("o/metrics").iterdir())]
    for name in names[number:]:
        Path("o/metrics", f"{name}.json").unlink()
        Path("o/sample", f"{name}.parquet").unlink(missing_ok=True)
        for part in ("predictions", "rejected"):
            shutil.rmtree(Path("o", part, name), ignore_errors=True)


def without_models(number: int) -> None:
    """Takes back all from a refresh on, the models of its windows too."""
    name = report(number).stem
    after(number)
    for path in Path("o/models").iterdir():
        if path.name > name:
            shutil.rmtree(path)


def halves() -> None:
    """Takes back the last report, as a run that was killed while it wrote some files."""
    report(-1).unlink()
    for name in ("status.json", "metrics/a.json", f"models/{max(models('o'))}/model.joblib"):
        path = Path("o", name)
        path.with_name(f".{path.name}.1.2.part").write_text("{")


def without_more_models(number: int) -> None:
    """Takes back all from a refresh on, and the models of the two windows before it too."""
    name = report(number - 2).stem
    after(number)
    for path in Path("o/models").iterdir():
        if path.name > name:
            shutil.rmtree(path)


def damage(number: int) -> None:
    """Takes back all from a refresh on, and changes a byte in each model."""
    after(number)
    for path in Path("o/models").glob("*/model.joblib"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


FAST = {"late rows", "files"}
FAST |= {"the models' soundness", "a report, but with halves of others"}
LOSSES: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "the last report": lambda: report(-1).unlink(),
    "a report in the middle": lambda: report(4).unlink(),
    "all reports": lambda: shutil.rmtree("o/metrics"),
    "all after half": lambda: after(4),
    "all but the first": lambda: without_models(1),
    "half with its models": lambda: without_models(4),
    "half with more models": lambda: without_more_models(4),
    "a report, but with halves of others": halves,
    "all models": lambda: without_models(0),
    "the models' soundness": lambda: damage(5),
}


@pytest.mark.parametrize(
    "loss",
    [loss if loss in FAST else pytest.param(loss, marks=pytest.mark.slow) for loss in LOSSES],
)
def test_whatever_of_a_run_is_missing_is_made_anew_to_the_byte(loss: str, job: Job) -> None:
    job.ran(*PEOPLE, "--output", "o")
    before = content("o")
    LOSSES[loss]()
    job.ran(*PEOPLE, "--output", "o", "--resume")
    assert content("o") == before


@pytest.mark.parametrize(
    "kind", [kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow) for kind in RUNS]
)
def test_a_run_that_lost_its_second_half_ends_the_same_whatever_its_settings(
    kind: str, job: Job
) -> None:
    write_files()
    job.ran(*RUNS[kind], "--output", "o")
    before, found = content("o"), rejects("o")
    for loss in ("half with its models", "half with more models", "a report in the middle"):
        LOSSES[loss]()
        job.ran(*RUNS[kind], "--output", "o", "--resume")
        assert rejects("o") == found
        assert content("o") == before


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_a_file_run_that_lost_any_part_ends_the_same(seed: int, job: Job) -> None:
    write_files()
    rng = np.random.default_rng(seed)
    argv: tuple[object, ...] = (
        *RUNS["files"],
        "--every",
        "1m",
        "--window",
        f"{rng.integers(1, 4)}m",
        "--output",
        "o",
    )
    argv = (*argv, "--lag", int(rng.integers(1, 4)), "--keep", int(rng.integers(0, 4)))
    job.ran(*argv)
    before = content("o")
    for _ in range(4):
        without_models(int(rng.integers(0, 8)))
        job.ran(*argv, "--resume")
        assert content("o") == before


def test_the_models_that_an_ended_run_had_still_to_remove_go_when_it_is_resumed(job: Job) -> None:
    job.ran(*PEOPLE, "--output", "o")
    job.ran(*PEOPLE, "--output", "all", "--keep", 0)
    before = content("o")
    for name in models("all"):
        shutil.copytree(Path("all/models", name), Path("o/models", name), dirs_exist_ok=True)
    job.ran(*PEOPLE, "--output", "o", "--resume")
    assert content("o") == before


def test_one_byte_of_a_model_is_found_by_verify_and_mended_by_resume(job: Job) -> None:
    job.ran(*PEOPLE, "--output", "o")
    before = content("o")
    damage(5)
    assert job("models", "o", "--verify").code == 1
    job.ran(*PEOPLE, "--output", "o", "--resume")
    assert job("models", "o", "--verify").code == 0
    assert content("o") == before


def test_a_run_to_resume_that_was_complete_reads_little_and_reports_nothing_new(job: Job) -> None:
    job.ran(*PEOPLE, "--output", "o")
    times = {path: path.stat().st_mtime_ns for path in Path("o/metrics").iterdir()}
    result = job.ran(*PEOPLE, "--output", "o", "--resume")
    assert {path: path.stat().st_mtime_ns for path in Path("o/metrics").iterdir()} == times
    assert len(metrics("o")) == 8 and status("o")["rows_read"] <= 2 * 1200
    assert len([line for line in result.out.splitlines() if line.startswith("2026-")]) == 8


def test_resume_with_other_settings_is_refused_and_changes_nothing(job: Job) -> None:
    job.ran(*PEOPLE, "--output", "o")
    before = content("o")
    message = job.refused(*PEOPLE, "--output", "o", "--resume", "--keep", 9, "--rate", 21)
    assert message.endswith("other settings: --rate was 20.0, is 21.0; --keep was 3, is 9")
    assert content("o") == before


HURT: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "removed": lambda path: path.unlink(),
}
FEW_MODELS = (
    *("--input", "in.csv", "--schema", "s.toml", "--learner", "ridge", "--shards", 1),
    *("--window", "60", "--min-rows", 48),
)
"""A run of files that has rejects (undated too) and skipped windows."""


@pytest.mark.slow
@pytest.mark.parametrize("hurt", HURT)
def test_each_file_of_a_run_that_is_not_whole_is_made_again_by_resume(hurt: str, job: Job) -> None:
    write_files()
    lines = Path("in.csv").read_text().splitlines()
    drifted = [re.sub(r"^(.*T00:1\d.*),(-?\d+\.\d+),", r"\1,9\2,", line) for line in lines]
    Path("in.csv").write_text("\n".join(drifted))
    job.ran(*FEW_MODELS, "--output", "o")
    before = content("o")
    kinds = {name.split("/")[0] for name in before}
    assert kinds >= {
        "metrics",
        "models",
        "predictions",
        "sample",
        "rejected",
        "skipped",
        "summaries",
    }
    for name in sorted(before):
        HURT[hurt](Path("o", name))
        result = job.ran(*FEW_MODELS, "--output", "o", "--resume")
        assert content("o") == before, name
        assert "not whole, made again: " in result.err or hurt == "removed" or name == "ended.json"
