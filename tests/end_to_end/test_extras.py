"""Learners, formats and registries that are not needed: make learners, make mlflow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.end_to_end.extras import learners_path, mlflow_bin, variables
from tests.kit.ports import find_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SCHEMA = """\
name = "hours"
time = "at"
target = "y"
[features]
numeric = ["x", "z"]
categorical = ["c"]
"""
LIGHTGBM = ("lightgbm:LGBMRegressor", "n_estimators=20", "verbosity=-1")
LEARNERS = [
    LIGHTGBM,
    ("xgboost:XGBRegressor", "n_estimators=20"),
    ("model.online:river", "model=linear_model.LinearRegression"),
    ("model.online:river", "model=ensemble.SRPRegressor", "n_models=2"),
]


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 24 * 40
    made = pd.DataFrame(
        {
            "at": pd.date_range("2025-01-02", periods=rows, freq="h", tz="UTC"),
            "x": rng.normal(size=rows),
            "z": 100 + 10 * rng.normal(size=rows),
            "c": rng.choice(["a", "b", "ç"], rows),
        }
    )
    made["y"] = 2 * made.x + made.z + (made.c == "a") * 3 + rng.normal(size=rows)
    made.loc[::7, "x"] = np.nan
    made.loc[::9, "c"] = None
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the rows and their schema are."""
    made = tmp_path_factory.mktemp("extras")
    frame().to_parquet(made / "rows.parquet", index=False)
    (made / "s.toml").write_text(SCHEMA)
    return made


def run_job(folder: Path, name: str, seed: str, learner: str, *parameters: str) -> Path:
    """A run by the command line in a process of its own."""
    argv = [sys.executable, "-m", "pipeline", "--input", "rows.parquet", "--schema", "s.toml"]
    argv += ["--window", "10d", "--every", "5d", "--output", name, "--learner", learner]
    argv += [word for parameter in parameters for word in ("--learner-param", parameter)]
    env = {**variables(learners_path()), "PYTHONHASHSEED": seed}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / name


@pytest.mark.parametrize("learner", LEARNERS, ids=["lightgbm", "xgboost", "river", "river-srp"])
def test_a_learner_by_name_has_the_same_digits_in_each_process_and_in_a_backtest(
    learner: tuple[str, ...], folder: Path
) -> None:
    name = f"{learner[0].partition(':')[0]}{len(learner)}".replace(".", "-")
    runs = [run_job(folder, f"{name}-{seed}", seed, *learner) for seed in ("1", "2")]
    written = [
        {path.relative_to(run): path.read_bytes() for path in sorted(run.glob("models/*/*"))}
        for run in runs
    ]
    assert written[0] == written[1] and len(written[0]) >= 6
    call = f"{learner[0]}({', '.join(learner[1:])})"
    code = (
        "import pandas as pd, sys\nfrom pipeline import backtest\n"
        "found = backtest(pd.read_parquet('rows.parquet'), 's.toml', window='10d', every='5d',"
        f" learner={call!r})\n"
        "print(*(m.manifest.sha256 for m in found.models.values()))\n"
    )
    env = variables(learners_path())
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=True)
    manifests = sorted(runs[0].glob("models/*/manifest.json"))
    assert done.stdout.split() == [json.loads(m.read_text())["sha256"] for m in manifests]


def test_polars_frames_are_backtested(folder: Path) -> None:
    code = (
        "import pandas as pd, polars as pl\nfrom pipeline import backtest\n"
        "rows = pd.read_parquet('rows.parquet')\n"
        "known = backtest(rows, 's.toml', window='10d', learner='ridge').predictions\n"
        "for other in (pl.from_pandas(rows), pl.read_parquet('rows.parquet')):\n"
        "    found = backtest(other, 's.toml', window='10d', learner='ridge', progress=True)\n"
        "    assert found.predictions == known\n"
    )
    env = variables(learners_path())
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, check=True)


ONNX_TOLERANCE = {"ridge": 1e-12, "forest": 1e-5, "boosting": 1e-5}


@pytest.mark.parametrize("learner", ONNX_TOLERANCE)
def test_an_onnx_graph_predicts_nearly_the_same(learner: str, folder: Path) -> None:
    parameters = {"ridge": (), "forest": ("n_estimators=5",), "boosting": ("max_iter=10",)}
    run = run_job(folder, f"onnx-{learner}", "0", learner, *parameters[learner])
    argv = [sys.executable, "-m", "pipeline", "models", "export", run.name, "newest"]
    env = variables(learners_path())
    done = subprocess.run(
        [*argv, "--to", f"{learner}.onnx"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "greatest difference from the model's predictions of 120 rows" in done.stdout
    code = (
        "import numpy as np, onnxruntime as ort, pandas as pd\n"
        "from model.store import Store\n"
        "rows = pd.read_parquet('rows.parquet')\n"
        f"session = ort.InferenceSession('{learner}.onnx')\n"
        "feeds = {n: rows[[n]].to_numpy(np.float64) for n in ('x', 'z')}\n"
        "feeds['c'] = rows[['c']].fillna('').to_numpy(object)\n"
        "[made] = session.run(['prediction'], feeds)\n"
        f"store = Store('onnx-{learner}/models')\n"
        "mine = store.load(store.names()[-1]).predict_columns({n: rows[n] for n in 'xzc'})\n"
        "print(np.abs(made.ravel() - mine).max() / np.abs(mine).mean())\n"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert float(done.stdout) < ONNX_TOLERANCE[learner]


CLASSIFIERS = """\
import numpy as np, onnxruntime as ort, pandas as pd
from monitor.exporting.to_onnx import to_onnx
from pipeline import backtest

rows = pd.read_parquet('rows.parquet')
steep = rows['z'] - 100 + 5 * (rows['c'] == 'a')
rows['two'] = np.where(steep > 4, 'sim, é', 'não')
rows['one'] = 'não'  # models of shares
rows['three'] = np.where(steep > 9, 10, np.where(steep > 0, -3, 9))
columns = {n: rows[n].tolist() for n in 'xzc'}
feeds = {n: rows[[n]].to_numpy(np.float64) for n in ('x', 'z')}
feeds['c'] = rows[['c']].fillna('').to_numpy(object)
costs = {'positive': 'sim, é', 'costs': {'fp': 1, 'fn': 9}}
for target, calibration, learner, more in (
    ('two', 'none', 'logistic', {'positive': 'não'}),
    ('two', 'isotonic', 'forest(n_estimators=5)', costs),
    ('two', 'sigmoid', 'boosting(max_iter=5)', {}),
    ('three', 'isotonic', 'logistic', {'classes': ['7', '10', '9', '-3']}),
    ('three', 'sigmoid', 'forest(n_estimators=5)', {}),
    ('one', 'none', 'logistic', {}),
    ('one', 'none', 'forest', {'classes': ['sim, é', 'não'], 'positive': 'sim, é'}),
):
    schema = {'name': 's', 'time': 'at', 'target': target, 'task': 'classification', **more}
    features = {'numeric': ['x', 'z'], 'categorical': ['c']}
    schema |= {'calibration': calibration, 'features': features}
    some = rows[['at', 'x', 'z', 'c', target]]
    found = backtest(some, schema, window='20d', learner=learner, gate='none', progress=False)
    artefact = found.models.newest.artefact
    assert (artefact.decision.calibrator is None) == (calibration == 'none')
    session = ort.InferenceSession(to_onnx(artefact))
    predicted, probabilities = session.run(['prediction', 'probabilities'], feeds)
    assert session.get_modelmeta().custom_metadata_map['classes'].startswith('[')
    mine = artefact.classify_columns(columns)
    assert predicted[:, 0].tolist() == mine.names.to_pylist()
    far = np.abs(probabilities - mine.probabilities).max()
    assert far < (1e-12 if learner == 'logistic' else 1e-5), (target, calibration, learner, far)
"""


def test_an_onnx_graph_of_a_classifier_has_its_classes_and_calibrated_probabilities(
    folder: Path,
) -> None:
    argv = [sys.executable, "-c", CLASSIFIERS]
    env = variables(learners_path())
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_onnx_cannot_hold_is_refused_in_a_line(folder: Path) -> None:
    run = run_job(folder, "onnx-lightgbm", "0", *LIGHTGBM)
    argv = [sys.executable, "-m", "pipeline", "models", "export", run.name, "newest"]
    done = subprocess.run(
        [*argv, "--to", "no.onnx"],
        cwd=folder,
        env=variables(learners_path()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: LGBMRegressor cannot be converted to ONNX: ")
    assert done.stderr.count("\n") == 1 and not (folder / "no.onnx").exists()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with an empty registry."""
    home = tmp_path_factory.mktemp("mlflow")
    port = find_port()
    argv = [str(mlflow_bin() / "python"), "-m", "mlflow", "server", "--workers", "1"]
    argv += ["--port", str(port)]
    argv += ["--backend-store-uri", f"sqlite:///{home}/registry.db"]
    argv += ["--artifacts-destination", str(home / "artifacts")]
    env = {**variables(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(argv, cwd=home, env=env, stdout=log, stderr=log)
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=60).close()
                break
            except OSError:
                assert server.poll() is None, (home / "log").read_text()
                time.sleep(0.5)
        yield uri
    finally:
        server.terminate()
        server.wait(300)


def test_an_mlflow_registry_has_the_model_its_figures_and_its_hash(
    registry: str, folder: Path
) -> None:
    job = [str(mlflow_bin() / "python"), "-m", "pipeline"]
    options = ["--input", "rows.parquet", "--schema", "s.toml", "--window", "10d"]
    env = {**variables(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    kept: dict[str, Any] = {"cwd": folder, "env": env, "capture_output": True, "text": True}
    subprocess.run([*job, *options, "--learner", "ridge", "--output", "reg"], check=True, **kept)
    names = sorted(path.name for path in (folder / "reg" / "models").iterdir())
    for number, name in enumerate(names[-2:], 1):
        export = [*job, "models", "export", "reg", name, "--mlflow", registry]
        done = subprocess.run(export, check=True, **kept)
        assert f"{name} -> hours version {number} in {registry}" in done.stdout
    code = (
        "import json, mlflow, sys, pandas as pd\n"
        f"mlflow.set_tracking_uri({registry!r})\n"
        "client = mlflow.MlflowClient()\n"
        "found = client.get_model_version('hours', '1')\n"
        "run = client.get_run(found.run_id)\n"
        "model = mlflow.sklearn.load_model('models:/hours/1')\n"
        "rows = pd.read_parquet('rows.parquet')\n"
        "made = [float(v) for v in model.predict(rows[['x', 'z', 'c']])]\n"
        "print(json.dumps([found.tags, run.data.metrics, run.data.params, made]))\n"
    )
    done = subprocess.run([job[0], "-c", code], check=True, **kept)
    tags, metrics, params, made = json.loads(done.stdout.splitlines()[-1])
    manifest = json.loads((folder / "reg" / "models" / names[-2] / "manifest.json").read_text())
    assert tags["sha256"] == manifest["sha256"]
    assert tags["window_end"] == manifest["window_end"]
    assert metrics["training_mae"] == pytest.approx(manifest["training"]["mae"])
    assert params["learner"] == "ridge" and params["alpha"] == "1.0"
    [served] = [
        report
        for path in (folder / "reg" / "metrics").iterdir()
        if (report := json.loads(path.read_text()))["model"] == names[-2]
    ]
    assert metrics["mae"] == pytest.approx(served["mae"])
    code = (
        "import json, pandas as pd\nfrom model.store import Store\n"
        "rows = pd.read_parquet('rows.parquet')\n"
        f"model = Store('reg/models').load({names[-2]!r})\n"
        "print(json.dumps(model.predict_columns({n: rows[n] for n in 'xzc'}).tolist()))\n"
    )
    done = subprocess.run([job[0], "-c", code], check=True, **kept)
    assert json.loads(done.stdout) == pytest.approx(made, rel=1e-12)
