"""sweep and compare: the same rows for all, figures by plain NumPy, and what the verdict says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model.errors import UserError
from pipeline import backtest, sweep
from tests.kit.job import Job

DAYS = 120
COLUMNS: dict[str, Any] = {"time": "at", "target": "y"}


def frame(turn: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Hours of a target whose slope turns by so many radians over all days, and noise."""
    rng = np.random.default_rng(seed)
    rows = DAYS * 24
    x = rng.normal(size=rows)
    slope = np.cos(np.linspace(0, turn, rows))
    at = pd.date_range("2025-01-02", periods=rows, freq="h", tz="UTC")  # a refresh begins then
    return pd.DataFrame({"at": at, "x": x, "y": 2 * x * slope + rng.normal(size=rows)})


def test_every_combination_is_a_backtest_to_the_last_digit() -> None:
    rows = frame(turn=1.0)
    found = sweep(rows, **COLUMNS, windows=["7d", "14d"], learners=["ridge"], every=["1d", "7d"])
    assert found.predictions.column_names[:3] == ["id", "time", "target"]
    for window in ("7d", "14d"):
        for every in ("1d", "7d"):
            alone = backtest(rows, **COLUMNS, window=window, every=every, learner="ridge")
            theirs = alone.predictions["prediction"].to_numpy()
            mine = found.predictions[f"ridge {window} every {every}"].to_numpy()
            np.testing.assert_array_equal(mine, theirs)
            where = found.table.to_pandas().set_index(["window", "every"])
            pairs = [
                (one.labelled, one.mae, getattr(one.baselines, one.best_baseline))
                for one in alone.metrics
                if one.best_baseline is not None
            ]
            count, mae, best = np.array(pairs, float).T
            expected = 1 - (count * mae).sum() / (count * best).sum()
            assert where.loc[(window, every), "skill_best"] == pytest.approx(expected, rel=1e-12)


def test_all_and_static_are_what_plain_scikit_learn_shows() -> None:
    rows = frame(turn=1.0)
    found = sweep(rows, **COLUMNS, windows=["14d"], every="7d", learners=["ridge"])
    table = found.predictions.to_pandas().set_index("time")
    week = (rows["at"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("7d")
    weeks = sorted(week.unique())
    first = rows[week < weeks[2]]  # the first whole window
    static = make_pipeline(StandardScaler(), Ridge()).fit(first[["x"]], first["y"])
    assert table["ridge static"].notna().to_numpy().tolist() == (week >= weeks[2]).tolist()
    for now in weeks[2:]:
        before, mine = rows[week < now], rows[week == now]
        growing = make_pipeline(StandardScaler(), Ridge()).fit(before[["x"]], before["y"])
        for name, model in (("ridge all", growing), ("ridge static", static)):
            np.testing.assert_allclose(
                table.loc[mine["at"], name], model.predict(mine[["x"]]), rtol=1e-8, atol=1e-10
            )


def test_no_contender_learns_from_labels_before_they_are_known() -> None:
    rows = frame(turn=1.0)
    rng = np.random.default_rng(4)
    delay = pd.to_timedelta(rng.integers(0, 9 * 24, len(rows)), unit="h")
    rows = rows.assign(known=rows["at"] + delay)
    given: dict[str, Any] = {**COLUMNS, "label_time": "known", "wait": "8d"}
    found = sweep(rows, **given, windows=["14d"], every="7d", learners=["ridge"])
    table = found.predictions.to_pandas().set_index("time")
    in_time = delay <= pd.Timedelta("8d")
    assert table["target"].notna().to_numpy().tolist() == in_time.tolist()
    answered = rows[in_time]
    week = (rows["at"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("7d")
    known = (answered["known"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("7d")
    weeks = sorted(week.unique())
    alone = backtest(rows, **given, learner="ridge", window="14d", every="7d")
    theirs = alone.predictions["prediction"].to_numpy()
    np.testing.assert_array_equal(found.predictions["ridge 14d"].to_numpy(), theirs)
    trained = {
        "ridge all": lambda now: known < now,
        "ridge static": lambda now: known < weeks[2],
        "ridge 14d": lambda now: (known < now) & (known >= now - 2),
    }
    for now in weeks[2:]:
        mine = rows[week == now]
        for name, mask in trained.items():
            before = answered[mask(now)]
            model = make_pipeline(StandardScaler(), Ridge()).fit(before[["x"]], before["y"])
            np.testing.assert_allclose(
                table.loc[mine["at"], name], model.predict(mine[["x"]]), rtol=1e-8, atol=1e-10
            )


def test_figures_are_over_the_rows_that_all_have_predicted() -> None:
    rows = frame(turn=2.0)
    rows.loc[::9, "y"] = np.nan
    found = sweep(rows, **COLUMNS, windows=["7d", "28d"], learners=["ridge", "ridge(alpha=1e6)"])
    table = found.predictions.to_pandas().dropna()
    assert found.rows == len(table) < len(rows) - 27 * 24
    errors = table.iloc[:, 3:].sub(table["target"], axis=0)
    shown = found.table.to_pandas()
    assert shown["mae"].is_monotonic_increasing
    assert len(shown) == 8 and set(shown["rows"]) == {found.rows}
    for row in shown.itertuples():
        mine = errors[f"{row.learner} {row.window}"]
        static = errors[f"{row.learner} static"].abs().mean()
        assert row.mae == pytest.approx(mine.abs().mean())
        assert row.rmse == pytest.approx(np.sqrt((mine**2).mean()))
        assert row.gain == pytest.approx(1 - row.mae / static)
    week = (table["time"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("7d")
    weekly = errors.abs().groupby(week.to_numpy()).mean()
    least = weekly.eq(weekly.min(axis=1), axis=0).mean()
    for row in shown.itertuples():
        assert row.least == pytest.approx(least[f"{row.learner} {row.window}"])


def test_retraining_pays_where_the_world_turns() -> None:
    found = sweep(frame(turn=3.0), **COLUMNS, windows=["7d", "28d"], learners=["ridge"])
    assert found.verdict.pays is True
    assert found.best.window == "7d"
    assert found.verdict.text.startswith("retraining pays: ridge 7d has ")
    assert found.verdict.text.endswith(" less error than ridge static (first 28d)")


def test_nothing_is_clear_where_the_world_stays() -> None:
    found = sweep(frame(), **COLUMNS, windows=["14d", "28d"], learners=["ridge"])
    assert found.verdict.pays is None
    assert found.verdict.text.startswith("no clear difference between ridge ")


def test_a_static_model_wins_where_what_changes_does_not_last() -> None:
    rows = frame()
    week = (rows["at"] - rows["at"].min()) // pd.Timedelta("7d")
    slope = np.where(week % 6 == 5, -2, 2)  # every sixth week is another world
    noise = np.random.default_rng(1).normal(size=len(rows)) / 10
    rows["y"] = slope * rows["x"] + noise
    found = sweep(rows, **COLUMNS, windows=["7d"], learners=["ridge"])
    assert found.best.is_static
    assert found.verdict.pays is False
    assert found.verdict.text.startswith("retraining does not pay: ridge static (first 7d) has ")


def test_a_combination_without_a_model_in_time_is_left_out_and_shown() -> None:
    found = sweep(
        frame(), **COLUMNS, windows=["7d", "28d"], learners=["ridge"], every="7d", min_rows=300
    )
    assert [(c.learner.title, c.window) for c in found.without] == [("ridge", "7d")]
    last = found.table.to_pylist()[-1]
    assert (last["window"], last["mae"], last["models"]) == ("7d", None, 0)
    assert last["skipped"] > 10
    with pytest.raises(UserError, match="no combination has predicted any row"):
        sweep(frame(), **COLUMNS, windows=["7d"], learners=["ridge"], min_rows=10_000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": ["7x"]}, "--window 7x"),
        ({"windows": ["10d", "7d"]}, "is not a multiple of"),
        ({"learners": []}, "learners: at least one"),
        ({"learners": ["ridge("]}, "learner 'ridge\\('"),
        ({"window": "7d"}, "window=: is not an option of this function"),
        ({"windows": [f"{n}d" for n in range(1, 300)], "every": "1d"}, "at most 200"),
    ],
)
def test_what_will_not_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sweep(frame(), **{**COLUMNS, "learners": ["ridge"], **options})


def test_a_notebook_shows_pictures_and_the_verdict() -> None:
    found = sweep(frame(turn=3.0), **COLUMNS, windows=["7d"], learners=["ridge"])
    shown = found._repr_html_()
    assert shown.count("<svg") == 2
    assert found.verdict.text in shown
    assert repr(found) == f"<sweep of 3 combinations on {found.rows:,} rows: ridge 7d has the " + (
        "least error>"
    )


def test_without_windows_one_that_fits_and_a_longer_one_are_compared() -> None:
    found = sweep(frame(), **COLUMNS, learners=["ridge"])
    assert {c.window for c in found.combinations} == {"7d", "28d", "all", "static"}


def test_the_command_prints_the_same(home: Path, job: Job) -> None:
    rows = frame(turn=3.0)
    rows.to_csv("rows.csv", index=False)
    Path("s.toml").write_text('name="s"\ntime="at"\ntarget="y"\n[features]\nnumeric=["x"]\n')
    argv = ["compare", "--input", "rows.csv", "--schema", "s.toml", "--windows", "7d,28d"]
    argv += ["--learners", "ridge, ridge(alpha=1000)"]
    printed = job.ran(*argv, "--html", "c.html").out
    found = sweep(rows, **COLUMNS, windows=["7d", "28d"], learners=["ridge", "ridge(alpha=1000)"])
    assert found.verdict.text in printed and f"{found.rows:,} rows" in printed
    assert [line.split()[:2] for line in printed.splitlines()[1:9]] == [
        [c.learner.title, c.window] for c in found.combinations
    ]
    assert Path("c.html").read_text().count("<svg") == 2
    told = json.loads(job.ran(*argv, "--json").out)
    assert (told["rows"], told["retraining_pays"]) == (found.rows, True)
    expected = found.table.to_pylist()
    for mine, theirs in zip(told["combinations"], expected, strict=True):
        seconds = mine.pop("seconds"), theirs.pop("seconds")
        assert min(seconds) >= 0
        assert mine == theirs


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "--input"),
        (("--input", "no.csv", "--schema", "s.toml"), "no.csv"),
        (("--input", "a.csv", "--schema", "s.toml", "--learners", "rigde"), "--learner 'rigde'"),
        (("--input", "a.csv", "--schema", "s.toml", "--lag", "x"), "--lag x"),
    ],
)
def test_the_command_refuses_in_a_line(
    argv: tuple[str, ...], message: str, home: Path, job: Job
) -> None:
    frame().to_csv("a.csv", index=False)
    Path("s.toml").write_text('name="s"\ntime="at"\ntarget="y"\n[features]\nnumeric=["x"]\n')
    assert message in job.refused("compare", *argv)
