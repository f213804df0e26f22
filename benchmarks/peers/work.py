"""What the peers share: their command line, a window's work, and the line that they end with.

``PYTHON -m benchmarks.peers.with_X --input FILE --learner ridge --window 100 --output FOLDER``
reads a Parquet file, does the plain loop's work (``benchmarks.loop``) in a peer's manner over
windows of so many seconds of event time, writes a joblib file a window, and prints what was done.
PYTHON is that of the peers' own environment (``make peers``).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from benchmarks.loop import Floats, Window, fit

Model = tuple[Any, Any]
"""A scaler and an estimator."""


@dataclass(frozen=True)
class Work:
    """What a script is asked for.

    Attributes:
        input: the Parquet file, or a folder of one a window; its columns are those of
            ``benchmarks.data``.
        learner: ``ridge`` or ``forest``.
        window: seconds of event time; windows begin at multiples of it.
        output: an empty folder for the model files.
    """

    input: Path
    learner: str
    window: int
    output: Path


def parse_work(story: str | None) -> Work:
    """The command line's; a wrong one ends the process with 2, saying what is allowed."""
    parser = argparse.ArgumentParser(description=story)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--learner", choices=("ridge", "forest"), required=True)
    parser.add_argument("--window", type=int, required=True, help="seconds of event time")
    parser.add_argument("--output", type=Path, required=True)
    return Work(**vars(parser.parse_args()))


def predict(model: Model, features: Floats) -> Floats:
    """Predictions of shape (rows,) for raw features of shape (rows, columns)."""
    scaler, estimator = model
    predicted: Floats = estimator.predict(scaler.transform(features))
    return predicted


def train(work: Work, window: Window, number: int) -> Model:
    """A window's model, written as the joblib file of that number."""
    model = fit(window, work.learner)
    joblib.dump(model, work.output / f"{number:06d}.joblib")
    return model


@dataclass
class Done:
    """The count of what was done.

    Attributes:
        rows: how many were read.
        scored: of these, how many the model of the window before was there for.
        windows: how many models were written.
        error: the sum of the scored rows' absolute errors.
    """

    rows: int = 0
    scored: int = 0
    windows: int = 0
    error: float = 0.0

    def score(self, target: Floats, predicted: Floats) -> None:
        """Counts rows that were scored; both arrays are of shape (rows,)."""
        self.scored += len(target)
        self.error += float(np.abs(target - predicted).sum())

    def line(self) -> str:
        """The line that a script ends with: JSON; ``mae`` is null if no row was scored."""
        mae = self.error / self.scored if self.scored else None
        result = {"rows": self.rows, "scored": self.scored, "windows": self.windows, "mae": mae}
        return json.dumps(result)


@dataclass
class Turn:
    """Takes whole windows in turn, for the peers that gather them.

    Attributes:
        work: what was asked for.
        done: what was done so far.
        model: the model of the window before.
    """

    work: Work
    done: Done
    model: Model | None = None

    def take(self, window: Window) -> None:
        """Scores a window with the model of the one before, then trains its own."""
        self.done.rows += len(window.target)
        if self.model is not None:
            self.done.score(window.target, predict(self.model, window.features))
        self.model = train(self.work, window, self.done.windows)
        self.done.windows += 1
