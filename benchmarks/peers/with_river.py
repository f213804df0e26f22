"""River: ``predict_one``, then ``learn_one``, row by row, in one process.

As its documentation has it: a scaler and a model in a pipeline, a metric, a loop. Its model is
never fitted anew, so its figures are not the plain loop's: instead of a ridge it has a linear
regression by gradient descent, instead of 100 trees the ten of its adaptive forest. To count what
the others count, rows are scored from the second window on. The model is pickled at each
window's end: joblib, made for arrays, takes seven times as long for its trees.
"""

from __future__ import annotations

import pickle
from typing import Any

from river import forest, linear_model, preprocessing, stream

from benchmarks.data import FEATURES, RATE
from benchmarks.loop import Window, windows
from benchmarks.peers.work import Done, Work, parse_work


def pipeline(learner: str) -> Any:
    """River's own model, with its own settings."""
    if learner == "ridge":
        return preprocessing.StandardScaler() | linear_model.LinearRegression()
    return preprocessing.StandardScaler() | forest.ARFRegressor(seed=42)


def take(window: Window, model: Any, done: Done) -> None:
    """Tests on each row of a window, then trains on it."""
    for x, y in stream.iter_array(window.features, window.target, list(FEATURES)):
        predicted = model.predict_one(x)
        if done.windows:
            done.scored += 1
            done.error += abs(y - predicted)
        model.learn_one(x, y)
    done.rows += len(window.target)


def learn(work: Work) -> str:
    """Reads the file to its end; gives the line of what was done."""
    model = pipeline(work.learner)
    done = Done()
    for window in windows(str(work.input), work.window * RATE):
        take(window, model, done)
        path = work.output / f"{done.windows:06d}.pickle"
        path.write_bytes(pickle.dumps(model))
        done.windows += 1
    return done.line()


if __name__ == "__main__":
    print(learn(parse_work(__doc__)))
