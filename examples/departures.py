"""How much a replay flatters that takes each answer to be known at once: the flights of 2013.

Each flight is asked about when it leaves: how late will it arrive? The answer is known when it has
landed, hours later. ``examples/departures.toml`` says so, by ``label_time``; without that line a
model learns from flights that are still in the air. This runs the job both ways, and prints the
errors side by side. Run it as
``make departures``, or ``python -m examples.departures``.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from examples import flights
from model.runs import RunFolder
from monitor.report.history import total
from pipeline.__main__ import main as run_job

SCHEMA = Path(__file__).with_suffix(".toml")
MINUTE = 60
FLIGHTS = 50_000
"""The job runs over so many flights: those of January and February."""


def read(folder: Path) -> pa.Table:
    """Reads the flights that left, in the order of their departure.

    All times are in UTC: ``flights.scheduled_times`` is, ``departed`` is ``dep_delay`` minutes
    later, and ``arrived`` is ``air_time`` minutes after that. (The file's own ``dep_time`` and
    ``arr_time`` are by the clocks of two airports, without a date.)

    Args:
        folder: where ``flights.csv.zip`` and ``weather.csv`` are.

    Returns:
        The columns of ``flights.read``, with ``dep_delay`` (minutes), ``departed`` and ``arrived``;
        this and the target are null for a flight that was diverted.
    """
    table = flights.read(folder, ("dep_delay", "air_time"))
    table = table.filter(table["dep_delay"].is_valid())
    departed = pc.add(table["scheduled"].cast(pa.int64()), seconds(table["dep_delay"]))
    arrived = pc.add(departed, seconds(table["air_time"]))
    nothing = pa.scalar(None, pa.int64())
    arrived = pc.if_else(table["arr_delay"].is_valid(), arrived, nothing)
    target = pc.if_else(arrived.is_valid(), table["arr_delay"], pa.scalar(None, pa.int64()))
    table = table.drop_columns(["air_time", "arr_delay"]).append_column("arr_delay", target)
    for name, times in (("departed", departed), ("arrived", arrived)):
        table = table.append_column(name, times.cast(pa.timestamp("s", "UTC")))
    return table.sort_by("departed")


def seconds(minutes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns whole seconds of minutes."""
    return pc.multiply(minutes.cast(pa.int64()), MINUTE)


def run(path: Path, schema: Path, output: Path, window: str) -> RunFolder:
    """Runs the job on the file; returns its folder."""
    argv = ["--input", str(path), "--schema", str(schema), "--output", str(output)]
    argv += ["--window", window, "--learner", "ridge", "--predictions", "none", "--overwrite"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = run_job(argv)
    if code:
        raise RuntimeError(f"the job ended with {code}: see {output}")
    return RunFolder(str(output))


def mean_error(folder: RunFolder) -> float:
    """Returns the mean absolute error of a run over all scored rows with a target, minutes."""
    mae = total(folder.reports()).mae
    assert mae is not None
    return mae


def compare(path: Path, folder: Path, window: str) -> tuple[float, float]:
    """Runs the job without and with the times of labels; returns both errors, minutes."""
    plain = folder / "at_once.toml"
    lines = SCHEMA.read_text(encoding="utf-8").splitlines(keepends=True)
    known = ("label_time", "wait")
    plain.write_text("".join(line for line in lines if not line.startswith(known)))
    schemas = {"at_once": plain, "later": SCHEMA}
    at_once, later = (run(path, schema, folder / name, window) for name, schema in schemas.items())
    return mean_error(at_once), mean_error(later)


def describe(window: str, at_once: float, later: float) -> str:
    """Returns the comparison of a window's length in a line.

    Example:
        >>> describe("1h", 13.66, 21.35)
        'window 1h: MAE 13.7 if answers are known at once; in truth 21.4, 56 % more'
    """
    share = round(100 * (later / at_once - 1))
    return (
        f"window {window}: MAE {at_once:.1f} if answers are known at once; in truth {later:.1f}, "
        f"{abs(share)} % {'less' if share < 0 else 'more'}"
    )


def main(windows: list[str]) -> int:
    """Compares windows of some lengths, of an hour, six and a day without any."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "departures.parquet"
        try:
            table = read(flights.data_folder())
        except (ModuleNotFoundError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        pyarrow.parquet.write_table(table.slice(0, FLIGHTS), path, row_group_size=20_000)
        for window in windows or ["1h", "6h", "1d"]:
            print(describe(window, *compare(path, Path(made), window)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
