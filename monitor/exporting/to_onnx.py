"""A model as an ONNX graph: columns in, predictions out.

Normalising and encoding are written as ONNX's own operators, in double precision; the regressor is
converted by skl2onnx (``pip install 'correnteza[export]'``), a classifier too. Trees compare in
single precision there, so predictions differ a little from the artefact's; now and then a row takes
another branch.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from model.arrays import Matrix
from model.artefact import Artefact
from model.encoders import FeatureEncoder
from model.errors import UserError
from model.wording import first_line
from monitor.exporting.onnx_classes import FOUND, MATRIX, decide, predicts_shares, repeat_shares

OPSET, ML_OPSET = 18, 3
OUTPUT = "prediction"
REMEDY = "needs skl2onnx and onnxruntime: pip install 'correnteza[export]'"


def to_onnx(artefact: Artefact) -> bytes:
    """An artefact as the bytes of an ONNX model.

    Its inputs are the schema's features, each of shape (rows, 1): double for numbers, with NaN for
    null, and string for categories, in their canonical form, with "" for null. Its output,
    ``prediction``, has shape (rows, 1). A classifier's is string, the predicted class; its second
    output, ``probabilities``, has shape (rows, classes), calibrated where the artefact's are, in
    the order of the classes, which stand in the model's metadata under ``classes``, as JSON.

    Args:
        artefact: the model.

    Raises:
        UserError: if a package is missing, the schema has encoders of its own, or the estimator
            cannot be converted.
    """
    if isinstance(artefact.encoder, FeatureEncoder):
        raise UserError(
            "a model with [features.encoders] cannot be exported as ONNX: must be a .joblib"
        )
    try:
        import onnx
        import skl2onnx  # noqa: F401  (needed by _convert: one remedy for both)
    except ImportError as error:
        raise UserError(f"ONNX {REMEDY} ({error.name} is missing)") from error
    linear = hasattr(artefact.estimator, "coef_")  # the others convert to single precision alone
    number = onnx.TensorProto.DOUBLE if linear else onnx.TensorProto.FLOAT
    regressor = _convert(artefact, linear)
    versions = {"": OPSET, "ai.onnx.ml": ML_OPSET}
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in versions.items()]
    before = onnx.helper.make_model(
        _encoding(artefact, number),
        opset_imports=opsets,
        ir_version=regressor.ir_version,
    )
    del regressor.opset_import[:]  # it names a lower one, and some twice; merged are equal ones
    regressor.opset_import.extend(opsets)
    regressor = onnx.compose.add_prefix(regressor, "regressor_")
    [given], [*_, made] = regressor.graph.input, regressor.graph.output
    del regressor.graph.output[:-1]  # a classifier's label, which knows of no threshold
    whole = onnx.compose.merge_models(before, regressor, io_map=[(MATRIX, given.name)])
    if artefact.decision is None:
        _rename_output(whole, made.name)
    else:
        after = onnx.helper.make_model(
            decide(artefact.decision, made.type.tensor_type.elem_type),
            opset_imports=opsets,
            ir_version=regressor.ir_version,
        )
        whole = onnx.compose.merge_models(whole, after, io_map=[(made.name, FOUND)])
        onnx.helper.set_model_props(whole, {"classes": json.dumps(artefact.decision.classes)})
    whole.doc_string = f"{artefact.schema.name}: {artefact.schema.target}"
    onnx.checker.check_model(whole)
    data: bytes = whole.SerializeToString(deterministic=True)
    return data


def _convert(artefact: Artefact, linear: bool) -> Any:
    """The graph from the matrix to the estimator's predictions or, as the last, probabilities."""
    import skl2onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    estimator, width = artefact.estimator, len(artefact.encoder.names)
    if predicts_shares(estimator):  # skl2onnx knows nothing of it
        return repeat_shares(estimator.class_prior_, width)
    tensor = DoubleTensorType if linear else FloatTensorType
    try:
        return skl2onnx.to_onnx(
            estimator,
            initial_types=[(MATRIX, tensor([None, width]))],
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
            options=None if artefact.decision is None else {id(estimator): {"zipmap": False}},
        )
    except Exception as error:  # whatever a converter raises
        kind = type(estimator).__name__
        raise UserError(f"{kind} cannot be converted to ONNX: {first_line(error)}") from error


def _rename_output(model: Any, name: str) -> None:
    for node in model.graph.node:
        node.output[:] = [OUTPUT if one == name else one for one in node.output]
    model.graph.output[0].name = OUTPUT


def _encoding(artefact: Artefact, number: int) -> Any:
    """The graph from columns to the matrix that the regressor takes."""
    from onnx import TensorProto, helper

    encoder = artefact.encoder
    nodes, inputs, parts = [], [], []
    constants = []
    if encoder.numeric:
        constants.append(helper.make_tensor("zero", TensorProto.DOUBLE, [1], [0.0]))
    if encoder.categories:
        constants.append(helper.make_tensor("off_on", TensorProto.FLOAT, [2], [0.0, 1.0]))
        constants.append(helper.make_tensor("axis", TensorProto.INT64, [1], [1]))
    for place, name in enumerate(encoder.numeric):
        ours = f"n{place}"
        inputs.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]))
        mean, scale = float(encoder.means[place]), float(encoder.scales[place])
        constants.append(helper.make_tensor(f"{ours}_mean", TensorProto.DOUBLE, [1], [mean]))
        constants.append(helper.make_tensor(f"{ours}_scale", TensorProto.DOUBLE, [1], [scale]))
        nodes += [
            helper.make_node("Sub", [name, f"{ours}_mean"], [f"{ours}_centred"]),
            helper.make_node("Div", [f"{ours}_centred", f"{ours}_scale"], [f"{ours}_score"]),
            helper.make_node("IsNaN", [name], [f"{ours}_null"]),
            helper.make_node("Where", [f"{ours}_null", "zero", f"{ours}_score"], [f"{ours}_out"]),
        ]
        parts.append(f"{ours}_out")
    for place, (name, known) in enumerate(encoder.categories.items()):
        ours = f"c{place}"
        inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, [None, 1]))
        depth = len(known) + 1
        constants.append(helper.make_tensor(f"{ours}_depth", TensorProto.INT64, [1], [depth]))
        nodes += [
            helper.make_node(
                "LabelEncoder",
                [name],
                [f"{ours}_code"],
                domain="ai.onnx.ml",
                keys_strings=list(known) or [""],
                values_int64s=list(range(len(known))) or [0],
                default_int64=len(known),
            ),
            helper.make_node("Squeeze", [f"{ours}_code", "axis"], [f"{ours}_flat"]),
            helper.make_node(
                "OneHot", [f"{ours}_flat", f"{ours}_depth", "off_on"], [f"{ours}_hot"], axis=-1
            ),  # onnxruntime has it in single precision alone
            helper.make_node("Cast", [f"{ours}_hot"], [f"{ours}_out"], to=TensorProto.DOUBLE),
        ]
        parts.append(f"{ours}_out")
    nodes.append(helper.make_node("Concat", parts, ["joined"], axis=1))
    nodes.append(helper.make_node("Cast", ["joined"], [MATRIX], to=number))
    output = helper.make_tensor_value_info(MATRIX, number, [None, len(encoder.names)])
    return helper.make_graph(nodes, "correnteza", inputs, [output], constants)


def run_onnx(data: bytes, columns: dict[str, Any]) -> Matrix:
    """Predictions of shape (rows,) by an ONNX model of ``to_onnx``.

    Args:
        data: its bytes.
        columns: the features by name, as lists or arrays; None and NaN are nulls.

    Raises:
        UserError: if onnxruntime is not installed.
    """
    [made] = _run(data, columns)
    return np.asarray(made, dtype=np.float64).reshape(-1)


def run_onnx_classes(data: bytes, columns: dict[str, Any]) -> tuple[list[str], Matrix]:
    """The predicted classes, and probabilities of shape (rows, classes); as ``run_onnx``."""
    predicted, probabilities = _run(data, columns)
    return [str(name) for name in predicted[:, 0]], probabilities


def _run(data: bytes, columns: dict[str, Any]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX {REMEDY} ({error.name} is missing)") from error
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {}
    for given in session.get_inputs():
        values = columns[given.name]
        if given.type == "tensor(string)":
            texts = ["" if value is None or value != value else value for value in values]
            feeds[given.name] = np.array(texts, dtype=object)[:, None]
        else:
            feeds[given.name] = np.asarray(values, dtype=np.float64)[:, None]
    return session.run(None, feeds)
