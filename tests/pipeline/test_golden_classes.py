"""Runs of classes that an older version wrote are opened and resumed; as ``test_golden_runs``.

``golden/kept_classes`` has the runs of two learners on ``rows.csv`` (90 rows of three minutes, two
classes, calibrated, a threshold by cost), as the program wrote them on 28 November 2026.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.kit.job import Job, content, metrics
from tests.pipeline.test_golden_runs import NEXT, row_means
from tests.pipeline.test_golden_runs import predictions as scored_predictions

KEPT = Path(__file__).parent / "golden" / "kept_classes"
OPTIONS = {"logistic": [], "forest": ["--learner-param", "n_estimators=3"]}
LAST = "20260101T000200Z"


@pytest.mark.parametrize("learner", OPTIONS)
def test_an_old_run_of_classes_is_resumed_and_its_models_predict_what_they_predicted(
    learner: str, home: Path, job: Job
) -> None:
    shutil.copytree(KEPT, home, dirs_exist_ok=True)
    whole, then, means = content(learner), predictions(learner), row_means(learner)
    assert set(then["prediction"]) <= {"sim, é", "não"} and len(then) == 60
    argv = ["--model", f"{learner}/models/{LAST}", "--input", "rows.csv", "--output", "o.csv"]
    job.ran("predict", *argv)
    mine = then[then["model"] == LAST]
    now = pd.read_csv("o.csv").set_index("row").loc[mine.index + 1]
    assert now["prediction"].tolist() == mine["prediction"].tolist()
    np.testing.assert_allclose(now["score"], mine["score"], rtol=1e-12)

    Path(learner, "metrics", f"{LAST}.json").unlink()
    Path(learner, "ended.json").unlink()
    shutil.rmtree(Path(learner, "predictions", LAST))
    argv = ["--input", "rows.csv", "--schema", "schema.toml", "--window", "60", "--min-rows", "1"]
    job.ran(*argv, "--learner", learner, *OPTIONS[learner], "--output", learner, "--resume")
    found = content(learner)
    for files in (whole, found):  # what is made anew may differ in its last digits elsewhere
        for name in list(files):
            if LAST in name or NEXT in name or name == "settings.json":
                del files[name]
    assert found == whole
    assert row_means(learner) == pytest.approx(means, rel=1e-12)
    pd.testing.assert_frame_equal(predictions(learner), then, rtol=1e-12)
    last, labelled = metrics(learner)[-1], mine.dropna(subset=["target"])
    right = labelled["prediction"] == labelled["target"]
    assert last["model"] == LAST and last["accuracy"] == pytest.approx(right.mean())


def predictions(run: str) -> pd.DataFrame:
    """As those of a regression, without the maps of probabilities."""
    return scored_predictions(run).drop(columns="probabilities")
