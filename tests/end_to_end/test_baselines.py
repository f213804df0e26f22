"""Baselines and pooled figures of whole runs beside plain pandas, on the runners, and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import content, finish, process

HOUR = 3600
SCHEMA = """\
name = "s"
time = "t"
target = "y"
[features]
numeric = ["x"]
categorical = ["c"]
"""
MORE = '[baseline]\nseason = "90m"\nby = ["c"]\n[figures]\nby = "c"\n'
CADENCE = ("--window", "1h", "--every", "1h", "--latency", "15m", "--batch-rows", "150")


def write_stream(home: Path, schema: str) -> pd.DataFrame:
    """Two files with gaps, nulls and rows out of order; gives their rows."""
    rng = np.random.default_rng(1)
    frames = []
    for file in range(2):
        times = np.sort(rng.uniform(0, HOUR * 44, 1_500))
        times = times[(times < HOUR * 6) | (times > HOUR * (30 + file))]
        times = np.maximum(times - rng.uniform(0, 600, len(times)), 0).round(3)
        x = rng.normal(size=len(times))
        y = 100 + 10 * np.sin(times / 7_000) + x + rng.normal(size=len(times))
        frame = pd.DataFrame(
            {
                "t": pd.to_datetime(times, unit="s", origin="2026-01-01").astype(str),
                "x": x,
                "c": rng.choice(list("abcdefghijklm"), len(times)),
                "y": np.where(rng.random(len(times)) < 0.1, np.nan, y),
            }
        )
        frame.to_csv(home / f"in{file}.csv", index=False)
        frames.append(frame.assign(file=file))
    (home / "s.toml").write_text(schema)
    rows = pd.concat(frames, ignore_index=True).assign(t=lambda all: pd.to_datetime(all["t"]))
    return rows.rename_axis("id").reset_index()


def run(home: Path, output: Path, *options: str) -> None:
    """Runs the job on the stream."""
    given = ("--input", f"{home}/in*.csv", "--schema", home / "s.toml", "--learner", "ridge")
    result = finish(process(*given, *CADENCE, *options, "--output", output))
    assert result.code == 0, result.err


def near(got: float | None, want: float) -> bool:
    """Whether a figure is the expected one, of which NaN stands for null."""
    return np.isnan(want) if got is None else got == pytest.approx(want, rel=1e-12)


def check(folder: Path, rows: pd.DataFrame, more: bool) -> None:
    """Checks every report of a run against its rows and predictions."""
    read = [pd.read_parquet(path) for path in sorted(folder.glob("predictions/*/*.parquet"))]
    rows = rows.merge(pd.concat(read)[["id", "prediction"]], on="id").dropna(subset="y")
    rows["slot"], rows["refresh"] = rows["t"].dt.floor("15min"), rows["t"].dt.floor("1h")
    rows = rows.sort_values(["slot", "file", "id"])
    rows["last"] = rows.groupby("c" if more else "file")["y"].shift(1)
    micros = rows["t"].astype("datetime64[us]").astype("int64")
    rows["season"] = micros // (90 * 60 * 1_000_000 // 24) % 24
    past: list[dict[str, tuple[int, float]]] = []
    for path in sorted(folder.glob("metrics/*.json")):
        report = json.loads(path.read_text())
        start = pd.Timestamp(report["refresh_start"]).tz_localize(None)
        mine = rows[(rows["refresh"] == start) & rows["prediction"].notna()]
        assert report["labelled"] == len(mine)
        if not len(mine):
            assert report["baselines"] == {"mean": None, "last": None, "season": None}
            continue
        trained = rows[rows["refresh"] == pd.Timestamp(report["model"][:13]) - pd.Timedelta("1h")]
        predicted = {
            "mean": pd.Series(trained["y"].mean(), mine.index),
            "last": mine["last"],
            "season": mine["season"].map(trained.groupby("season")["y"].mean()),
        }
        if not more:
            predicted["season"] = pd.Series(np.nan, mine.index)
        errors = {name: (mine["y"] - made).abs() for name, made in predicted.items()}
        for name, each in errors.items():
            assert near(report["baselines"][name], each.mean())
            assert report["baseline_rows"][name] == each.count()
        assert near(report["target_mean"], mine["y"].mean())
        assert near(report["target_squares"], ((mine["y"] - mine["y"].mean()) ** 2).sum())
        error = (mine["y"] - mine["prediction"]).abs()
        for name, share in (("p50", 0.5), ("p90", 0.9)):
            exact = error.quantile(share, interpolation="higher")
            low = error.quantile(share, interpolation="lower")
            assert low <= report["absolute_error"][name] <= exact * (1 + 1 / 64)
        best = find_best(past[-20:])
        assert report["best_baseline"] == best
        if best is None:
            assert report["skill_best"] is None
        elif errors[best].count():
            assert near(report["skill_best"], 1 - error.mean() / errors[best].mean())
        past.append({name: (each.count(), each.sum()) for name, each in errors.items()})
        if more:
            check_groups(report["groups"], mine.assign(error=error))
    assert len(past) > 12


def find_best(past: list[dict[str, tuple[int, float]]]) -> str | None:
    """The baseline of least error of those that predict half of the rows."""
    totals = {
        name: np.sum([one[name] for one in past], axis=0) for name in (past[0] if past else ())
    }
    enough = {n: (r, s) for n, (r, s) in totals.items() if r and 2 * r >= totals["mean"][0]}
    return min(enough, key=lambda name: enough[name][1] / enough[name][0], default=None)


def check_groups(found: dict[str, object], mine: pd.DataFrame) -> None:
    """Checks the errors of the values with the most rows."""
    by = mine.groupby("c")["error"].agg(["count", "mean", "sum"])
    ranked = by.sort_values("count", ascending=False, kind="stable")
    values = found["values"]
    assert isinstance(values, list)
    assert [one["value"] for one in values] == list(ranked.index[:10])
    for one in values:
        assert one["labelled"] == by["count"][one["value"]]
        assert near(one["mae"], by["mean"][one["value"]])
    rest = ranked[10:]
    assert found["others"] == len(rest)
    if len(rest):
        other = found["other"]
        assert isinstance(other, dict)
        assert other["labelled"] == rest["count"].sum()
        assert near(other["mae"], rest["sum"].sum() / rest["count"].sum())


@pytest.mark.parametrize("more", [False, True], ids=["plain", "season and entities"])
def test_baselines_of_a_run_are_those_of_pandas_with_gaps_and_rows_out_of_order(
    more: bool, tmp_path: Path
) -> None:
    rows = write_stream(tmp_path, SCHEMA + (MORE if more else ""))
    run(tmp_path, tmp_path / "run")
    check(tmp_path / "run", rows, more)


@pytest.mark.slow
def test_a_resumed_run_and_another_cut_have_the_same_baselines(tmp_path: Path) -> None:
    rows = write_stream(tmp_path, SCHEMA + MORE)
    run(tmp_path, tmp_path / "run")
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "run", cut)
    (cut / "ended.json").unlink()
    for name in sorted(path.name for path in (cut / "metrics").iterdir())[-6:]:
        (cut / "metrics" / name).unlink()
        (cut / "summaries" / name).unlink(missing_ok=True)
    assert finish(process("--resume", "--output", cut)).code == 0
    assert content(cut) == content(tmp_path / "run")
    run(tmp_path, tmp_path / "other", "--batch-rows", "37")
    check(tmp_path / "other", rows, True)


@pytest.mark.slow
@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_baselines_have_the_same_bytes_on_prism(tmp_path: Path) -> None:
    write_stream(tmp_path, SCHEMA + MORE)
    for runner in ("direct", "prism"):
        run(tmp_path, tmp_path / runner, "--runner", runner)
    assert content(tmp_path / "prism") == content(tmp_path / "direct")
