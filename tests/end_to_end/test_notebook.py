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
from tests.pipeline.job import ROOT, metrics, models

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
LAST = """
print(json.dumps({
    "maes": reports["mae"].tolist(), "rows": reports["rows"].tolist(), "error": error,
    "name": name, "people": people[list(artefact.schema.columns)].to_dict("list"),
    "predicted": people["prediction"].tolist(), "mae": mae, "baseline": baseline,
}, default=str))
"""
"""A cell more: what the notebook has found."""


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_the_notebook_reads_a_run_and_predicts_with_its_newest_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--windows", "4", "--rate", "25", "--learner", "ridge", "--output", str(run)]
    assert main(words) == 0
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST))
    client = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute(env={**os.environ, "RUN": str(run)})
    assert_same(json.loads(printed(notebook.cells[-1])), run)
    kinds = [set(output.get("data", ())) for cell in notebook.cells for output in outputs(cell)]
    assert any("image/png" in kind for kind in kinds)
    assert any("text/html" in kind for kind in kinds)  # tables


def outputs(cell: Any) -> list[Any]:
    """What a cell has shown; it must not have warned."""
    shown: list[Any] = cell.get("outputs", [])
    assert not [output for output in shown if output.get("name") == "stderr"], shown
    return shown


def printed(cell: Any) -> str:
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
