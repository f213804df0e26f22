"""What the server is measured beside: plain scikit-learn, and a bare FastAPI endpoint of it.

``python -m benchmarks.bare`` FILE serves the pipeline that ``benchmarks.serve`` put there, as one
would write it in ten lines: rows as JSON into a frame, ``predict``, a list of numbers.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model.schema import Schema


def fit_pipeline(frame: pd.DataFrame, schema: Schema, estimator: Any) -> Pipeline:
    """A plain scikit-learn pipeline of a regressor, fitted to raw rows.

    Args:
        frame: columns of the schema.
        schema: what they mean.
        estimator: a regressor; a fresh one of its parameters is fitted.
    """
    columns = make_column_transformer(
        (StandardScaler(), list(schema.numeric)),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(schema.categorical)),
    )
    pipeline = make_pipeline(columns, clone(estimator))
    return pipeline.fit(frame, frame[schema.target])


def app_of(pipeline: Pipeline) -> FastAPI:
    """The bare endpoint."""
    app = FastAPI()

    @app.post("/predict")
    def predict(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
        return {"predictions": pipeline.predict(pd.DataFrame(rows)).tolist()}

    return app


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(f"bare at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app_of(joblib.load(sys.argv[1])), access_log=False, log_config=None)
    uvicorn.Server(config).run(sockets=[listener])
