"""Labels as a stream of their own on Flink: the bytes of the embedded runner, also after a kill.

So are the baselines by entity and by season, what the gate refuses, and a pin.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model import promotions
from model.promotions import Act
from model.store import Store
from tests.end_to_end import flink, streams
from tests.end_to_end.test_label_streams import arguments, write_apart
from tests.end_to_end.test_labels import delayed, take_back
from tests.kit.job import ROOT, content, finish, metrics, process

pytestmark = flink.needs_flink
SECONDS = 600
"""A run on Flink has so long to end."""
MORE = '[baseline]\nseason = "2m"\nby = ["kind"]\n[features.encoders]\nplace = "target"\n'
CADENCE = ("--window", "5m", "--every", "1m")
SHUFFLED = (15, 23)
"""Minutes in which the labels that come to be known have nothing to do with their rows."""
PINNED, FROM = 12, 25
"""The minute of the end of the window whose model is pinned, and the one from which on."""


def make_rows() -> pd.DataFrame:
    """A stream whose models have a trial; three of them have seen shuffled targets alone."""
    rows = delayed(streams.make_stream(windows=30, rows_a_window=120, seed=5))
    minute = (rows["known"] - streams.EPOCH) / pd.Timedelta("1m")
    odd = (minute >= SHUFFLED[0]) & (minute < SHUFFLED[1])
    targets = np.random.default_rng(1).permutation(rows.loc[odd, "y"])
    rows.loc[odd, "y"] = targets
    return rows


def name_of(minute: int) -> str:
    """The name of what ends, or begins, at a minute of the stream."""
    return f"{streams.EPOCH + pd.Timedelta(minutes=minute):%Y%m%dT%H%M%SZ}"


def pin(run: Path) -> None:
    """Writes down that a model was pinned, while the job ran, from a refresh on."""
    name, since = name_of(PINNED), streams.EPOCH + pd.Timedelta(minutes=FROM)
    act = {"what": "pin", "when": since, "since": since, "from": None, "to": name}
    act |= {"sha256": Store(str(run / "models")).reference(name).sha256, "why": "a test"}
    promotions.append(str(run / "promotions.ndjson"), Act.model_validate(act))


def take_all_back(run: Path) -> None:
    """Takes back all that a run has written but for its first refreshes and its users' acts."""
    take_back(run, 2, models=True)
    for part in ("known", "refused", "skipped", "summaries"):
        shutil.rmtree(run / part, ignore_errors=True)
    mine = [act for act in promotions.read(str(run / "promotions.ndjson")) if act.what == "pin"]
    (run / "promotions.ndjson").write_bytes(b"".join(act.as_json() for act in mine))


@pytest.mark.parametrize("way", ["resumed with a pin", "a TaskManager is killed"])
def test_labels_apart_have_the_bytes_of_the_embedded_runner(tmp_path: Path, way: str) -> None:
    sources = write_apart(make_rows(), tmp_path / "in")
    more = (*CADENCE, "--latest", "2030-01-01", "--keep", "0")
    given = arguments(tmp_path / "direct", sources, *more, more=MORE)
    embedded = finish(process(*given))
    assert embedded.code == 0, embedded.err
    check_gate(tmp_path / "direct")
    argv = arguments(tmp_path / "flink", sources, *more, *flink.WORDS, more=MORE)
    if way == "resumed with a pin":
        pin(tmp_path / "direct")
        take_all_back(tmp_path / "direct")
        shutil.copytree(tmp_path / "direct", tmp_path / "flink")
        argv.append("--resume")
        embedded = finish(process(*given, "--resume"))
        assert embedded.code == 0, embedded.err
        check_gate(tmp_path / "direct", pinned=True)
    job = [sys.executable, "-m", "pipeline", *argv]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(job, cwd=ROOT, stdout=log, stderr=log)
        try:
            if way == "a TaskManager is killed":
                wait_for_a_report(tmp_path / "flink", running)
                flink.kill("taskmanager")
                flink.mend()
            assert running.wait(SECONDS) == 0, (tmp_path / "log").read_text()
        finally:
            running.kill()
    found = content(tmp_path / "flink")
    assert found == content(tmp_path / "direct")
    parts = ("outcomes", "metrics", "known", "models", "refused", "promotions.ndjson")
    assert {Path(name).parts[0] for name in found} >= {*parts}


def check_gate(run: Path, pinned: bool = False) -> None:
    """The shuffled windows are refused, nothing that was refused serves, and baselines differ."""
    shuffled = {name_of(minute) for minute in range(SHUFFLED[0] + 5, SHUFFLED[1] + 1)}
    refused = {path.name for path in (run / "refused").iterdir()}
    assert refused >= shuffled
    acts = promotions.read(str(run / "promotions.ndjson"))
    assert refused == {act.to for act in acts if act.what == "refused"}
    accepted = sorted(path.name for path in (run / "models").iterdir())
    for report in metrics(run):
        if not report["scored"]:
            continue
        start = pd.Timestamp(report["refresh_start"]).strftime("%Y%m%dT%H%M%SZ")
        newest = max((name for name in accepted if name <= start), default=None)
        is_pinned = pinned and start >= name_of(FROM)
        assert report["model"] == (name_of(PINNED) if is_pinned else newest)
    for name in ("mean", "last", "season"):
        assert len({one["baselines"][name] for one in metrics(run)}) > 20


def wait_for_a_report(folder: Path, running: subprocess.Popen[bytes]) -> None:
    """Waits until a run has reported a refresh, or has ended."""
    end = time.monotonic() + SECONDS
    while not list(folder.glob("metrics/*.json")) and running.poll() is None:
        assert time.monotonic() < end, "no report came"
        time.sleep(0.05)
