"""A live run on Prism: the gate decides as on the embedded runner, and a pin holds exactly."""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import Job, content, finish, metrics, process, resume_options
from tests.pipeline.test_gate import SCHEMA, WORDS, rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
]
LIVE = (
    *("--live", "--refreshes", "0", "--on-interrupt", "drain", "--learner", "ridge", "--keep", "1"),
    *("--window", "2", "--latency", "1", "--rate", "200", "--runner", "prism", "--output", "o"),
)
PATIENCE = 300.0
"""Seconds in which reports must come."""


def wait_for(run: Path, reports: int, since: str = "") -> None:
    """Waits until a run has so many reports, of refreshes that begin at a time or later."""
    until = time.monotonic() + PATIENCE
    while sum(report["refresh_start"] >= since for report in metrics(run)) < reports:
        assert time.monotonic() < until, f"no reports in {PATIENCE} s"
        time.sleep(0.1)


def wait_for_act(run: Path, what: str) -> None:
    """Waits until a run has taken up an act, and reported two refreshes for which it holds."""
    until = time.monotonic() + PATIENCE
    found: list[str] = []
    while not found:
        assert time.monotonic() < until, f"no {what} in {PATIENCE} s"
        time.sleep(0.1)
        with suppress(FileNotFoundError, ValueError):  # it is just being written
            acts = map(json.loads, (run / "promotions.ndjson").read_text().splitlines())
            found = [act["since"] for act in acts if act["what"] == what]
    wait_for(run, 2, found[-1])


def assert_served(run: Path) -> None:
    """Asserts that each refresh had the model that the acts and the as-of rule give it."""
    acts = map(json.loads, (run / "promotions.ndjson").read_text().splitlines())
    mine = [act for act in acts if act["what"] != "refused"]
    before = None
    for report in metrics(run):
        expected, began = before, report["refresh_start"]
        for act in mine:
            if act["since"] <= began:
                expected = act["to"] or before
        assert report["model"] == expected, report
        before = report["refresh_end"].replace("-", "").replace(":", "")


def test_a_pin_of_a_live_run_holds_from_the_first_refresh_that_has_not_begun(
    job: Job, home: Path
) -> None:
    run = home / "o"
    running = process(*LIVE)
    try:
        wait_for(run, 3)
        pinned = metrics(run)[-1]["model"]
        said = job.ran("models", "pin", "o", pinned)
        assert "waits in pin.json" in said.out
        wait_for_act(run, "pin")
        assert metrics(run)[-1]["model"] == pinned
        job.ran("models", "unpin", "o")
        wait_for_act(run, "unpin")
        running.send_signal(signal.SIGINT)
        result = finish(running)
    finally:
        running.kill()
    assert result.code == 0, result.err
    assert_served(run)
    assert (run / "models" / pinned / "manifest.json").exists()
    lost = sorted((run / "metrics").glob("*.json"))[-3:]
    whole = {path.name: path.read_bytes() for path in lost}
    for path in lost:
        path.unlink()
    running = process(*resume_options(result))
    try:
        wait_for(run, len(metrics(run)) + 4)
        running.send_signal(signal.SIGINT)
        assert finish(running).code == 0
    finally:
        running.kill()
    assert {name: (run / "metrics" / name).read_bytes() for name in whole} == whole


def test_prism_refuses_the_same_models_and_writes_the_same_bytes(job: Job, home: Path) -> None:
    (home / "schema.toml").write_text(SCHEMA)
    rows(1_200).to_csv("rows.csv", index=False)
    job.ran(*WORDS, "--output", "o", "--keep", "0")
    job.ran(*WORDS, "--output", "p", "--keep", "0", "--runner", "prism")
    assert content("p") == content("o")
