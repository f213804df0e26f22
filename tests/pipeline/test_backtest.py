"""backtest: the job on a table of this process; held to what the command line writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss

from model.errors import UserError
from pipeline import backtest, sweep
from tests.kit.job import Job

PLAIN = {"name": "s", "time": "at", "target": "y", "features": {"numeric": ["x", "z"]}}
RICH = {
    **{"name": "s", "time": "at", "target": "y", "id": "key", "keep": ["note", "x"]},
    "features": {"numeric": ["x"], "categorical": ["c"]},
}


def frame(rows: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Hours of a target that changes with two numbers and a category; some of all are missing."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "at": pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC"),
            "x": rng.normal(size=rows),
            "z": rng.normal(size=rows),
            "c": rng.choice(["a", "b", "ç"], rows),
            "key": [f"k{n}" for n in range(rows)],
            "note": rng.choice(["n", ""], rows),
        }
    )
    made["y"] = 2 * made.x + made.z**2 + (made.c == "a") * 3 + rng.normal(size=rows)
    made.loc[::50, "y"] = np.nan
    made.loc[::70, "x"] = np.nan
    return made


def untidy() -> pd.DataFrame:
    """The same in no order, with three gaps and rows that break the schema."""
    made = frame().astype({"at": "datetime64[us, UTC]"})
    made = made.drop(index=[*range(200, 900), *range(1200, 1300), *range(1700, 1720)])
    made.loc[[3, 950], "x"] = np.inf
    made.loc[7, "at"] = pd.NaT
    return made.sample(frac=1, random_state=1)


LATER = {**RICH, "label_time": "known", "wait": "3d"}


def delayed(rows: pd.DataFrame, most: float = 4.0) -> pd.DataFrame:
    """The rows with labels that are known up to so many days later, some of them at once."""
    rng = np.random.default_rng(5)
    delay = pd.to_timedelta(rng.uniform(-0.2, most, len(rows)).clip(0), "D").round("s")
    known = (rows["at"] + delay).where(rows["y"].notna())
    return rows.assign(known=known.astype("datetime64[us, UTC]"))


def toml(schema: dict[str, Any]) -> str:
    """A schema as the file that the command line reads."""
    top = {name: value for name, value in schema.items() if name != "features"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
    features = [f"{name} = {json.dumps(value)}" for name, value in schema["features"].items()]
    return "\n".join([*lines, "[features]", *features])


@pytest.mark.parametrize(
    ("rows", "schema", "options"),
    [
        (frame(), PLAIN, {"learner": "ridge", "window": "6d", "every": "2d", "latency": "1d"}),
        (untidy(), RICH, {"learner": "ridge", "window": "9d", "every": "3d", "lag": 2, "keep": 1}),
        (untidy(), PLAIN, {"learner": "ridge", "every": "4d", "window": "8d", "sample_rows": 90}),
        (
            untidy(),
            RICH,
            {"learner": "boosting", "learner_param": {"max_iter": 5}, "window": "10d", "seed": 7},
        ),
        (
            frame(700),
            RICH,
            {"learner": "forest", "learner_param": {"n_estimators": 3}, "window": "10d"},
        ),
        (
            frame(700),
            PLAIN,
            {"learner": "sklearn.tree:DecisionTreeRegressor", "window": "10d", "min_rows": 235},
        ),
        (
            delayed(untidy()),
            LATER,
            {"learner": "ridge", "window": "6d", "every": "2d", "latency": "1d", "lag": 2},
        ),
        (
            delayed(untidy(), most=40.0),
            {**LATER, "wait": "36d"},
            {"learner": "ridge", "window": "4d", "keep": 1, "batch_rows": 20, "offset": "7h"},
        ),
        (
            delayed(frame(700)),
            LATER,
            {"learner": "forest", "learner_param": {"n_estimators": 3}, "window": "5d"},
        ),
    ],
)
def test_figures_predictions_and_models_are_the_commands_to_the_last_digit(
    rows: pd.DataFrame, schema: dict[str, Any], options: dict[str, Any], home: Path, job: Job
) -> None:
    rows.to_parquet("rows.parquet", index=False)
    Path("s.toml").write_text(toml(schema))
    argv: list[object] = ["--input", "rows.parquet", "--schema", "s.toml", "--output", "o"]
    for name, value in options.items():
        for text in [f"{k}={v}" for k, v in value.items()] if name == "learner_param" else [value]:
            argv += ["--" + name.replace("_", "-"), text]
    job.ran(*argv)
    found = backtest(rows, schema, **options)

    reports = [json.loads(path.read_text()) for path in sorted(Path("o/metrics").glob("*.json"))]
    assert len(reports) > 2
    for report in reports:
        del report["files"]
    assert [m.model_dump(mode="json", exclude={"files"}) for m in found.metrics] == reports
    assert found.reports["mae"].to_pylist() == [report["mae"] for report in reports]
    models = {path.parent.name: path.read_bytes() for path in Path("o/models").glob("*/*.joblib")}
    assert models
    assert {name: model.data for name, model in found.models.items()} == models
    skipped = [path.read_bytes() for path in sorted(Path("o/skipped").glob("*.json"))]
    assert [skip.as_json() for skip in found.skipped] == skipped
    alerts = [path.read_text() for path in sorted(Path("o/alerts").glob("*.ndjson"))]
    assert [a.model_dump_json() for a in found.alerts] == "".join(alerts).splitlines()
    files = sorted(Path("o/predictions").glob("*/*.parquet"))
    table = pa.concat_tables([pq.read_table(path) for path in files])
    keys = [("time", "ascending"), ("id", "ascending")]
    assert found.predictions.sort_by(keys).combine_chunks() == table.sort_by(keys).combine_chunks()
    cohorts = [path.read_bytes() for path in sorted(Path("o/cohorts").glob("*.json"))]
    assert [cohort.as_json() for cohort in found.cohorts] == cohorts
    outcomes = [pq.read_table(path) for path in sorted(Path("o/outcomes").glob("*/*.parquet"))]
    if schema.get("label_time"):
        assert cohorts and outcomes
        keys = [("label_time", "ascending"), ("id", "ascending")]
        answered = pa.concat_tables(outcomes).sort_by(keys)
        assert found.outcomes.combine_chunks() == answered.combine_chunks()


class Capsule:
    """A table of an unknown library: all that is known of it is the Arrow interface."""

    def __init__(self, table: pa.Table) -> None:
        self.__arrow_c_stream__ = table.__arrow_c_stream__


def test_tables_of_all_kinds_give_the_same() -> None:
    rows = frame(1_000)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    view = table.set_column(3, "c", table["c"].cast(pa.string_view()))
    options: dict[str, Any] = {"learner": "ridge", "window": "7d"}
    expected = backtest(rows, RICH, **options).predictions
    for other in (table, Capsule(table), view, table.to_batches()[0], table.to_reader()):
        assert backtest(other, RICH, **options).predictions == expected
    assert backtest(rows.set_index("at"), RICH, **options).predictions == expected


def test_predictions_are_those_of_scikit_learn_on_the_window_before() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = frame(1_000).dropna()
    days = (rows["at"] - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("7d")
    found = backtest(rows, PLAIN, learner="ridge", window="7d").predictions.to_pandas()
    for day in sorted(days.unique())[1:]:
        before, now = rows[days == day - 1], rows[days == day]
        model = make_pipeline(StandardScaler(), Ridge()).fit(before[["x", "z"]], before["y"])
        mine = found.set_index("time").loc[now["at"], "prediction"]
        np.testing.assert_allclose(mine, model.predict(now[["x", "z"]]), rtol=1e-9)


def test_features_are_guessed_by_the_columns_types() -> None:
    rows = frame(1_000).assign(flag=True, when=pd.Timestamp("2026-01-01"))
    found = backtest(rows, time="at", target="y", learner="ridge", window="7d")
    assert found.schema.numeric == ("x", "z", "flag")
    assert found.schema.categorical == ("c", "note")  # not the keys, of which no two are equal
    only = backtest(rows, time="at", target="y", numeric=["z"], learner="ridge", window="7d")
    assert (only.schema.numeric, only.schema.categorical) == (("z",), ())


def test_without_a_window_one_is_chosen_that_fits_the_rows() -> None:
    found = backtest(frame(1_000), PLAIN, learner="ridge")
    assert found.settings.window == 7 * 86_400
    assert any("windows of 7 days" in line for line in found.messages)


def test_models_predict_other_tables() -> None:
    rows = frame(1_000)
    found = backtest(rows, RICH, learner="ridge", window="7d")
    assert list(found.models)[-1] == found.models.newest.name == "20250213T000000Z"
    predictions = found.predictions.to_pandas()
    before, last = predictions["model"].unique()[-2:]
    mine = found.models[last].predict(rows)
    theirs = predictions["prediction"].where(predictions["model"] == last)
    served = theirs.notna().to_numpy()
    np.testing.assert_array_equal(mine[served], theirs[served])
    assert before in found.models
    with pytest.raises(UserError, match="frame: has no column 'c': it has 'at', 'x'"):
        found.models.newest.predict(rows[["at", "x"]])
    with pytest.raises(UserError, match="frame: "):
        found.models.newest.predict(rows.assign(x="text"))


def test_a_regressor_names_its_class_and_what_differs_from_its_defaults() -> None:
    from sklearn.linear_model import Ridge

    rows = frame(1_000)
    by_name = backtest(
        rows, PLAIN, learner="sklearn.linear_model:Ridge", learner_param={"alpha": 3.0}, window="7d"
    )
    by_example = backtest(rows, PLAIN, learner=Ridge(alpha=3.0), window="7d")
    assert by_example.predictions == by_name.predictions
    assert by_example.settings.learner_param == {"alpha": 3.0}


def test_a_notebook_shows_figures_and_pictures() -> None:
    found = backtest(frame(1_000), PLAIN, learner="ridge", window="7d")
    shown = found._repr_html_()
    assert shown.count("<svg") == 2
    assert "20250206T000000Z" in shown
    assert repr(found) == f"<backtest of 1,000 rows: 7 refreshes, MAE {found.mae:.6g}>"


def test_the_error_is_over_all_rows_that_were_predicted() -> None:
    found = backtest(frame(1_000), PLAIN, learner="ridge", window="7d")
    rows = found.predictions.to_pandas().dropna(subset=["target", "prediction"])
    assert found.mae == pytest.approx((rows["target"] - rows["prediction"]).abs().mean())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.iloc[:0], "frame: has no row"),
        (lambda f: f.drop(columns="x"), "frame: has no column 'x'"),
        (lambda f: f.assign(at=pd.NaT), "frame: column 'at'.* none of the 1000 rows"),
        (lambda f: f.assign(at="soon"), "frame: column 'at'.*the first is 'soon'"),
        (lambda f: f.assign(at=True), "frame: column 'at' is of type bool"),
        (lambda f: f.assign(y=[[1]] * len(f)), "frame: column 'y' is of type list"),
        (lambda f: f.assign(x=["1", 2] * (len(f) // 2)), "frame: cannot be read .*column x"),
        (lambda f: f.assign(x=np.inf), "1,000 of 1,000 rows do not fit .* frame:1: column 'x'"),
        (lambda f: f["y"], "frame: is a Series"),
        (lambda f: "rows.csv", "frame: is a str"),
    ],
)
def test_a_table_that_will_not_do_is_refused_in_a_line(change: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        backtest(change(frame(1_000)), PLAIN, learner="ridge", window="7d")
    assert "/tmp" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": "7x"}, "--window 7x"),
        ({"window": "7d", "every": "2d"}, "is not a multiple"),
        ({"learner": "rigde"}, "--learner 'rigde'"),
        ({"learner": 7}, "learner 7: must be a name"),
        ({"learner": "ridge", "learner_param": {"alhpa": 1}}, "alhpa"),
        ({"runner": "prism"}, "runner=: is not an option of this function"),
        ({"time": "at"}, "schema and time= were given"),
    ],
)
def test_an_option_that_will_not_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        backtest(frame(1_000), PLAIN, **options)


def test_a_single_null_time_is_a_reject_with_its_row() -> None:
    rows = frame(1_000)
    rows.loc[4, "at"] = pd.NaT
    found = backtest(rows, PLAIN, learner="ridge", window="7d")
    assert [reject.where for reject in found.rejected] == ["frame:5"]
    assert found.predictions.num_rows == 999
    assert 4 not in found.predictions["id"].to_pylist()


def test_labels_that_come_later_may_be_named_without_a_schema() -> None:
    rows = delayed(frame(1_000))
    named: Any = {"time": "at", "target": "y", "numeric": ["x", "z"], "label_time": "known"}
    found = backtest(rows, **named, wait="3d", learner="ridge", window="5d")
    schema = {**PLAIN, "label_time": "known", "wait": "3d"}
    assert found.metrics == backtest(rows, schema, learner="ridge", window="5d").metrics
    assert found.reports["answered"].to_pylist() == [m.answered for m in found.metrics]
    answered = found.outcomes.to_pandas().dropna(subset=["prediction"])
    errors = (answered["prediction"] - answered["target"]).abs()
    assert found.mae == pytest.approx(errors.mean())
    with pytest.raises(UserError, match="label_time needs wait"):
        backtest(rows, **named, learner="ridge")


def test_a_backtest_of_classes_has_their_figures_and_no_mean_absolute_error() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    kind = np.where(rng.random(300) < 1 / (1 + np.exp(-2 * x)), "yes", "no")
    frame = pd.DataFrame({"t": 1_700_000_040 + np.arange(300), "x": x, "y": kind})
    keys = {"name": "s", "time": "t", "target": "y", "task": "classification"}
    schema = {**keys, "features": {"numeric": ["x"]}}
    found = backtest(frame, schema, learner="logistic", window=60)
    table = found.predictions.to_pandas().dropna(subset=["score"])
    wanted = log_loss(table["target"] == "yes", table["score"])
    assert found.log_loss == pytest.approx(wanted, abs=1e-9) and found.mae is None
    assert f"log loss {wanted:.4g}"[:13] in repr(found)
    assert "log loss" in found._repr_html_() and "MAE" not in found._repr_html_()
    assert found.reports["log_loss"].to_pylist() == [one.log_loss for one in found.metrics]
    assert "mae" not in found.reports.column_names
    with pytest.raises(UserError, match=r"pipeline\.backtest"):
        sweep(frame, schema, learners=["logistic"], windows=[60])
