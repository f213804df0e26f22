"""The page: all of a run, in one file, safe whatever the data holds, readable by all."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from model.errors import UserError
from model.runs import RunFolder
from model.store import Store
from monitor.report import artefacts, page
from monitor.report.pictures.texts import figure
from tests.kit.job import GOOD, HEADER, SCHEMA, Job, metrics, models, run_on
from tests.kit.report import MARKUP, Page, with_drift

pytestmark = pytest.mark.filterwarnings("ignore:Glyph .* missing")
"""Names are measured in a font that lacks most letters, and shown in one that has them."""


def make_report(folder: Path, shown: int = 50) -> str:
    """The report of a run."""
    return page.make_page(RunFolder(str(folder)), shown, lambda line: None)


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    """The report of the run of people."""
    return make_report(run)


def test_the_summary_shows_what_ran_and_how_well_it_did(html: str, run: Path) -> None:
    words = Page(html).words
    scored = [r for r in metrics(run) if r["mae"] is not None]
    rows = sum(r["rows"] for r in scored)
    mae, base = (sum(r["rows"] * r[key] for r in scored) / rows for key in ("mae", "baseline_mae"))
    assert f"missed by {figure(mae)} on average" in words
    assert f"missed by {figure(base)} ." in words
    assert f"a skill of {figure(1 - mae / base)}" in words
    read = f"Rows read {sum(r['rows'] for r in metrics(run)):,}"
    for result in ("State done", "Learner forest", "Refreshes 4", read, "Rejected 0"):
        assert result in words
    assert "Latest model 20260101T000400Z" in words
    assert "Event time 2026-01-01 00:00:00 to 2026-01-01 00:04:00 UTC" in words


def test_every_refresh_has_a_line_with_its_figures_the_newest_first(html: str, run: Path) -> None:
    table = html[html.index('id="refreshes"') : html.index('id="models"')]
    lines = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in table.split("<tr>")[2:]]
    for line, report in zip(lines, reversed(metrics(run)), strict=True):
        start = report["refresh_start"].replace("T", " ").removesuffix("Z")
        keys = ("mae", "baseline_mae", "rmse", "r2", "skill_best", "skill")
        counts = [f"{report[key]:,}" for key in ("rows", "late", "rejected")]
        result = [start, report["model"] or "\u2013", *counts, *(figure(report[k]) for k in keys)]
        assert line.startswith(" ".join(result))


def test_every_model_has_its_page(html: str, run: Path) -> None:
    sections = html.split("<details>")[1:]
    assert len(sections) == 4
    for section, (name, manifest) in zip(sections, reversed(models(run).items()), strict=True):
        text = unescape(section)
        assert f'id="model-{name}"' in section
        for result in (
            manifest["sha256"],
            manifest["fingerprint"],
            "n_estimators=5",
            "scikit-learn",
        ):
            assert result in text
        age = manifest["statistics"]["idade"]
        assert f"{age['variance'] ** 0.5:.4g}" in text and f"{age['mean']:.4g}" in text
        states = manifest["statistics"]["estado"]["values"]
        common = max(sorted(states), key=lambda state: states[state])
        assert f"{common} {100 * states[common] / manifest['rows']:.1f} %" in text
    assert "has not served yet" in sections[0] and "has not served yet" not in sections[1]


def test_only_the_newest_models_are_shown_and_the_others_counted(run: Path) -> None:
    two = make_report(run, 2)
    assert re.findall(r'id="model-(\w+)"', two) == ["20260101T000400Z", "20260101T000300Z"]
    assert "The newest 2 of the 4 that are kept." in Page(two).words
    assert re.findall(r'href="#model-(\w+)"', two) == ["20260101T000300Z"]
    none = make_report(run, 0)
    assert "<details>" not in none and "No model is shown." in Page(none).words


def test_all_pictures_are_there(html: str) -> None:
    titles = re.findall(r"<h3>([^<]+)</h3><p>", html)
    errors = ["Mean absolute error", "Skill", "Half and nine tenths of the errors"]
    assert titles[:6] == [*errors, "Rows", "Seconds a fit", "Bytes a model"]
    assert titles[6:9] == [
        "Predicted against actual",
        "Residuals",
        "Residuals against predicted",
    ]
    features = [title for title in titles[9:] if title != "Drift"]
    assert features == ["Feature importance", "salario", "idade", "idh", "estado", "cargo"]
    assert html.count("<svg") == len(titles) == html.count('role="img"')


@pytest.mark.parametrize("folder", ["run", "hostile"])
def test_a_page_asks_for_nothing_and_runs_nothing(
    folder: str, request: pytest.FixtureRequest
) -> None:
    parsed = Page(make_report(request.getfixturevalue(folder)))
    assert not parsed.all("script", "img", "iframe", "object", "embed", "form")
    for _, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "src"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,"))
    [policy] = [m["content"] for m in parsed.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in str(policy)


def test_markup_in_names_values_and_reasons_is_shown_as_it_stands(hostile: Path) -> None:
    html = make_report(hostile)
    words = Page(html).words
    assert "<i>hostile</i> & co" in words and MARKUP in words and '$x$ & "q"' in words
    assert "column 'y': '<img src=x onerror=alert(1)>': must be a finite number" in words
    assert "3 rejected rows by reason" in words
    assert "\ufffdzero\ufffdwidth" in words and "\u202e" not in html  # would turn what follows
    assert not Page(html).all("i", "img")


@pytest.mark.parametrize("folder", ["run", "hostile"])
def test_a_page_can_be_read_by_machines(folder: str, request: pytest.FixtureRequest) -> None:
    html = make_report(request.getfixturevalue(folder))
    parsed = Page(html)
    assert parsed.all("html") == [{"lang": "en"}] and len(parsed.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h\d", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "href"):
        for _, attributes in parsed.tags:
            for word in (attributes.get(name) or "").split():
                assert word.removeprefix("#") in ids or word.startswith("data:")
    for attributes in parsed.all("div"):
        if attributes.get("class") == "scroll":  # who has no mouse must be able to scroll it
            assert attributes["tabindex"] == "0"
            assert attributes.get("aria-label") or attributes["aria-labelledby"]
    assert all("scope" in attributes for attributes in parsed.all("th"))


def test_the_same_folder_gives_the_same_page(run: Path, html: str) -> None:
    assert make_report(run) == html


def test_a_run_that_has_just_begun_has_a_page_that_reports_it(home: Path, run: Path) -> None:
    Path("new").mkdir()
    shutil.copy(run / "settings.json", "new/settings.json")
    words = Page(make_report(Path("new"))).words
    for result in (
        "No refresh has been reported yet.",
        "State unknown",
        "Nothing has been reported yet.",
        "No predictions of rows with a target",
        "No model is kept, so there is no feature importance.",
        "No row was rejected.",
        "Latest model none",
    ):
        assert result in words


def test_one_window_has_rows_and_a_model_but_no_figure(job: Job) -> None:
    job.ran("--refreshes", "1", "--rate", "20", "--learner", "ridge", "--output", "run")
    html = make_report(Path("run"))
    assert "No row has been scored that has a target" in Page(html).words
    assert "<h3>Rows</h3>" in html and "<h3>Mean absolute error</h3>" not in html
    assert "<h3>Feature importance</h3>" in html


def files_run(job: Job, rows: str) -> Path:
    """A run of a CSV file of rows."""
    Path("rows.csv").write_text(HEADER + rows)
    Path("schema.toml").write_text(SCHEMA)
    argv = ("--learner", "ridge", "--window", "60", "--min-rows", "1", "--max-rejected", "1")
    job.ran("--input", "rows.csv", "--schema", "schema.toml", *argv, "--output", "run")
    return Path("run")


def test_a_run_whose_rows_are_all_rejected_reports_it(job: Job) -> None:
    html = make_report(
        files_run(job, "2026-01-01T00:00:00Z,1,inf,a\n2026-01-01T00:00:01Z,1,inf,a\n")
    )
    words = Page(html).words
    assert "No row was accepted: every row broke the schema." in words
    assert "2 rejected rows by reason" in words and "No model is kept." in words
    assert "<h3>Rows</h3>" in html


def test_a_constant_target_has_an_error_and_no_r2(job: Job) -> None:
    rows = [line.split(",") for line in GOOD.splitlines()]
    folder = files_run(job, "".join(f"{t},5,{x},{c}\n" for t, _, x, c in rows))
    assert [r["r2"] for r in metrics(folder)] == [None] * 3
    html = make_report(folder)
    assert "the models missed by 0 on average" in Page(html).words
    assert "a skill of" not in Page(html).words
    assert "<h3>Mean absolute error</h3>" in html


def test_rows_without_a_target_give_a_run_without_a_model(job: Job) -> None:
    rows = [line.split(",") for line in GOOD.splitlines()]
    words = Page(
        make_report(files_run(job, "".join(f"{t},,{x},{c}\n" for t, _, x, c in rows)))
    ).words
    assert "No row has been scored that has a target" in words and "No model is kept." in words


def test_a_run_without_predictions_has_no_pictures_of_them(job: Job) -> None:
    argv = ("--refreshes", "3", "--rate", "20", "--learner", "ridge", "--predictions", "none")
    job.ran(*argv, "--output", "run")
    html = make_report(Path("run"))
    assert "No predictions of rows with a target" in Page(html).words
    assert "all labelled rows of the windows whose models are kept" in Page(html).words
    assert "<h3>idade</h3>" in html and "<h3>Residuals</h3>" not in html


def test_a_damaged_model_is_reported_in_its_section(mine: Path) -> None:
    model = mine / "models" / "20260101T000400Z" / "model.joblib"
    model.write_bytes(model.read_bytes() + b"x")
    words = Page(make_report(mine)).words
    assert "Not opened: model.joblib has SHA-256" in words
    assert "Feature importance of model 20260101T000400Z: it cannot be opened" in words


def test_drift_is_drawn_if_the_reports_have_it() -> None:
    drift = {"features": {"idade": {"psi": 0.4, "mean_shift": 0.1}}, "prediction": None}
    [drawn] = page.drifts([with_drift(0, None), with_drift(1, drift)])
    assert "idade: latest 0.4" in drawn.svg
    assert list(page.drifts([with_drift(0, None)])) == []


KEYED = """\
name = "s"
time = "t"
target = "y"
id = "key of mine"
keep = ["gate"]
[features]
numeric = ["prediction"]
categorical = ["c"]
"""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten days of two minutes each; a category is called other, a feature prediction."""
    rows = "t,y,key of mine,gate,prediction,c\n" + "".join(
        f"2026-01-{day:02d}T00:0{minute}:{second:02d}Z,"
        f"{'' if second == 59 else second + 5 * (second % 3 == 0)},S{second},G{second % 2},"
        f"{'' if second % 20 == 7 else second},{('other', 'red', 'blue')[second % 3]}\n"
        for day in range(1, 11)
        for minute in range(2)
        for second in range(60)
    )
    return run_on(tmp_path_factory.mktemp("keyed"), rows, KEYED)


@pytest.fixture(scope="module")
def keyed_html(keyed: Path) -> str:
    return make_report(keyed)


def test_importance_is_by_column_whatever_categories_are_called(keyed: Path) -> None:
    store = Store(str(keyed / "models"))
    artefact = store.load(store.names()[-1])
    found = artefacts.importance(store, store.names()[-1])
    weights = np.abs(artefact.estimator.coef_)
    assert found.columns == pytest.approx(
        {"prediction": weights[0], "c": weights[1:].sum()}, rel=1e-12
    )
    assert len(found.weights) == len(weights) == 5  # other, red, blue, and every other value
    assert sum(found.weights.values()) == pytest.approx(weights.sum())


def test_the_newest_predictions_are_listed_with_their_keys(keyed: Path, keyed_html: str) -> None:
    words = Page(keyed_html).words
    assert "Newest predictions Of the refresh 20260110T000100Z, the latest row first." in words
    assert "key gate time y prediction model S59 G1 2026-01-10 00:01:59 \u2013 " in words


def test_unlabelled_rows_and_nulls_have_pictures(keyed_html: str, html: str) -> None:
    titles = re.findall(r"<h3>([^<]+)</h3><p>", keyed_html)
    assert "Unlabelled rows" in titles and "Nulls" in titles
    assert not {"Unlabelled rows", "Nulls"} & set(re.findall(r"<h3>([^<]+)</h3><p>", html))


def test_lengths_are_in_units_that_people_use(keyed_html: str) -> None:
    assert "windows of 1 minute, a model every 1 minute." in Page(keyed_html).words


def test_words_are_explained_in_a_glossary_and_at_headings(keyed_html: str) -> None:
    page = Page(keyed_html)
    assert "PSI Population stability index: how far the values of a column have moved" in page.words
    titles = {each.get("title") for each in page.all("th")}
    assert any(title and title.startswith("1 - error / baseline.") for title in titles)


def test_alerts_are_counted_beside_the_link_and_listed(mine: Path) -> None:
    assert "Alerts None: no figure was news" in Page(make_report(mine)).words
    refresh = "20260101T000200Z"
    alert = {"format": 1, "refresh_start": "2026-01-01T00:02:00Z", "model": "20260101T000200Z"}
    alert |= {"what": "psi", "value": 0.512, "threshold": 0.25}
    (mine / "alerts").mkdir(exist_ok=True)
    lines = [json.dumps({**alert, "column": column}) for column in ("idh", MARKUP)]
    (mine / "alerts" / f"{refresh}.ndjson").write_text("\n".join(lines) + "\n")
    html = make_report(mine)
    words = Page(html).words
    assert "Alerts 2 Glossary" in words
    assert "In 1 of 4 refreshes a figure was news beside its own past." in words
    assert "idh 2026-01-01 00:02:00 \u2013 PSI 0.512 \u2013 0.25" in words
    assert MARKUP in words and MARKUP not in html
    (mine / "alerts" / f"{refresh}.ndjson").write_text("{}")
    with pytest.raises(UserError, match="holds no alerts"):
        make_report(mine)


def test_windows_without_a_model_that_serves_are_listed_with_the_reason(mine: Path) -> None:
    skip = {"format": 1, "window_start": "2026-01-01T00:04:00Z", "rows": 3}
    skip |= {"window_end": "2026-01-01T00:05:00Z", "kind": "few_rows", "reason": "3 labelled rows"}
    (mine / "skipped").mkdir(exist_ok=True)
    (mine / "skipped" / "20260101T000500Z.json").write_text(json.dumps(skip))
    words = Page(make_report(mine)).words
    assert "Windows without a model that serves 1 of them" in words
    assert "2026-01-01 00:05:00 3 too few rows: 3 labelled rows" in words


def test_a_run_that_was_killed_is_not_shown_to_be_running(mine: Path) -> None:
    status = json.loads((mine / "status.json").read_text())
    status |= {"state": "running", "updated": "2026-01-01T00:00:00Z"}
    (mine / "status.json").write_text(json.dumps(status))
    assert "State running, but no sign of life for " in Page(make_report(mine)).words
