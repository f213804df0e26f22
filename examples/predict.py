"""Opens a run's newest model and predicts with it.

Run it as ``python -m examples.predict runs/latest``, after a run on the synthetic people.
"""

from __future__ import annotations

import sys

from model.store import Store
from pipeline.logs import configure_logging


def main(folder: str) -> None:
    """Prints what the newest model of a run expects two people to earn."""
    store = Store(f"{folder}/models")
    artefact = store.load(store.names()[-1])  # its hash is checked before it is opened
    salaries = artefact.predict_columns(
        {
            "idade": [25, 60],
            "idh": [0.61, 0.84],
            "estado": ["Bahia", "São Paulo"],
            "cargo": [None, "Médico angiologista"],
        }
    )
    print([round(salary) for salary in salaries.tolist()])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m examples.predict FOLDER, a run's, as runs/latest", file=sys.stderr)
        sys.exit(2)
    configure_logging()
    main(sys.argv[1])
