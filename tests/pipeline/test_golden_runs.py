"""Runs and models that an older version of the program wrote are opened, resumed and served.

``golden/kept`` has the runs of three learners on ``rows.csv`` (72 rows of three minutes), as the
program wrote them on 27 November 2026. They are not written anew: a change that cannot read them
breaks the runs of everybody. What those models predicted then stands in their predictions.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.kit.job import Job, content, metrics
from tests.kit.serve import client

KEPT = Path(__file__).parent / "golden" / "kept"
LEARNERS = ["ridge", "forest", "boosting"]
OPTIONS = {
    "ridge": [],
    "forest": ["--learner-param", "n_estimators=3"],
    "boosting": ["--learner-param", "max_iter=5"],
}
LAST = "20260101T000200Z"
"""The refresh that is taken away and made again."""
NEXT = "20260101T000300Z"
"""The model of its rows, which is fitted anew."""


def row_means(run: str) -> dict[str, float]:
    """The means of the numbers that the newest model was fitted to."""
    manifest = json.loads(Path(run, "models", NEXT, "manifest.json").read_text())
    columns = manifest["statistics"]
    return {name: found["mean"] for name, found in columns.items() if "mean" in found}


@pytest.fixture(params=LEARNERS)
def learner(request: pytest.FixtureRequest, home: Path) -> str:
    """A learner whose run, and the rows that it read, are copied into the empty folder."""
    shutil.copytree(KEPT, home, dirs_exist_ok=True)
    return str(request.param)


def predictions(run: str) -> pd.DataFrame:
    """The predictions of a run by row id, scored rows only."""
    found = pd.concat(map(pd.read_parquet, sorted(Path(run, "predictions").glob("*/*.parquet"))))
    return found.dropna(subset=["model"]).set_index("id").sort_index()


def test_an_old_model_predicts_what_it_predicted(learner: str, job: Job) -> None:
    then = predictions(learner)
    for name, rows in then.groupby("model"):
        argv = ["--model", f"{learner}/models/{name}", "--input", "rows.csv", "--output", "o.csv"]
        job.ran("predict", *argv)
        now = pd.read_csv("o.csv").set_index("row")["prediction"]
        found = now.loc[rows.index + 1].to_numpy()  # a row's id counts from 0, a file's row from 1
        np.testing.assert_allclose(found, rows["prediction"].to_numpy(), rtol=1e-12)


def test_an_old_run_is_resumed_and_ends_with_the_same_files(learner: str, job: Job) -> None:
    whole, kept, means = content(learner), predictions(learner), row_means(learner)
    Path(learner, "metrics", f"{LAST}.json").unlink()
    Path(learner, "ended.json").unlink()
    shutil.rmtree(Path(learner, "predictions", LAST))
    argv = ["--input", "rows.csv", "--schema", "schema.toml", "--window", "60", "--min-rows", "1"]
    argv += ["--learner", learner, *OPTIONS[learner]]
    job.ran(*argv, "--output", learner, "--resume")
    found = content(learner)
    for files in (whole, found):  # what is made anew may differ in its last digits elsewhere
        for name in list(files):
            if LAST in name or NEXT in name or name == "settings.json":
                del files[name]
    assert found == whole
    assert row_means(learner) == pytest.approx(means, rel=1e-12)
    pd.testing.assert_frame_equal(predictions(learner), kept, rtol=1e-12)
    last = metrics(learner)[-1]
    assert last["model"] == LAST
    errors = (kept["prediction"] - kept["target"])[kept["model"] == LAST].dropna().abs()
    assert last["mae"] == pytest.approx(errors.mean())


def test_an_old_run_is_served_and_answers_what_it_predicted(learner: str) -> None:
    then = predictions(learner).query("model == @LAST")
    rows = pd.read_csv("rows.csv")[["x", "c"]].loc[then.index]
    with client(learner) as api:
        listed = api.get("/models").json()
        answer = api.post("/predict", params={"model": LAST}, json=rows.to_dict("records")).json()
    assert LAST in str(listed)
    assert answer["predictions"] == pytest.approx(then["prediction"].to_list(), rel=1e-12)
