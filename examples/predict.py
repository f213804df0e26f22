"""Opens a run's newest model and predicts with it.

Run it as ``python -m examples.predict runs/latest``: after a run on the synthetic people it asks
for two of them, after any other run for the first rows of its newest sample.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model.artefact import Artefact
from model.store import Store
from pipeline.logs import configure_logging

PEOPLE: dict[str, list[Any]] = {
    "idade": [25, 60],
    "idh": [0.61, 0.84],
    "estado": ["Bahia", "São Paulo"],
    "cargo": [None, "Médico angiologista"],
}


def main(folder: str) -> None:
    """Prints what the newest model of a run predicts."""
    store = Store(f"{folder}/models")
    artefact = store.load(store.names()[-1])  # its hash is checked before it is opened
    predictions = artefact.predict_columns(features_for(artefact, folder))
    print([round(value, 2) for value in predictions.tolist()])


def features_for(artefact: Artefact, folder: str) -> dict[str, list[Any]]:
    """The features of two people, or, if the model is of others, of some rows of a sample."""
    names = artefact.schema.inputs
    if set(names) <= set(PEOPLE):
        return {name: PEOPLE[name] for name in names}
    newest = max(Path(folder, "sample").glob("*.parquet"))
    features: dict[str, list[Any]] = (
        pq.read_table(newest, columns=list(names)).slice(0, 5).to_pydict()
    )
    return features


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m examples.predict FOLDER, a run's, as runs/latest", file=sys.stderr)
        sys.exit(2)
    configure_logging()
    main(sys.argv[1])
