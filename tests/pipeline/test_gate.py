"""Runs in which the gate refuses models: the newest accepted one serves, whatever happens."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from model.manifest import ClassTrial
from model.store import Store
from pipeline import backtest
from tests.kit.job import Job, content, metrics, models

BEGIN = datetime(2024, 1, 1, tzinfo=timezone.utc)
SCHEMA = 'name = "s"\ntime = "t"\ntarget = "y"\n[features]\nnumeric = ["a", "b"]\n'
WORDS = ("--input", "rows.csv", "--schema", "schema.toml", "--window", "60", "--learner", "ridge")
SHUFFLED, FEW = (0, 3, 4), 6
"""Minutes whose targets are shuffled, and the one of three rows."""
SERVED = [None, None, "02", "03", "03", "03", "06", "06", "08"]
"""Which window's model, by the minute of its end, serves in each minute."""
ODD = """\
import numpy as np
from sklearn.linear_model import Ridge

class Odd(Ridge):  # in every third minute, which begins with a target over 1,000
    def fit(self, matrix, target):
        super().fit(matrix, target)
        if target[0] > 1000:
            self.coef_ = self.coef_ * np.nan
        return self

    def predict(self, matrix):
        return np.nan_to_num(matrix @ self.coef_ + self.intercept_)
"""


def rows(rate: int = 400) -> pd.DataFrame:
    """Rows of nine minutes, y = 3 a - b + noise; of some minutes the targets are shuffled."""
    rng = np.random.default_rng(3)
    frames = []
    for minute in range(9):
        count = 3 if minute == FEW else rate
        a, b = rng.normal(size=(2, count))
        y = 3 * a - b + rng.normal(size=count)
        if minute in SHUFFLED:
            y = rng.permutation(y)
        at = [BEGIN + timedelta(minutes=minute, seconds=60 * i / count) for i in range(count)]
        times = [f"{each:%Y-%m-%dT%H:%M:%S.%fZ}" for each in at]
        frames.append(pd.DataFrame({"t": times, "y": y, "a": a, "b": b}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def frame(request: pytest.FixtureRequest, home: Path) -> pd.DataFrame:
    """The rows, which are written: so many a minute that windows are fitted by moments."""
    (home / "schema.toml").write_text(SCHEMA)
    found = rows(getattr(request, "param", 1_200))
    found.to_csv("rows.csv", index=False)
    return found


def serving(folder: str) -> list[str | None]:
    """The minute of the end of the window whose model served in each refresh."""
    return [None if one["model"] is None else one["model"][11:13] for one in metrics(folder)]


def skips(folder: str) -> dict[str, str]:
    """The kind of each window without a model that serves, by the minute of its end."""
    found = map(
        json.loads, (path.read_bytes() for path in sorted(Path(folder, "skipped").iterdir()))
    )
    return {one["window_end"][14:16]: one["kind"] for one in found}


def predictions_by_sklearn(frame: pd.DataFrame) -> pd.Series:
    """Each row's prediction by a ridge of the newest window without trouble, or NaN."""
    minutes = pd.to_datetime(frame.t).dt.minute
    found = pd.Series(np.nan, frame.index)
    for minute, end in enumerate(SERVED):
        if end is not None:
            window, now = frame[minutes == int(end) - 1], frame[minutes == minute]
            mean, scale = window[["a", "b"]].mean(), window[["a", "b"]].std(ddof=0)
            fitted = Ridge().fit(((window[["a", "b"]] - mean) / scale).to_numpy(), window.y)
            found[now.index] = fitted.predict(((now[["a", "b"]] - mean) / scale).to_numpy())
    return found


@pytest.mark.parametrize("frame", [400, 1_200], indirect=True)  # fitted by rows, by moments
def test_rows_after_a_bad_window_are_scored_by_the_newest_accepted_model(
    job: Job, frame: pd.DataFrame
) -> None:
    result = job.ran(*WORDS, "--output", "o", "--keep", "0")
    assert serving("o") == SERVED
    assert skips("o") == {"01": "refused", "04": "refused", "05": "refused", "07": "few_rows"}
    assert [name[11:13] for name in models("o")] == ["02", "03", "06", "08", "09"]
    table = pd.concat(map(pd.read_parquet, sorted(Path("o/predictions").glob("*/*.parquet"))))
    expected = predictions_by_sklearn(frame)
    found = table.set_index("id").sort_index()["prediction"].to_numpy(dtype=float)
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=1e-9)
    refused = Store("o/refused")
    assert [name[11:13] for name in refused.names()] == ["01", "04", "05"]
    for name in refused.names():
        refused.read_verified(name)
        gate = refused.manifest(name).gate
        assert gate is not None and not gate.accepted and gate.trial is not None
    accepted = Store("o/models").manifest("20240101T000200Z").gate
    assert accepted is not None and accepted.accepted and accepted.trial is not None
    assert accepted.trial.rows == int((pd.to_datetime(frame.t).dt.minute == 1).sum())
    acts = [json.loads(line) for line in Path("o/promotions.ndjson").read_text().splitlines()]
    assert [(act["what"], act["to"], act["sha256"]) for act in acts] == [
        ("refused", name, refused.manifest(name).sha256) for name in refused.names()
    ]
    assert all(act["figures"]["z"] < 3 and "in a trial of" in act["why"] for act in acts)
    assert (
        "3 models refused by the gate; an older accepted one serves instead, if there is one"
        in result.out
    )


def test_retention_never_takes_the_newest_accepted_model(job: Job, frame: pd.DataFrame) -> None:
    job.ran(*WORDS, "--output", "o", "--keep", "1")
    assert serving("o") == SERVED
    assert [name[11:13] for name in models("o")] == ["08", "09"]
    assert [name[11:13] for name in Store("o/refused").names()] == ["05"]


def test_a_resumed_run_refuses_the_same_models(job: Job, frame: pd.DataFrame) -> None:
    argv = (*WORDS, "--output", "o", "--keep", "0")
    job.ran(*argv)
    whole = content("o")
    refused = "refused/20240101T000400Z/*.json"
    for lost in ("metrics/*T000[4-7]00Z.json", "skipped/*T000[4-7]*", refused, "ended.json"):
        for path in Path("o").glob(lost):
            path.unlink()
    job.ran(*argv, "--resume")
    assert content("o") == whole
    settings = json.loads(Path("o/settings.json").read_text())
    assert settings["gate"] == "auto"
    assert "--gate" in job.refused(*argv, "--resume", "--gate", "none")


def test_without_a_gate_every_model_serves_and_no_file_speaks_of_one(
    job: Job, frame: pd.DataFrame
) -> None:
    job.ran(*WORDS, "--output", "o", "--gate", "none")
    assert serving("o") == [None, "01", "02", "03", "04", "05", "06", "06", "08"]
    assert skips("o") == {"07": "few_rows"} and not Path("o/refused").exists()
    assert all("gate" not in manifest for manifest in models("o").values())
    settings = json.loads(Path("o/settings.json").read_text())
    del settings["gate"]  # as an older version wrote it
    Path("o/settings.json").write_text(json.dumps(settings))
    whole = content("o")
    Path("o/metrics/20240101T000500Z.json").unlink()
    job.ran(*WORDS, "--output", "o", "--resume")
    assert {**content("o"), "settings.json": ""} == {**whole, "settings.json": ""}


def test_a_learner_of_parameters_that_are_not_finite_does_not_serve(job: Job, home: Path) -> None:
    (home / "schema.toml").write_text(SCHEMA)
    (home / "my_odd.py").write_text(ODD)
    frame = rows(60)
    minutes = pd.to_datetime(frame.t).dt.minute
    frame.loc[frame.groupby(minutes).head(1).index[1::3], "y"] = 5000.0
    frame.to_csv("rows.csv", index=False)
    job.ran(*WORDS[:-1], "my_odd:Odd", "--output", "o")
    assert serving("o") == [None, "01", "01", "03", "04", "04", "06", "06", "06"]
    reasons = [json.loads(path.read_bytes()) for path in sorted(Path("o/skipped").glob("*.json"))]
    assert {one["reason"] for one in reasons if one["kind"] == "refused"} == {
        "its coef_ is not finite"
    }


def test_a_backtest_refuses_what_the_job_refuses(job: Job, frame: pd.DataFrame) -> None:
    job.ran(*WORDS, "--output", "o")
    found: Any = backtest(frame, "schema.toml", window="1m", learner="ridge", progress=False)
    kinds = {one.window_end[14:16]: one.kind for one in found.skipped}
    assert kinds == skips("o")


def test_models_of_classes_have_a_trial_too(job: Job, home: Path) -> None:
    frame = rows(400)
    frame["y"] = np.where(frame["y"] > 1, "yes", "no")
    frame.to_csv("rows.csv", index=False)
    schema = 'task = "classification"\n' + SCHEMA
    (home / "schema.toml").write_text(schema)
    words = (*WORDS[:-1], "logistic", "--output", "o", "--keep", "0")
    job.ran(*words)
    assert serving("o") == SERVED
    assert skips("o") == {"01": "refused", "04": "refused", "05": "refused", "07": "few_rows"}
    refused = Store("o/refused").manifest("20240101T000400Z").gate
    accepted = Store("o/models").manifest("20240101T000200Z").gate
    assert refused is not None and isinstance(refused.trial, ClassTrial)
    assert accepted is not None and isinstance(accepted.trial, ClassTrial)
    assert accepted.trial.log_loss < accepted.trial.shares_log_loss and accepted.trial.z > 3
    acts = [json.loads(line) for line in Path("o/promotions.ndjson").read_text().splitlines()]
    assert [act["figures"]["z"] < 3 for act in acts] == [True] * 3
    found: Any = backtest(frame, "schema.toml", window="1m", learner="logistic", progress=False)
    assert {one.window_end[14:16]: one.kind for one in found.skipped} == skips("o")
    first = Store("o/refused").manifest("20240101T000100Z").gate
    assert first is not None and found.skipped[0].trial == first.trial
