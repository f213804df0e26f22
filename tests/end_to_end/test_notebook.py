"""The example notebook runs from its first cell to its last, and says what the files say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from model.store import Store
from pipeline.__main__ import main
from tests.kit.job import ROOT, metrics, models

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
LAST = """
print(json.dumps({
    "maes": reports["mae"].tolist(), "rows": reports["rows"].tolist(), "error": error,
    "name": name, "people": people[list(artefact.schema.columns)].to_dict("list"),
    "predicted": people["prediction"].tolist(), "mae": mae, "baseline": baseline,
}, default=str))
"""
"""A cell more: what the notebook has found."""


RUNS = ROOT / "examples" / "run_notebook.ipynb"
RUNS_LAST = """
import json
print(json.dumps({"rows": reports["rows"].tolist(), "keys": predictions["key"].tolist(),
    "error": float((predictions["target"] - predictions["prediction"]).abs().mean())}))
"""
"""A cell more, of the notebook that runs the job."""


@pytest.mark.parametrize("path", [NOTEBOOK, RUNS])
def test_the_notebooks_are_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_the_notebook_reads_a_run_and_predicts_with_its_newest_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = ["--refreshes", "4", "--rate", "25", "--learner", "ridge", "--output", str(run)]
    assert main(argv) == 0
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST))
    client = NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=300,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    client.execute(env={**os.environ, "RUN": str(run)})
    assert_same(json.loads(output_of(notebook.cells[-1])), run)
    kinds = [set(output.get("data", ())) for cell in notebook.cells for output in outputs(cell)]
    assert any("image/png" in kind for kind in kinds)
    assert any("text/html" in kind for kind in kinds)  # tables


@pytest.mark.slow
def test_a_notebook_runs_the_job_and_a_pipeline_of_beams(tmp_path: Path) -> None:
    notebook = nbformat.read(RUNS, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(RUNS_LAST))
    client = NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=300,
        resources={"metadata": {"path": str(NOTEBOOK.parents[1])}},
    )
    client.execute(env={**os.environ, "OUTPUT": str(tmp_path / "run")})
    found = json.loads(output_of(notebook.cells[-1]))
    assert found["rows"] == [60] * 6
    assert sorted(found["keys"]) == sorted(f"gauge-{second}" for second in range(360))
    assert found["error"] < 0.01
    shown = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    texts = [out.get("text") or out["data"].get("text/plain", "") for out in shown]
    assert "360 rows read" in "".join(texts)  # rich shows it as what a cell displays
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "done"


def outputs(cell: Any) -> list[Any]:
    """What a cell has shown; it must not have warned."""
    shown: list[Any] = cell.get("outputs", [])
    assert not [output for output in shown if output.get("name") == "stderr"], shown
    return shown


def output_of(cell: Any) -> str:
    """What a cell has printed."""
    return "".join(output["text"] for output in outputs(cell))


def assert_same(found: dict[str, Any], run: Path) -> None:
    """Asserts that the notebook found what the run's files say."""
    reports = metrics(run)
    assert found["rows"] == [report["rows"] for report in reports]
    assert found["maes"][1:] == [report["mae"] for report in reports[1:]]
    assert np.isnan(found["maes"][0]) and reports[0]["mae"] is None
    assert found["error"] == pytest.approx(reports[-1]["mae"], rel=1e-9)
    assert found["name"] == max(models(run))
    artefact = Store(str(run / "models")).load(found["name"])
    assert artefact.predict_columns(found["people"]).tolist() == found["predicted"]
    salaries = np.array(found["people"]["salario"])
    assert len(salaries) == 1000
    mean = models(run)[found["name"]]["statistics"]["salario"]["mean"]
    assert found["mae"] == pytest.approx(np.abs(found["predicted"] - salaries).mean())
    assert found["baseline"] == pytest.approx(np.abs(mean - salaries).mean())
    assert found["mae"] < 0.6 * found["baseline"]
