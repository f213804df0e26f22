"""A model that is pinned serves from one refresh on: in ``serve``, and in a run that goes on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model import promotions
from model.store import Store
from monitor.serve.serving import Models
from tests.kit.job import Job, content, metrics

BEGIN = datetime(2024, 1, 1, tzinfo=timezone.utc)
SCHEMA = 'name = "s"\ntime = "t"\ntarget = "y"\n[features]\nnumeric = ["a"]\n'
WORDS = ("--input", "rows*.csv", "--schema", "schema.toml", "--window", "60", "--learner", "ridge")


def write(name: str, minutes: range) -> None:
    """Writes a file with 40 rows in each of some minutes."""
    count = 40 * len(minutes)
    rng = np.random.default_rng(minutes.start)
    a = rng.normal(size=count)
    at = [BEGIN + timedelta(minutes=minutes.start, seconds=1.5 * i) for i in range(count)]
    times = [f"{each:%Y-%m-%dT%H:%M:%S.%fZ}" for each in at]
    pd.DataFrame({"t": times, "y": 2 * a + rng.normal(size=count), "a": a}).to_csv(
        name, index=False
    )


@pytest.fixture
def run(job: Job, home: Path) -> Path:
    """A run of five minutes that has ended; all its models are kept."""
    (home / "schema.toml").write_text(SCHEMA)
    write("rows1.csv", range(5))
    job.ran(*WORDS, "--output", "o", "--keep", "0")
    return home / "o"


def acts(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "promotions.ndjson").read_text().splitlines()]


def serving(run: Path) -> str:
    """The name of the model that ``serve`` answers with."""
    models = Models(Store(str(run / "models")))
    models.look()
    assert models.current is not None
    return models.current.reference.name


def name(minute: int) -> str:
    return f"20240101T00{minute:02d}00Z"


def test_serve_and_a_run_that_goes_on_have_the_pinned_model_until_it_is_unpinned(
    job: Job, run: Path
) -> None:
    assert serving(run) == name(5)
    result = job.ran("models", "pin", "o", name(2), "--why", "the newest\nis odd")
    assert result.out == f"{name(2)} serves from 2024-01-01 00:05:00 on\n"
    [act] = acts(run)
    expected = {
        **{"format": 1, "what": "pin", "since": "2024-01-01T00:05:00Z", "from": name(5)},
        **{"to": name(2), "sha256": Store("o/models").manifest(name(2)).sha256},
        **{"why": "the newest is odd", "figures": None},
    }
    assert {key: value for key, value in act.items() if key != "when"} == expected
    assert serving(run) == name(2)
    write("rows2.csv", range(5, 7))
    job.ran(*WORDS, "--output", "o", "--resume")
    assert [one["model"] for one in metrics("o")][5:] == [name(2)] * 2
    job.ran("models", "unpin", "o")
    assert serving(run) == name(7)
    write("rows3.csv", range(7, 9))
    job.ran(*WORDS, "--output", "o", "--resume")
    served = [None, *map(name, (1, 2, 3, 4, 2, 2, 7, 8))]
    assert [one["model"] for one in metrics("o")] == served
    whole = content("o")
    for path in [*sorted(Path("o/metrics").glob("*.json"))[4:], Path("o/ended.json")]:
        path.unlink()  # the run is made again from there, by the same acts
    job.ran(*WORDS, "--output", "o", "--resume")
    assert content("o") == whole


def test_a_rollback_pins_the_model_before_the_one_that_serves(job: Job, run: Path) -> None:
    job.ran("models", "rollback", "o")
    job.ran("models", "rollback", "o")
    assert serving(run) == name(3)
    assert [(one["what"], one["from"], one["to"]) for one in acts(run)] == [
        ("rollback", name(5), name(4)),
        ("rollback", name(4), name(3)),
    ]


def test_retention_leaves_the_pinned_model(job: Job, run: Path) -> None:
    job.ran("models", "pin", "o", name(2))
    job.ran("models", "o", "--prune", "1")
    assert Store("o/models").names() == [name(2), name(5)]
    assert serving(run) == name(2)


def test_what_cannot_be_pinned_is_refused_in_one_line(job: Job, run: Path) -> None:
    assert "no model is pinned" in job.refused("models", "unpin", "o")
    assert f"{name(9)}: is not a model of" in job.refused("models", "pin", "o", name(9))
    assert "is not a model of" in job.refused("models", "pin", "o", "../secret")
    with (run / "models" / name(3) / "model.joblib").open("ab") as file:
        file.write(b"x")
    assert "cannot be pinned" in job.refused("models", "pin", "o", name(3))
    (run / "refused" / name(9)).mkdir(parents=True)
    (run / "models" / name(4)).rename(run / "refused" / name(4))
    assert "the gate refused it" in job.refused("models", "pin", "o", name(4))
    assert not (run / "promotions.ndjson").exists()


def test_a_model_whose_hash_is_not_that_of_the_pin_does_not_serve(job: Job, run: Path) -> None:
    job.ran("models", "pin", "o", name(2))
    manifest = run / "models" / name(2) / "manifest.json"
    data = run / "models" / name(2) / "model.joblib"
    for path in (manifest, data):  # another whole model in its place
        path.write_bytes((run / "models" / name(3) / path.name).read_bytes())
    text = manifest.read_text().replace("00:03:00Z", "00:02:00Z")
    manifest.write_text(text)
    models = Models(Store(str(run / "models")))
    [change] = models.look()
    assert models.current is None and change.refused is not None
    assert "is not the model that was pinned" in change.refused


HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"what": "pin"}',
    b'{"what":"pin","when":"2024-01-01T00:00:00Z","since":"2024-01-01T00:00:00Z",'
    b'"from":null,"to":"../../x","sha256":"' + b"0" * 64 + b'"}',
    b'{"what":"pin","when":"2024-01-01T00:00:00Z","since":"2024-01-01T00:00:00Z",'
    b'"from":null,"to":"20240101T000200Z","sha256":"x"}',
    b'{"what":"unpin","when":"1","since":null}',
    b'{"what":"unpin","when":"2024-01-01T00:00:00Z","since":"2024-01-01T00:00:00Z","from":null,'
    b'"why":"' + b"x" * 5_000 + b'"}',
    b"[" * 100_000,
]


def test_lines_that_are_not_acts_are_left_out_and_one_cut_short_costs_no_other(
    job: Job, run: Path
) -> None:
    job.ran("models", "pin", "o", name(2))
    [line] = (run / "promotions.ndjson").read_bytes().splitlines()
    (run / "promotions.ndjson").write_bytes(b"\n".join([*HOSTILE, line, *HOSTILE, line[:40]]))
    assert serving(run) == name(2)
    job.ran("models", "unpin", "o")  # behind the line that was cut short
    assert serving(run) == name(5)
    found = promotions.read(str(run / "promotions.ndjson"))
    assert [act.what for act in found] == ["pin", "unpin"]
