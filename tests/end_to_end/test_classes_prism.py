"""Classes on Prism, and under resume: the bytes of the embedded runner."""

from __future__ import annotations

import shutil
from pathlib import Path

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
