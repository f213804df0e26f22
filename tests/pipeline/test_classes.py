"""The whole job on classes: what plain scikit-learn gives in a loop over the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from model.runs import RunFolder
from model.store import Store
from pipeline.testing import run_graph

WINDOW, WINDOWS = 60, 8
SCHEMA = """
name = "made"
time = "t"
target = "y"
task = "classification"
{more}
[features]
numeric = ["a", "b"]
"""


def make_rows(names: list[Any], seed: int, shares: list[float] | None = None) -> list[Any]:
    """Ten rows a second whose class goes with two numbers."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(WINDOW * WINDOWS * 5):
        place = int(rng.choice(len(names), p=shares))
        a, b = rng.normal(size=2) + np.array([place, -place])
        entity = "pqr"[i * i % 3]
        rows.append({"t": i / 5, "y": names[place], "a": float(a), "b": float(b), "c": entity})
    return rows


def write_schema(folder: Path, more: str = "") -> str:
    path = folder / "schema.toml"
    path.write_text(SCHEMA.format(more=more))
    return str(path)


def run(rows: list[Any], tmp_path: Path, more: str = "", **options: Any) -> RunFolder:
    schema = write_schema(tmp_path, more)
    chosen = {"learner": "logistic", "window": WINDOW, "keep": 0, **options}
    return run_graph(rows, str(tmp_path / "run"), schema_file=schema, **chosen)


def matrix(rows: list[Any]) -> Any:
    return np.array([[row["a"], row["b"]] for row in rows])


def by_window(rows: list[Any]) -> list[list[Any]]:
    return [[r for r in rows if r["t"] // WINDOW == w] for w in range(WINDOWS)]


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def expected(rows: list[Any], learner: Any) -> dict[int, tuple[list[str], Any]]:
    """Of each row the classes and probabilities that a plain loop gives, by the row's id."""
    found, model = {}, None
    for window in by_window(rows):
        if model is not None:
            scaler, fitted = model
            for row, p in zip(
                window, fitted.predict_proba(scaler.transform(matrix(window))), strict=True
            ):
                found[round(row["t"] * 5)] = (list(fitted.classes_), p)
        labels = [as_text(row["y"]) for row in window if row["y"] is not None]
        known = [row for row in window if row["y"] is not None]
        if len(set(labels)) > 1:
            scaler = StandardScaler().fit(matrix(known))
            model = scaler, learner().fit(scaler.transform(matrix(known)), labels)
    return found


def predictions(folder: RunFolder) -> list[dict[str, Any]]:
    paths = sorted(Path(folder.predictions).glob("*/*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


LEARNERS = {
    "logistic": lambda: LogisticRegression(max_iter=1_000, random_state=42),
    "forest": lambda: RandomForestClassifier(n_estimators=20, min_samples_leaf=3, random_state=42),
}
STREAMS: dict[str, tuple[list[Any], list[float] | None]] = {
    "two": (["no", "yes"], None),
    "booleans": ([False, True], [0.9, 0.1]),
    "numbers": ([10, 9, 8], None),
    "rare": (["ok", "fraud"], [0.995, 0.005]),
}


@pytest.mark.parametrize(
    ("stream", "learner"), [*zip(STREAMS, [*LEARNERS, *LEARNERS], strict=True)]
)
def test_probabilities_are_those_of_a_plain_loop(stream: str, learner: str, tmp_path: Path) -> None:
    rows = make_rows(STREAMS[stream][0], 5, STREAMS[stream][1])
    wanted = expected(rows, LEARNERS[learner])
    options: dict[str, Any] = {} if learner == "logistic" else {"learner_param": FOREST}
    by = 'keep = ["c"]\nbaseline = {by = ["c"]}' if stream == "numbers" else ""
    folder = run(rows, tmp_path, by, learner=learner, **options)
    check_baselines(folder, rows, by_entity=bool(by))
    found = predictions(folder)
    assert len(found) == len(rows)
    for row in found:
        assert row["target"] == as_text(rows[row["id"]]["y"])
        if row["id"] not in wanted:
            assert row["prediction"] is row["score"] is row["probabilities"] is None
            continue
        classes, p = wanted[row["id"]]
        probabilities = dict(row["probabilities"])
        for name, value in zip(classes, p, strict=True):
            assert probabilities[name] == pytest.approx(value, abs=1e-9)
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-12)
        if abs(max(p) - sorted(p)[-2]) > 1e-9:
            assert row["prediction"] == classes[int(np.argmax(p))]


def check_baselines(folder: RunFolder, rows: list[Any], by_entity: bool) -> None:
    """Checks the baselines of all reports against plain pandas."""
    frame = pd.DataFrame(rows)
    frame["window"], frame["y"] = frame["t"] // WINDOW, frame["y"].map(as_text)
    frame["last"] = (frame.groupby("c") if by_entity else frame)["y"].shift(1)
    past: list[dict[str, tuple[int, float]]] = []
    for number, report in enumerate(folder.reports()):
        found = report.baselines, report.baseline_accuracy, report.baseline_rows
        losses, accuracy, counts = (one.model_dump() for one in found if one is not None)
        if report.model is None:
            assert losses == accuracy == {"shares": None, "last": None}
            continue
        trained = max(w for w in range(number) if frame[frame["window"] == w]["y"].nunique() > 1)
        mine, known = frame[frame["window"] == number], frame[frame["window"] == trained]
        shares = known["y"].value_counts(normalize=True).sort_index()
        chances = mine["y"].map(shares).fillna(0.0).clip(lower=1e-15)
        last = mine.dropna(subset="last")
        missed = (last["last"] != last["y"]).to_numpy()
        sums = {
            "shares": (len(mine), float(-np.log(chances).sum())),
            "last": (len(last), float(-np.log(np.where(missed, 1e-15, 1.0)).sum())),
        }
        assert counts == {name: count for name, (count, _) in sums.items()}
        for name, (count, total) in sums.items():
            assert losses[name] == pytest.approx(total / count, abs=1e-9)
        assert losses["shares"] == report.baseline_log_loss
        assert accuracy["shares"] == pytest.approx((mine["y"] == shares.idxmax()).mean())
        assert accuracy["last"] == pytest.approx(1 - missed.mean())
        totals = {name: sum(one[name][1] for one in past) for name in sums}
        best = min(totals, key=totals.__getitem__) if past else None
        assert report.best_baseline == best
        if best is not None:
            assert report.log_loss is not None and losses[best] > 0
            assert report.skill_best == pytest.approx(1 - report.log_loss / losses[best])
        past.append(sums)
    assert len(past) == WINDOWS - 1


FOREST = {"n_estimators": 20, "min_samples_leaf": 3}


def test_a_changed_share_of_a_predicted_class_is_an_alert_that_names_it(tmp_path: Path) -> None:
    changed, refreshes, rows = 45, 49, 60
    rng = np.random.default_rng(0)
    found = []
    for i in range(refreshes * rows):
        y = int(rng.random() < (0.6 if i // rows >= changed else 0.1))
        a = 4 * y + float(rng.normal())
        found.append({"t": i * WINDOW / rows, "y": ["no", "yes"][y], "a": a, "b": -a})
    folder = run(found, tmp_path, window=10 * WINDOW, every=WINDOW, gate="none")
    counts = pd.DataFrame(predictions(folder)).dropna(subset="prediction")
    minutes = counts.groupby(counts["id"] // rows)["prediction"]
    for minute, report in enumerate(folder.reports()[1:], start=1):
        assert report.drift is not None
        wanted = minutes.get_group(minute).value_counts(normalize=True)
        assert report.drift.shares == {
            name: pytest.approx(wanted.get(name, 0)) for name in ("no", "yes")
        }
    alerts = [alert for name in folder.alerted() for alert in folder.read_alerts(name)]
    assert all(int(alert.refresh_start[14:16]) >= changed for alert in alerts)
    named = [alert for alert in alerts if alert.what == "share"]
    assert int(named[0].refresh_start[14:16]) < changed + 3
    assert (named[0].column, named[0].predicted) == ("prediction", "yes")
    assert named[0].usual == pytest.approx(0.1, abs=0.05) and named[0].value > 0.4


def splitmix64(x: int) -> int:
    """Steele, Lea and Flood 2014, in Python's whole numbers."""
    most = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & most
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & most
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & most
    return x ^ (x >> 31)


def test_a_sample_of_1_in_1000_is_that_of_plain_scikit_learn_with_the_same_weights(
    tmp_path: Path,
) -> None:
    size, kept = 4_000, 500
    rng = np.random.default_rng(1)
    fraud = rng.random(2 * size) < 0.001
    a, b = rng.normal(size=(2, 2 * size)) + 2 * fraud
    names = np.where(fraud, "fraud", "ok")
    rows = [
        {"t": i * WINDOW / size, "y": str(names[i]), "a": float(a[i]), "b": float(b[i])}
        for i in range(2 * size)
    ]
    options: dict[str, Any] = {"sample_rows": kept, "batch_rows": 997, "gate": "none"}
    found = predictions(run(rows, tmp_path, 'positive = "fraud"', **options))
    rare, others = np.flatnonzero(fraud[:size]), np.flatnonzero(~fraud[:size])
    least = sorted(others, key=lambda row: splitmix64(int(row)))[: kept - len(rare)]
    sample = np.sort(np.concatenate([rare, least]))
    weights = np.where(fraud[sample], 1.0, len(others) / len(least))
    matrix = np.column_stack([a, b])
    scaler = StandardScaler().fit(matrix[:size])
    model = LEARNERS["logistic"]()
    model.fit(scaler.transform(matrix[sample]), names[sample], sample_weight=weights)
    wanted = model.predict_proba(scaler.transform(matrix[size:]))[:, 0]
    scores = {row["id"]: row["score"] for row in found if row["score"] is not None}
    assert len(rare) > 1 and len(scores) == size
    assert np.array([scores[size + i] for i in range(size)]) == pytest.approx(wanted, abs=1e-9)


def test_a_window_of_one_class_makes_no_model_and_the_older_one_serves(tmp_path: Path) -> None:
    rows = make_rows(["no", "yes"], 1)
    for row in rows:
        if row["t"] // WINDOW in (2, 3):
            row["y"] = "no"
    folder = run(rows, tmp_path)
    assert [one.kind for one in folder.skips()] == ["one_class"] * 2
    assert folder.skips()[0].reason == "one class: 300 labelled rows, all of the class 'no'"
    models = [report.model for report in folder.reports()]
    assert models[3] == models[4] == models[2] != models[5]


def test_a_class_that_the_model_has_not_seen_is_counted(tmp_path: Path) -> None:
    rows = make_rows(["a", "b"], 2)
    for row in rows[-100:-50]:
        row["y"] = "c"
    last = run(rows, tmp_path).reports()[-1]
    assert last.unseen == 50
    assert last.confusion is not None and sum(last.confusion["c"].values()) == 50
    assert last.log_loss is not None and last.log_loss > 50 / 300 * -np.log(1e-15)


def test_metrics_and_manifest_have_no_key_of_regression(tmp_path: Path) -> None:
    folder = run(make_rows(["a", "b", "c"], 3), tmp_path)
    written = folder.reports()[-1].model_dump()
    assert not {"mae", "rmse", "r2", "baseline_mae", "target_mean"} & set(written)
    store = Store(folder.models)
    manifest = store.manifest(store.names()[0])
    assert manifest.classes == ("a", "b", "c") and manifest.threshold is None
    assert set(manifest.training.model_dump()) == {"log_loss", "brier", "accuracy", "roc_auc"}


def test_classes_of_the_schema_are_the_models_and_another_target_is_rejected(
    tmp_path: Path,
) -> None:
    rows = make_rows(["no", "yes"], 4)
    rows[7]["y"] = "maybe"
    folder = run(rows, tmp_path, 'classes = ["yes", "no", "never"]')
    assert sum(report.rejected for report in folder.reports()) == 1
    reject = next(Path(folder.rejected).glob("*/*.ndjson")).read_text()
    assert "'maybe': must be one of the classes yes, no, never, or null" in reject
    last = predictions(folder)[-1]
    assert [name for name, _ in last["probabilities"]] == ["yes", "no", "never"]
    assert dict(last["probabilities"])["never"] == 0


def test_a_positive_is_predicted_above_the_threshold_of_the_costs(tmp_path: Path) -> None:
    costs = 'positive = "yes"\ncosts = {fp = 1, fn = 9}\ncalibration = "sigmoid"'
    folder = run(make_rows(["no", "yes"], 6), tmp_path, costs)
    scored = [row for row in predictions(folder) if row["score"] is not None]
    assert {row["prediction"] for row in scored} == {"no", "yes"}
    for row in scored:
        assert (row["prediction"] == "yes") == (row["score"] > 0.1)
    raw = folder.reports()[-1].raw
    assert raw is not None and raw["log_loss"] != folder.reports()[-1].log_loss


def test_a_positive_beside_more_than_one_other_class_makes_no_model_and_says_why(
    tmp_path: Path,
) -> None:
    folder = run(make_rows(["a", "b", "c"], 1)[: 2 * WINDOW * 5], tmp_path, 'positive = "b"')
    reason = "positive goes with 2 classes: 'b' is one, and there are 2 others, as 'a' and 'c'"
    assert [one.kind for one in folder.skips()] == ["fit_failed"] * 2
    assert all(reason in one.reason for one in folder.skips())


def test_a_window_without_the_positive_makes_no_model_and_names_it(tmp_path: Path) -> None:
    rows = make_rows(["a", "b"], 1)[: 2 * WINDOW * 5]
    for row in rows[WINDOW * 5 :]:
        row["y"] = "a"
    [skip] = run(rows, tmp_path, 'positive = "b"').skips()
    assert skip.kind == "one_class" and skip.reason.endswith(
        "all of the class 'a', none of the positive 'b'"
    )


@pytest.mark.parametrize("sliding", [False, True])
def test_until_a_window_has_two_classes_those_of_one_make_models_of_their_shares(
    tmp_path: Path, sliding: bool
) -> None:
    rows = make_rows(["no", "yes"], 1)
    alone = {0: "no", 1: "yes", 2: "yes", 4: "no", 5: "no"}
    for row in rows:
        row["y"] = alone.get(row["t"] // WINDOW, row["y"])
    options: dict[str, Any] = {"gate": "none"}
    if sliding:
        options |= {"window": 2 * WINDOW, "every": WINDOW}
    folder = run(rows, tmp_path, 'classes = ["no", "maybe", "yes"]', **options)
    store = Store(folder.models)
    shares = {
        name: manifest.classes
        for name in store.names()
        if (manifest := store.manifest(name)).learner == "shares"
    }
    served = [report.model for report in folder.reports()]
    found = predictions(folder)
    if sliding:  # the window that ends with the second minute has both classes
        assert list(shares) == served[1:2] == ["19700101T000100Z"]
        assert [skip.window_end[14:16] for skip in folder.skips()] == ["03", "06"]
        return
    assert list(shares) == served[1:4] == [f"19700101T000{m}00Z" for m in (1, 2, 3)]
    assert [skip.window_end[14:16] for skip in folder.skips()] == ["05", "06"]
    assert served[4] == served[5] == served[6] == "19700101T000400Z"
    for row in found:
        minute = rows[row["id"]]["t"] // WINDOW
        if minute in (1, 2, 3):
            name = alone[minute - 1]
            assert (row["prediction"], row["score"]) == (name, 1.0)
            wanted = {each: float(each == name) for each in ("no", "maybe", "yes")}
            assert dict(row["probabilities"]) == wanted
    second = folder.reports()[1]
    assert second.log_loss == second.baseline_log_loss == pytest.approx(-np.log(1e-15))
    assert (second.skill, second.unseen, second.accuracy) == (0, 300, 0)
