"""Classes whose labels are a stream of their own are as if their labels stood in the rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import backtest
from tests.kit.job import content, finish, process

SCHEMA = """\
name = "s"
time = "t"
target = "y"
task = "classification"
id = "k"
wait = "150s"
{more}
[features]
numeric = ["a", "b"]
"""
LABELS = '[labels]\nid = "k"\ntarget = "truth"\ntime = "known"\n'
WORDS = (
    "--window",
    "60",
    "--every",
    "60",
    "--latency",
    "20",
    "--learner",
    "logistic",
    "--keep",
    "0",
)


def make_rows(classes: list[Any]) -> pd.DataFrame:
    """Six minutes of questions; some are never answered, some too late."""
    rng = np.random.default_rng(1)
    count = 1_800
    places = rng.integers(0, len(classes), count)
    delay = rng.integers(0, 120, count)
    delay[:900][rng.random(900) < 0.02] = 200
    seconds = np.arange(count) // 5
    return pd.DataFrame(
        {
            "t": pd.to_datetime(1_700_000_040 + seconds, unit="s"),
            "k": [f"k{i}" for i in range(count)],
            "a": rng.normal(size=count) + places,
            "b": rng.normal(size=count) - places,
            "known": pd.to_datetime(1_700_000_040 + seconds + delay, unit="s"),
            "truth": [classes[place] for place in places],
            "answered": rng.random(count) < 0.95,
            "c": pd.Series(rng.choice(list("pqr"), count)).where(rng.random(count) > 0.1, None),
        }
    )


def write(folder: Path, rows: pd.DataFrame, more: str) -> None:
    """The stream once with labels in its rows, and once in two files of other formats."""
    truth = rows["truth"].where(rows["answered"], None)
    known = rows["known"].where(rows["answered"], pd.NaT)
    whole = rows[["t", "k", "a", "b", "c"]].assign(y=truth, known=known)
    whole.to_parquet(folder / "rows.parquet")
    rows[["t", "k", "a", "b", "c"]].to_csv(folder / "questions.csv", index=False)
    labels = rows[rows["answered"]].sort_values("known", kind="stable")
    labels[["known", "k", "truth"]].to_csv(folder / "labels.csv", index=False)
    together = SCHEMA.format(more=f'label_time = "known"\n{more}')
    (folder / "rows.toml").write_text(together)
    (folder / "labels.toml").write_text(SCHEMA.format(more=more) + LABELS)


def run(folder: Path, name: str, source: str, *more: str) -> Path:
    output = folder / name
    given = ("--input", folder / source, "--schema", folder / f"{name}.toml")
    result = finish(process(*given, *WORDS, *more, "--output", output))
    assert result.code == 0, result.err
    return output


def read(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob(pattern))]


STREAMS: dict[str, tuple[list[Any], str]] = {
    "booleans": ([False, True], 'positive = true\ncalibration = "sigmoid"'),
    "text": (
        ["red", "green", "blue"],
        'classes = ["red", "green", "blue", "never"]\nkeep = ["c"]\nbaseline = {by = ["c"]}',
    ),
    "integers": ([9, 10, 11], ""),
}


def seconds(times: pd.Series) -> pd.Series:
    return (times - pd.Timestamp(0)) / pd.Timedelta("1s")


def check_last(folder: Path, rows: pd.DataFrame, by: str | None) -> None:
    """Checks the baseline ``last`` against pandas: the newest class that was known by then."""
    asked, known = seconds(rows["t"]), seconds(rows["known"])
    frame = pd.DataFrame(
        {
            "id": rows.index,
            "key": rows["k"],
            "slot": asked // 20 * 20,
            "known": known,
            "entity": rows[by] if by else "",
            "truth": rows["truth"],
        }
    )
    in_time = frame[rows["answered"] & (known - asked <= 150)].dropna(subset="entity")
    newest = pd.merge_asof(
        frame.dropna(subset="entity")[["id", "slot", "entity"]],
        in_time.sort_values(["known", "id"])[["known", "entity", "truth"]],
        left_on="slot",
        right_on="known",
        by="entity",
        allow_exact_matches=False,
    ).set_index("id")["truth"]
    predicted = pd.concat(map(pd.read_parquet, sorted(folder.glob("predictions/*/*.parquet"))))
    scored = predicted.dropna(subset="prediction")["key"]
    counted = in_time[in_time["key"].isin(scored)].assign(last=newest).dropna(subset="last")
    reports = read(folder, "metrics/*.json")
    for report in reports:
        start = pd.Timestamp(report["refresh_start"]).timestamp()
        mine = counted[counted["known"] // 60 * 60 == start]
        missed = (mine["truth"] != mine["last"]).to_numpy()
        loss = float(-np.log(1e-15) * missed.mean()) if len(mine) else None
        assert report["baseline_rows"]["last"] == len(mine)
        assert report["baselines"]["last"] == (loss and pytest.approx(loss, rel=1e-12))
        accuracy = 1 - missed.mean() if len(mine) else None
        assert report["baseline_accuracy"]["last"] == (accuracy and pytest.approx(accuracy))
    assert sum(report["baseline_rows"]["last"] for report in reports) > 500


@pytest.mark.parametrize("stream", STREAMS)
def test_figures_and_models_are_those_of_the_same_labels_in_the_rows(
    stream: str, tmp_path: Path
) -> None:
    classes, more = STREAMS[stream]
    rows = make_rows(classes)
    write(tmp_path, rows, more)
    together = run(tmp_path, "rows", "rows.parquet")
    apart = run(tmp_path, "labels", "questions.csv", "--labels", str(tmp_path / "labels.csv"))
    wanted, found = read(together, "metrics/*.json"), read(apart, "metrics/*.json")
    assert len(found) == len(wanted) > 5
    assert sum(one["labelled"] for one in found) > 900
    for mine, other in zip(found, wanted, strict=True):
        for name in ("log_loss", "brier", "accuracy"):
            assert mine[name] == (other[name] and pytest.approx(other[name], rel=1e-9))
        assert (mine["raw"] is None) == (other["raw"] is None)
        for name in ("labelled", "answered", "confusion", "unseen"):
            assert mine[name] == other[name], (name, mine["refresh_start"])
        assert mine["rows"] == other["rows"] and mine["expired"] == other["expired"]
        assert mine["baseline_rows"] == other["baseline_rows"]
        assert mine["baselines"]["last"] == other["baselines"]["last"]
    check_last(together, rows, "c" if "baseline" in more else None)
    models = [read(folder, "models/*/manifest.json") for folder in (apart, together)]
    for mine, other in zip(*models, strict=True):
        assert mine["rows"] == other["rows"] and mine["classes"] == other["classes"]
        losses = (one["training"]["log_loss"] for one in (mine, other))
        assert next(losses) == pytest.approx(next(losses), rel=1e-9)
    answers = pd.concat(map(pd.read_parquet, sorted(apart.glob("outcomes/*/*.parquet"))))
    truth = rows.set_index("k")["truth"].map(
        lambda one: str(one).lower() if stream == "booleans" else str(one)
    )
    assert answers["target"].tolist() == truth[answers["key"]].tolist()
    predicted = pd.concat(map(pd.read_parquet, sorted(apart.glob("predictions/*/*.parquet"))))
    assert predicted["target"].isna().all() and len(predicted) == len(rows)
    if stream == "text":  # one is enough
        options: dict[str, Any] = {"window": 60, "every": 60, "latency": 20, "learner": "logistic"}
        table = pd.read_parquet(tmp_path / "rows.parquet")
        tested = backtest(table, str(tmp_path / "rows.toml"), **options, progress=False)
        replayed = [one.model_dump() for one in tested.metrics]
        assert [one["baselines"] for one in replayed] == [one["baselines"] for one in wanted]
        whole = content(together)
        for path in [*sorted(together.glob("metrics/*.json"))[-3:], together / "ended.json"]:
            path.unlink()
        run(tmp_path, "rows", "rows.parquet", "--resume")
        assert content(together) == whole


def test_what_no_answer_means_may_be_a_class_and_a_resumed_run_writes_the_same_bytes(
    tmp_path: Path,
) -> None:
    rows = make_rows([False, True])
    rows.loc[~rows["truth"], "answered"] = False  # as where only frauds are reported
    write(tmp_path, rows, "")
    with (tmp_path / "labels.toml").open("a") as file:
        file.write("missing = false\n")
    apart = run(tmp_path, "labels", "questions.csv", "--labels", str(tmp_path / "labels.csv"))
    reports = read(apart, "metrics/*.json")
    assert sum(one["missing"] for one in reports) > 300
    answers = pd.concat(map(pd.read_parquet, sorted(apart.glob("outcomes/*/*.parquet"))))
    assert set(answers["target"]) == {"false", "true"}
    whole = content(str(apart))
    for path in [*sorted(apart.glob("metrics/*.json"))[-3:], apart / "ended.json"]:
        path.unlink()
    run(tmp_path, "labels", "questions.csv", "--labels", str(tmp_path / "labels.csv"), "--resume")
    assert content(str(apart)) == whole


def test_a_label_of_a_class_that_the_schema_has_not_is_rejected_and_counted(tmp_path: Path) -> None:
    rows = make_rows(["red", "green", "blue"])
    write(tmp_path, rows, 'classes = ["red", "green"]')
    apart = run(tmp_path, "labels", "questions.csv", "--labels", str(tmp_path / "labels.csv"))
    blue = rows[rows["answered"] & (rows["truth"] == "blue")]
    reports = read(apart, "metrics/*.json")
    assert 0 < sum(one["labels_rejected"] for one in reports) <= len(blue)
    reject = next(iter(sorted(apart.glob("rejected/*/labels-*")))).read_text()
    assert "'blue': must be one of the classes red, green" in reject
