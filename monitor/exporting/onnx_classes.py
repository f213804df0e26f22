"""What follows a classifier in an ONNX graph: its probabilities, calibrated, and the prediction.

As ``model.classes.decision.Decision`` does it, by ONNX's own operators in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.arrays import Matrix
from model.baselines import LEAST
from model.classes.calibration import Calibrator, Curve
from model.classes.decision import Decision
from model.loading import load_module

MATRIX, FOUND = "correnteza_matrix", "correnteza_found"
PREDICTION, PROBABILITIES = "prediction", "probabilities"
IR_VERSION = 8
"""The format of a graph whose operators are those of opset 18, as skl2onnx writes it."""


class Steps:
    """Nodes and constants of a graph that is being made.

    Attributes:
        nodes, constants: so far.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def hold(self, value: Any, kind: type = np.float64) -> str:
        """A constant; gives its name."""
        from onnx import numpy_helper

        name = f"correnteza_c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=kind), name))
        return name

    def add(self, operator: str, *inputs: str, name: str | None = None, **options: Any) -> str:
        """A node of one output; gives that output's name."""
        from onnx import helper

        made = name or f"correnteza_s{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [made], **options))
        return made


def predicts_shares(estimator: Any) -> bool:
    """Whether a classifier predicts how frequent classes were, whatever the features are."""
    plain = load_module("sklearn.dummy").DummyClassifier
    return type(estimator) is plain and estimator.strategy == "prior"


def repeat_shares(shares: Matrix, width: int) -> Any:
    """A model that gives every row the same probabilities.

    Args:
        shares: the probabilities, shape (classes,).
        width: how many features a row has.
    """
    from onnx import TensorProto, helper

    steps = Steps()
    rows = steps.add("Shape", MATRIX, start=0, end=1)
    shape = steps.add("Concat", rows, steps.hold([len(shares)], np.int64), axis=0)
    steps.add("Expand", steps.hold(shares), shape, name=FOUND)
    taken = helper.make_tensor_value_info(MATRIX, TensorProto.FLOAT, [None, width])
    given = helper.make_tensor_value_info(FOUND, TensorProto.DOUBLE, [None, len(shares)])
    graph = helper.make_graph(steps.nodes, "correnteza_shares", [taken], [given], steps.constants)
    return helper.make_model(graph, ir_version=IR_VERSION)


def decide(decision: Decision, number: int) -> Any:
    """The graph from an estimator's probabilities to ``prediction`` and ``probabilities``.

    Args:
        decision: how its probabilities become predictions.
        number: the type of the estimator's probabilities, as ONNX numbers types.
    """
    from onnx import TensorProto, helper

    own, classes = len(decision.columns), len(decision.classes)
    steps = Steps()
    found = steps.add("Cast", FOUND, to=TensorProto.DOUBLE)
    if decision.columns != tuple(range(classes)):
        spread = np.zeros((own, classes))
        spread[np.arange(own), list(decision.columns)] = 1.0
        found = steps.add("MatMul", found, steps.hold(spread))
    made = _normalize(steps, found)
    if decision.calibrator is not None:
        made = _normalize(steps, _calibrate(steps, made, decision.calibrator, classes))
    steps.add("Identity", made, name=PROBABILITIES)
    steps.add(
        "LabelEncoder",
        _choose(steps, made, decision),
        name=PREDICTION,
        domain="ai.onnx.ml",
        keys_int64s=list(range(classes)),
        values_strings=list(decision.classes),
    )
    taken = helper.make_tensor_value_info(FOUND, number, [None, own])
    given = [
        helper.make_tensor_value_info(PREDICTION, TensorProto.STRING, [None, 1]),
        helper.make_tensor_value_info(PROBABILITIES, TensorProto.DOUBLE, [None, classes]),
    ]
    return helper.make_graph(steps.nodes, "correnteza_classes", [taken], given, steps.constants)


def _normalize(steps: Steps, found: str) -> str:
    """Rows that sum to 1; zeros where a row's sum is not positive."""
    axis, zero = steps.hold([1], np.int64), steps.hold([0.0])
    sums = steps.add("ReduceSum", found, axis, keepdims=1)
    good = steps.add("Greater", sums, zero)
    return steps.add("Where", good, steps.add("Div", found, sums), zero)


def _choose(steps: Steps, made: str, decision: Decision) -> str:
    """The place of each row's predicted class, shape (rows, 1)."""
    if decision.positive is None or decision.threshold is None:
        return steps.add("ArgMax", made, axis=1, keepdims=1)
    positive = decision.positive
    score = _column(steps, made, positive)
    above = steps.add("Greater", score, steps.hold([decision.threshold]))
    yes, no = (steps.hold([place], np.int64) for place in (positive, 1 - positive))
    return steps.add("Where", above, yes, no)


def _column(steps: Steps, matrix: str, place: int) -> str:
    return steps.add("Gather", matrix, steps.hold([place], np.int64), axis=1)


def _calibrate(steps: Steps, made: str, calibrator: Calibrator, classes: int) -> str:
    columns = [_column(steps, made, place) for place in range(classes)]
    apply = _follow if calibrator.method == "isotonic" else _squash
    for place, curve in calibrator.curves.items():
        columns[place] = apply(steps, columns[place], curve)
    if calibrator.positive is not None and calibrator.curves:
        rest = steps.add("Sub", steps.hold([1.0]), columns[calibrator.positive])
        columns[1 - calibrator.positive] = rest
    return steps.add("Concat", *columns, axis=1)


def _follow(steps: Steps, column: str, curve: Curve) -> str:
    """Straight between points: each piece adds its slope times how far the value is in it."""
    x, y = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
    widths = np.diff(x)
    if not len(widths):
        return steps.add("Add", steps.add("Mul", column, steps.hold([0.0])), steps.hold(y[:1]))
    inside = steps.add("Max", steps.add("Sub", column, steps.hold(x[:-1])), steps.hold([0.0]))
    inside = steps.add("Min", inside, steps.hold(widths))
    # Shares of a piece, not slopes: a step's is so steep that its products would be rounded.
    share = steps.add("Div", inside, steps.hold(widths))
    risen = steps.add("MatMul", share, steps.hold(np.diff(y)[:, None]))
    return steps.add("Add", risen, steps.hold(y[:1]))


def _squash(steps: Steps, column: str, curve: Curve) -> str:
    """The logistic function of a line through the log odds."""
    least, most, one = (steps.hold(value) for value in (LEAST, 1 - LEAST, 1.0))
    bounded = steps.add("Min", steps.add("Max", column, least), most)
    odds = steps.add("Log", steps.add("Div", bounded, steps.add("Sub", one, bounded)))
    slope, shift = steps.hold([curve.y[1] - curve.y[0]]), steps.hold([curve.y[0]])
    return steps.add("Sigmoid", steps.add("Add", steps.add("Mul", odds, slope), shift))
