"""The oracle of labels that come later: a plain loop in pandas and scikit-learn over both clocks.

Each window is fitted to the rows whose labels became known in it; each row is predicted at its own
time, by the newest model then; each error counts when its label is known. Nothing of the project is
imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tests.end_to_end.oracle import Cadence, Model, Stream, drift, figures

MICRO = 1_000_000


class Labels(NamedTuple):
    """When labels are known.

    Attributes:
        column: of their times.
        wait: for how many seconds a question stays open.
    """

    column: str
    wait: int


class Expected(NamedTuple):
    """What is expected of a run.

    Attributes:
        reports: for each refresh, by its start in seconds, the figures of its report.
        cohorts: for each refresh in which anything was asked, those of its cohort.
        answered: all questions that were answered, with ``prediction`` and ``model``.
        models: by the window's end, seconds, what was trained.
    """

    reports: dict[int, dict[str, Any]]
    cohorts: dict[int, dict[str, Any]]
    answered: pd.DataFrame
    models: dict[int, Model]


def micros(times: pd.Series) -> pd.Series:
    """Times in microseconds since the epoch; null stays null."""
    return ((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1us")).round()


def replay_labels(
    rows: pd.DataFrame,
    stream: Stream,
    labels: Labels,
    cadence: Cadence,
    regressor: Callable[[], Any],
    end: int | None = None,
    least: int = 1,
    latency: int | None = None,
    by: str | None = None,
) -> Expected:
    """The whole loop.

    Args:
        rows: the index is the row id; times are timestamps with a zone.
        stream: which column means what.
        labels: when labels are known.
        cadence: how time is cut.
        regressor: makes one that is not fitted yet.
        end: where the stream ends, seconds; None: behind the greatest time of either clock.
        least: rows that make a model.
        latency: seconds of a serve window; None: a refresh.
        by: the column whose last value is known; None: it is that of all rows.
    """
    window, every, lag = cadence
    frame = rows.sort_index().sort_values(stream.time, kind="stable")
    asked, known = micros(frame[stream.time]), micros(frame[labels.column])
    over = asked + labels.wait * MICRO
    frame = frame.assign(
        asked=asked,
        known=known,
        refresh=asked // (every * MICRO) * every,
        in_time=known <= over,
        event=np.where(known <= over, known, over) // (every * MICRO) * every,
    )
    if end is None:
        latest = max(asked.max(), known.max())
        end = int(latest // (every * MICRO) * every + every)
    frame = frame[frame["refresh"] < end]
    models = {}
    labelled = frame[frame["in_time"]]
    ends = {
        int(start) + (number + 1) * every
        for start in labelled["event"].unique()
        for number in range(window // every)
    }
    for stop in sorted(each for each in ends if each <= end):
        mine = (labelled["event"] >= stop - window) & (labelled["event"] < stop)
        if mine.sum() >= least:
            models[stop] = Model(labelled[mine].copy(), stream, regressor())
    frame = frame.assign(prediction=np.nan, baseline=np.nan, model=pd.Series(dtype=float))
    drifts = {}
    for start, refresh in frame.groupby("refresh"):
        newest = int(start) - (lag - 1) * every
        newest_end = max((each for each in models if each <= newest), default=None)
        if newest_end is not None:
            model = models[newest_end]
            frame.loc[refresh.index, "prediction"] = model.predict(refresh)
            frame.loc[refresh.index, "baseline"] = model.target.mean()
            frame.loc[refresh.index, "model"] = float(newest_end)
            scored = refresh.assign(prediction=model.predict(refresh))
            drifts[int(start)] = drift(scored, model)
    slot = asked // ((latency or every) * MICRO) * (latency or every) * MICRO
    frame = frame.assign(last=last_known(frame.assign(slot=slot), stream.target, by))
    happened = frame[frame["event"] + every <= end]
    refreshes = {*frame["refresh"], *happened["event"]}
    final = {
        start: (start * MICRO + (every + labels.wait) * MICRO) // (every * MICRO) * every
        for start in frame["refresh"].unique().astype(int).tolist()
    }
    refreshes |= {at for at in final.values() if at + every <= end}
    reports = {
        int(start): report(int(start), frame, happened, stream, drifts) for start in refreshes
    }
    cohorts = {
        start: cohort(frame[frame["refresh"] == start], happened, stream, at + every <= end)
        for start, at in final.items()
    }
    return Expected(reports, cohorts, happened[happened["in_time"]], models)


def last_known(frame: pd.DataFrame, target: str, by: str | None) -> pd.Series:
    """The newest target that was known when each row's serve window began."""
    ids = frame.rename_axis("id").reset_index().assign(entity=frame[by].array if by else "")
    known = ids[ids["in_time"]].dropna(subset="entity").sort_values(["known", "id"])
    found = pd.merge_asof(
        ids.sort_values("slot", kind="stable")[["id", "slot", "entity"]],
        known[["known", "entity", target]],
        left_on="slot",
        right_on="known",
        by="entity",
        allow_exact_matches=False,
    ).set_index("id")[target]
    return found.where(frame[by].notna()) if by else found


def report(
    start: int, frame: pd.DataFrame, happened: pd.DataFrame, stream: Stream, drifts: dict[int, Any]
) -> dict[str, Any]:
    """The figures of a refresh's report."""
    asked = frame[frame["refresh"] == start]
    events = happened[happened["event"] == start]
    answers = events[events["in_time"]]
    scored = answers.dropna(subset=["model"])
    return {
        "model": None if not len(asked) or asked["model"].isna().all() else asked["model"].iloc[0],
        "rows": len(asked),
        "scored": int(asked["model"].notna().sum()),
        "unlabelled": int(asked[stream.target].isna().sum()),
        "late": 0,
        "rejected": 0,
        "labelled": len(scored),
        "answered": len(answers),
        "expired": int((~events["in_time"]).sum()),
        "label_late": int((~events["in_time"] & events["known"].notna()).sum()),
        **errors(scored, stream),
        "baselines": {
            "mean": mean((scored[stream.target] - scored["baseline"]).abs()),
            "last": mean((scored[stream.target] - scored["last"]).abs()),
            "season": None,
        },
        "baseline_rows": {"mean": len(scored), "last": scored["last"].count(), "season": 0},
        "drift": drifts.get(start),
    }


def mean(values: pd.Series) -> float | None:
    """The mean; None without a value."""
    return float(values.mean()) if values.count() else None


def cohort(
    asked: pd.DataFrame, happened: pd.DataFrame, stream: Stream, final: bool
) -> dict[str, Any]:
    """The figures of a cohort."""
    events = happened.loc[happened.index.intersection(asked.index)]
    answers = events[events["in_time"]]
    expired = len(events) - len(answers)
    found = errors(answers.dropna(subset=["model"]), stream)
    found = {key: value for key, value in found.items() if key not in ("bias", "slope")}
    return {
        "model": None if asked["model"].isna().all() else asked["model"].iloc[0],
        "rows": len(asked),
        "answered": len(answers),
        "expired": expired,
        "open": len(asked) - len(answers) - expired,
        "labelled": int(answers["model"].notna().sum()),
        **found,
        "final": final,
    }


def errors(scored: pd.DataFrame, stream: Stream) -> dict[str, Any]:
    """Figures of predictions by several models, each with a baseline of its own."""
    target = scored[stream.target].to_numpy(np.float64)
    found = figures(target, scored["prediction"].to_numpy(np.float64), 0.0)
    if len(target):
        baseline = float(np.abs(target - scored["baseline"].to_numpy(np.float64)).mean())
        mae = found["mae"]
        assert mae is not None
        found |= {"baseline_mae": baseline, "skill": 1 - mae / baseline if baseline else None}
        # of several models, each beside the mean that it was trained on
        means = scored["baseline"].to_numpy(np.float64)
        away = scored["prediction"].to_numpy(np.float64) - means
        found["slope"] = float(np.polyfit(away, target - means, 1)[0]) if np.ptp(away) else None
    return found
