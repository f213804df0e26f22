"""models export: what it writes, what it prints, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
import pyarrow.parquet as pq
import pytest

from model.store import Store
from tests.kit.job import SMALL, Job


@pytest.fixture
def run(home: Path, job: Job) -> Path:
    """A small run."""
    job.ran(*SMALL, "--output", "o")
    return Path("o")


def test_a_joblib_file_predicts_the_runs_sample_as_the_model_does(run: Path, job: Job) -> None:
    printed = job.ran("models", "export", run, "newest", "--to", "m.joblib").out
    store = Store(str(run / "models"))
    name = store.names()[-1]
    assert printed.startswith(f"{name} -> m.joblib (")
    assert "greatest difference from the model's predictions of 1,000 rows of the sample" in printed
    sample = pq.read_table(sorted(run.glob("sample/*"))[-1]).to_pandas()
    features = ["idade", "idh", "estado", "cargo"]
    mine = store.load(name).predict_columns({name: sample[name] for name in features})
    made = joblib.load("m.joblib").predict(sample)
    np.testing.assert_allclose(made, mine, rtol=1e-12)  # a ridge: but for the last digit


def test_a_run_without_a_sample_is_exported_and_not_compared(home: Path, job: Job) -> None:
    job.ran(*SMALL, "--output", "o", "--predictions", "none")
    printed = job.ran("models", "export", "o", "newest", "--to", "m.joblib").out
    assert "not compared: the run has no sample" in printed
    assert Path("m.joblib").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("o", "newest"), "--to --mlflow"),
        (("o", "newest", "--to", "m.txt"), "--to m.txt: must end in .joblib or .onnx"),
        (
            ("o", "20200101T000000Z", "--to", "m.joblib"),
            "is not a model of o/models",
        ),
        (("nowhere", "newest", "--to", "m.joblib"), "nowhere"),
        (("o", "newest", "--to", "no/such/\0"), "must end in"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    argv: tuple[str, ...], message: str, run: Path, job: Job
) -> None:
    assert message in job.refused("models", "export", *argv)


def test_what_is_not_installed_is_named(
    run: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, options in (("mlflow", ("--mlflow", "http://x")), ("onnx", ("--to", "m.onnx"))):
        monkeypatch.setitem(sys.modules, package, None)
        refused = job.refused("models", "export", run, "newest", *options)
        assert "pip install" in refused and package in refused


def test_a_damaged_model_is_not_opened(run: Path, job: Job) -> None:
    [*_, newest] = sorted(run.glob("models/*/model.joblib"))
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    refused = job.refused("models", "export", run, "newest", "--to", "m.joblib")
    assert "it is not opened" in refused and not Path("m.joblib").exists()
