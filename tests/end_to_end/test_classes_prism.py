"""Classes on Prism, and under resume: the bytes of the embedded runner."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import content, finish, process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
]
SCHEMA = """
name = "people"
time = "timestamp"
target = "{target}"
task = "classification"
{more}

[features]
numeric = ["idade", "idh"]
categorical = ["estado", "cargo"]
"""
ONE_NUMBER = """
name = "made"
time = "t"
target = "y"
task = "classification"
[features]
numeric = ["a"]
"""
PEOPLE = ("--people", "classes", "--rate", "20", "--refreshes", "6", "--batch-rows", "100")
LATER = 'label_time = "respondido"\nwait = "90s"'
RUNS = {
    "three classes, a sliding window and a lag": (
        *("faixa", "", "logistic"),
        ("--window", "2m", "--every", "1m", "--lag", "2", "--disorder", "5s"),
    ),
    "labels that come later, calibrated": (
        *("contratado", f'positive = "sim"\ncalibration = "sigmoid"\n{LATER}', "logistic"),
        ("--people-delay", "0s..90s"),
    ),
    "a forest of a sample, threshold by cost": (
        "contratado",
        'positive = "sim"\ncalibration = "isotonic"\ncosts = {fp = 1, fn = 4}',
        "forest",
        ("--learner-param", "n_estimators=5", "--sample-rows", "500", "--latency", "20s"),
    ),
}


def write_rows(path: Path) -> None:
    """Rows of eight minutes: the first three, and the sixth, are of one class each."""
    rng = np.random.default_rng(3)
    place = rng.integers(2, size=2_400)
    minute = np.arange(2_400) // 300
    named = np.array(["no", "yes"])[place]
    for at, name in {0: "no", 1: "yes", 2: "yes", 5: "no"}.items():
        named[minute == at] = name
    number = place + rng.normal(size=2_400)
    seconds = 1_767_225_600 + np.arange(2_400) / 5
    pd.DataFrame({"t": seconds, "y": named, "a": number}).to_csv(path, index=False)


def test_first_windows_of_one_class_serve_their_shares_on_prism_as_embedded(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path / "rows.csv")
    schema = tmp_path / "schema.toml"
    schema.write_text(ONE_NUMBER)
    rows = ("--input", tmp_path / "rows.csv", "--schema", schema, "--batch-rows", "100")
    argv = (*rows, "--learner", "logistic", "--window", "60", "--gate", "none", "--keep", "0")
    for runner in ("direct", "prism"):
        result = finish(process(*argv, "--runner", runner, "--output", tmp_path / runner))
        assert result.code == 0, result.err
    wanted = content(tmp_path / "direct")
    assert content(tmp_path / "prism") == wanted
    manifests = sorted((tmp_path / "prism" / "models").glob("*/manifest.json"))
    learners = [json.loads(path.read_text())["learner"] for path in manifests]
    assert learners == ["shares"] * 3 + ["logistic"] * 4
    assert [path.stem for path in (tmp_path / "prism" / "skipped").iterdir()] == [
        "20260101T000600Z"
    ]


@pytest.mark.parametrize("name", RUNS)
def test_prism_and_a_resumed_run_write_the_bytes_of_the_embedded_runner(
    name: str, tmp_path: Path
) -> None:
    target, more, learner, options = RUNS[name]
    schema = tmp_path / "schema.toml"
    schema.write_text(SCHEMA.format(target=target, more=more))
    argv = (*PEOPLE, "--schema", schema, "--learner", learner, *options)
    for runner in ("direct", "prism"):
        result = finish(process(*argv, "--runner", runner, "--output", tmp_path / runner))
        assert result.code == 0, result.err
    wanted = content(tmp_path / "direct")
    assert content(tmp_path / "prism") == wanted
    resumed = tmp_path / "resumed"
    shutil.copytree(tmp_path / "direct", resumed)
    for lost in [*sorted(resumed.glob("metrics/*"))[4:], resumed / "ended.json"]:
        lost.unlink()
    (resumed / "until.json").unlink(missing_ok=True)
    result = finish(process("--resume", "--output", resumed))
    assert result.code == 0, result.err
    assert content(resumed) == wanted
