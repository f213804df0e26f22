"""``python -m pipeline models export``: a run's model for other programs.

It becomes a plain scikit-learn pipeline (``.joblib``), an ONNX graph (``.onnx``), or a version in
an MLflow registry. A file is compared with the model on the rows of the run's newest sample.
"""

from __future__ import annotations

import importlib
import io
import os
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from model import files
from model.arrays import Matrix
from model.artefact import Artefact
from model.classes.decision import Decision
from model.errors import UserError
from model.manifest import Manifest
from model.runs import RunFolder
from model.schema import Schema
from model.store import DamagedArtefact, Store
from model.wording import first_line, format_count
from monitor.commandline import Parser
from monitor.console import consoles
from monitor.exporting import to_onnx, to_pipeline

NEWEST = "newest"
EXAMPLES = """\
examples:
  python -m pipeline models export runs/latest newest --to model.joblib
  python -m pipeline models export runs/latest 20260101T001200Z --to model.onnx
  python -m pipeline models export runs/latest newest --mlflow http://localhost:5000

model.joblib holds a Pipeline of scikit-learn: joblib.load and predict, with a pandas frame of the
features, need nothing of this project. A folder that is called export: ./export.
"""


def parser() -> Parser:
    """The parser of ``python -m pipeline models export``."""
    made = Parser(
        prog="python -m pipeline models export",
        description="A run's model as a scikit-learn pipeline, as ONNX, or in an MLflow registry.",
        epilog=EXAMPLES,
    )
    made.add_folder()
    made.add_argument("name", help=f"a model's name, or {NEWEST}", metavar="NAME")
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", metavar="FILE", help="a file that ends in .joblib or .onnx")
    what.add_argument("--mlflow", metavar="URI", help="an MLflow server, as http://localhost:5000")
    made.add_argument(
        "--registered-name", metavar="NAME", help="in the registry (the name of the schema)"
    )
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        UserError: for a model that is not there or cannot be exported, or a missing package.
    """
    given = parser().parse_args(argv)
    folder = RunFolder(given.folder)
    folder.check()
    folder.read_settings()
    store = Store(folder.models)
    name = _find(store, given.name)
    try:
        artefact, manifest = store.load(name), store.manifest(name)
    except DamagedArtefact as error:
        raise UserError(str(error)) from error
    out, _ = consoles()
    if given.mlflow is not None:
        registered = given.registered_name or artefact.schema.name
        out.print(
            register(artefact, manifest, name, folder, given.mlflow, registered), soft_wrap=True
        )
        _print_notes(artefact, out)
        return 0
    data, predict = convert(artefact, given.to)
    try:
        files.write_whole(given.to, data)
    except OSError as error:
        raise UserError(f"--to {given.to}: cannot be written: {error.strerror}") from error
    out.print(f"{name} -> {given.to} ({len(data):,} bytes)", soft_wrap=True)
    whole = given.to.lower().endswith(".onnx")  # with calibration and threshold
    out.print(compare(artefact, folder, predict, calibrated=whole), soft_wrap=True)
    _print_notes(artefact, out, decides=whole)
    return 0


def describe_calendar(schema: Schema) -> str:
    """A line on the inputs of an export that are computed from columns of times.

    Example:
        >>> from model.schema import Features
        >>> features = Features(calendar={"t": ["hour"]})
        >>> print(describe_calendar(Schema(name="s", time="t", target="y", features=features)))
        its inputs t_hour are calendar features, to be computed from t in UTC (docs/export.md)
    """
    names, sources = ", ".join(schema.calendar_columns), ", ".join(schema.calendar_sources)
    zone = schema.time_zone or "UTC"
    return (
        f"its inputs {names} are calendar features, to be computed from {sources} in {zone} "
        "(docs/export.md)"
    )


def describe_decision(decision: Decision, method: str) -> str:
    """A line on what of a classifier's predictions an export leaves to its user; empty if nothing.

    Example:
        >>> decision = Decision(("no", "yes"), (0, 1), np.array([0.9, 0.1]), 1, 0.05)
        >>> print(describe_decision(decision, "none"))
        the positive yes is to be predicted where its probability is above 0.05 (docs/export.md)
    """
    lines = []
    if decision.calibrator is not None:
        lines.append(f"its probabilities are those before calibration ({method})")
    if decision.positive is not None and decision.threshold not in (None, 0.5):
        name = decision.classes[decision.positive]
        lines.append(
            f"the positive {name} is to be predicted where its probability is above "
            f"{decision.threshold:g}"
        )
    return f"{'; '.join(lines)} (docs/export.md)" if lines else ""


def _print_notes(artefact: Artefact, out: Console, decides: bool = False) -> None:
    schema = artefact.schema
    if schema.calendar:
        out.print(describe_calendar(schema), soft_wrap=True)
    if artefact.decision is not None and not decides:
        line = describe_decision(artefact.decision, schema.calibration)
        if line:
            out.print(line, soft_wrap=True, markup=False)


def _find(store: Store, name: str) -> str:
    names = store.names()
    if name == NEWEST and names:
        return names[-1]
    return store.find(name)


def convert(
    artefact: Artefact, path: str
) -> tuple[bytes, Callable[[dict[str, list[Any]]], Matrix]]:
    """A model in the format of a file's ending, and what predicts columns by it.

    Raises:
        UserError: for another ending; as ``to_onnx``.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending == ".onnx":
        graph = to_onnx.to_onnx(artefact)
        if artefact.decision is not None:
            return graph, lambda columns: to_onnx.run_onnx_classes(graph, columns)[1].ravel()
        return graph, lambda columns: to_onnx.run_onnx(graph, columns)
    if ending != ".joblib":
        raise UserError(f"--to {path}: must end in .joblib or .onnx")
    pipeline = to_pipeline.to_pipeline(artefact)
    buffer = io.BytesIO()
    joblib.dump(pipeline, buffer)
    if artefact.decision is not None:
        places = list(artefact.decision.columns)
        return buffer.getvalue(), lambda columns: _predict_classes(pipeline, columns, places)
    return buffer.getvalue(), lambda columns: _predict(pipeline, columns)


def _predict_classes(pipeline: Any, columns: dict[str, list[Any]], places: list[int]) -> Matrix:
    """The probabilities of a pipeline's classes, before calibration, of all rows in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the matrix has no names
        found = pipeline.predict_proba(_object_matrix(columns))
    return np.asarray(found[:, np.argsort(places)], dtype=np.float64).ravel()


def _own_probabilities(
    artefact: Artefact, columns: dict[str, list[Any]], calibrated: bool
) -> Matrix:
    assert artefact.decision is not None
    made = artefact.classify_columns(columns)
    if calibrated:
        return made.probabilities.ravel()
    raw = made.probabilities if made.raw is None else made.raw
    return raw[:, sorted(artefact.decision.columns)].ravel()


def _object_matrix(columns: dict[str, list[Any]]) -> Any:
    matrix = np.empty((len(next(iter(columns.values()))), len(columns)), dtype=object)
    for place, values in enumerate(columns.values()):
        matrix[:, place] = [np.nan if value is None else value for value in values]
    return matrix


def _predict(pipeline: Any, columns: dict[str, list[Any]]) -> Matrix:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the matrix has no names
        return np.asarray(pipeline.predict(_object_matrix(columns)), dtype=np.float64).reshape(-1)


def compare(
    artefact: Artefact,
    folder: RunFolder,
    predict: Callable[[dict[str, list[Any]]], Matrix],
    calibrated: bool = False,
) -> str:
    """A line on how far predictions of a run's newest sample differ from the model's own.

    Args:
        artefact: the model.
        folder: the run's.
        predict: the exported one: predictions, or a classifier's probabilities, rows in one line.
        calibrated: whether these are calibrated where the model's are, of all its classes.
    """
    rows = read_sample(folder)
    if rows is None:
        return "not compared: the run has no sample (--predictions none)"
    names = (*artefact.schema.numeric, *artefact.schema.categorical)
    columns = {name: rows.column(name).to_pylist() for name in names}
    if artefact.decision is None:
        mine = artefact.predict_columns(columns)
    else:
        mine = _own_probabilities(artefact, columns, calibrated)
    differences = np.abs(predict(columns) - mine)
    most = float(differences.max())
    share = f" ({most / scale:.1e} of their mean size)" if (scale := np.abs(mine).mean()) else ""
    number = format_count(rows.num_rows, "row")
    text = "none" if most == 0 else f"{most:.3g}{share}"
    return f"greatest difference from the model's predictions of {number} of the sample: {text}"


def read_sample(folder: RunFolder) -> pa.Table | None:
    """A run's newest sample; None if it has none."""
    found = files.list_files(folder.sample, "*.parquet")
    return pq.read_table(io.BytesIO(files.read_whole(found[-1]))) if found else None


def figures(folder: RunFolder, name: str, manifest: Manifest) -> dict[str, float]:
    """What MLflow is to show of a model: how it fits its window, and how it served.

    The figures of serving are those of the last refresh that it predicted.
    """
    found = {f"training_{key}": value for key, value in manifest.training.model_dump().items()}
    found["training_rows"] = manifest.rows
    served = [report for report in folder.reports() if report.model == name]
    if served:
        last = served[-1]
        for key in ("mae", "rmse", "r2", "baseline_mae", "skill", "scored"):
            found[key] = getattr(last, key, None)
    return {key: float(value) for key, value in found.items() if value is not None}


def register(
    artefact: Artefact,
    manifest: Manifest,
    name: str,
    folder: RunFolder,
    uri: str,
    registered: str,
) -> str:
    """Writes a model into an MLflow registry, as a scikit-learn pipeline.

    The run in MLflow has the figures, the parameters and ``manifest.json``; the model's version has
    the tags ``sha256``, ``window_start``, ``window_end``, ``correnteza_run`` and
    ``correnteza_model``.

    Args:
        artefact: the model.
        manifest: what is known of it.
        name: what it is called in its run.
        folder: the run's.
        uri: of the server.
        registered: the model's name in the registry.

    Returns:
        A line on what was written.

    Raises:
        UserError: if mlflow is not installed, or the server refuses or cannot be reached.
    """
    try:
        mlflow = importlib.import_module("mlflow")
        importlib.import_module("mlflow.sklearn")
    except ImportError as error:
        raise UserError(f"--mlflow needs mlflow: pip install mlflow ({error})") from error
    tags = {
        "sha256": manifest.sha256,
        "window_start": manifest.window_start,
        "window_end": manifest.window_end,
        "correnteza_run": folder.path,
        "correnteza_model": name,
    }
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        mlflow.set_experiment(registered)
        with mlflow.start_run(run_name=name, tags=tags):
            mlflow.log_params({"learner": manifest.learner, **manifest.parameters})
            mlflow.log_metrics(figures(folder, name, manifest))
            mlflow.log_dict(manifest.model_dump(mode="json"), "manifest.json")
            logged = mlflow.sklearn.log_model(
                to_pipeline.to_pipeline(artefact),
                name="model",
                registered_model_name=registered,
                serialization_format="cloudpickle",
            )
        version = str(logged.registered_model_version)
        client = mlflow.MlflowClient()
        for key, value in tags.items():
            client.set_model_version_tag(registered, version, key, value)
    except mlflow.exceptions.MlflowException as error:
        raise UserError(f"--mlflow {uri}: {first_line(error)}") from error
    return f"{name} -> {registered} version {version} in {uri}"
