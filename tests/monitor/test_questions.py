"""The view by question, of a run that goes on and of one that has ended, beside plain pandas."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from model.runs import RunFolder
from monitor.questions import QuestionFollower, follow_reports
from monitor.watch.table import VIEWS
from pipeline.__main__ import main
from pipeline.progress import print_summary
from tests.kit.serve import client
from tests.kit.watch import picture, plain, to_plain

FOLDER_OPTIONS = [
    *("--people-delay", "0..4m", "--refreshes", "12", "--rate", "2", "--learner", "ridge"),
    *("--start", "2026-03-01T00:00:00Z", "--batch-rows", "50"),
]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended with open questions; not to be changed."""
    folder = tmp_path_factory.mktemp("questions") / "ended"
    assert main([*FOLDER_OPTIONS, "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def live(ended: Path) -> Path:
    """The same run when it had reported eight refreshes."""
    folder = ended.parent / "live"
    shutil.copytree(ended, folder)
    first_missing = "20260301T000800Z"
    final = json.loads((ended / "metrics" / "20260301T000700Z.json").read_text())["files"]
    assert any(path.startswith("outcomes/") for path in final)
    for part in ("metrics", "predictions", "outcomes", "sample"):
        for path in folder.glob(f"{part}/*"):
            if path.name.split(".")[0] >= first_missing:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.glob("cohorts/*"):  # of 00:03 it is final at 00:08, in the next refresh
        if path.stem >= "20260301T000300Z":
            path.unlink()
    (folder / "ended.json").unlink()
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "state": "running"}))
    return folder


def count_open(folder: Path) -> pd.Series:
    """How many questions of each refresh have no answer in a run's folder, by its start."""
    asked = pd.concat(map(pd.read_parquet, folder.glob("predictions/*/*.parquet")))
    answered = pd.concat(map(pd.read_parquet, folder.glob("outcomes/*/*.parquet")))
    left = asked[~asked["id"].isin(answered["id"])]
    starts = sorted(asked["time"].dt.floor("1min").unique())
    return left["time"].dt.floor("1min").value_counts().reindex(starts, fill_value=0)


def follow(folder: Path) -> QuestionFollower:
    run = RunFolder(str(folder))
    clock = run.parse_settings(run.read_settings()).clock
    assert clock is not None
    questions = QuestionFollower(run, clock, 60)
    for report in run.reports():  # one after the other, as they come
        questions.look(follow_reports([report]))
    return questions


def test_a_live_run_shows_how_many_questions_of_its_newest_refreshes_are_open(live: Path) -> None:
    expected = count_open(live)
    newest = expected.loc["2026-03-01T00:03:00Z":]  # type: ignore[misc]  # none of these is final
    assert len(newest) == 5 and (newest > 0).all()
    questions = follow(live)
    for start, number in newest.items():
        assert questions.of(f"{start:%Y%m%dT%H%M%SZ}").open == number
    still = questions.open()
    assert still is not None
    assert (still.open, still.asked, still.refreshes) == (newest.sum(), 600, 5)
    assert (still.oldest, still.age) == ("20260301T000300Z", 300)
    run = RunFolder(str(live))
    at_once = QuestionFollower(run, questions._clock, 60)  # by who comes later
    at_once.look(follow_reports(run.reports()))
    assert at_once.open() == still


def test_final_refreshes_have_no_open_question_and_the_figures_of_their_cohorts(
    live: Path,
) -> None:
    questions = follow(live)
    outcomes = pd.concat(map(pd.read_parquet, live.glob("outcomes/*/*.parquet")))
    scored = outcomes.dropna(subset=["prediction"])
    for start in ("20260301T000100Z", "20260301T000200Z"):
        asked = questions.of(start)
        mine = scored[scored["time"].dt.floor("1min") == pd.Timestamp(start)]
        assert asked.open == 0
        assert asked.error == pytest.approx((mine["target"] - mine["prediction"]).abs().mean())


def test_a_run_that_has_ended_shows_what_is_open_by_its_cohorts(ended: Path) -> None:
    cohorts = [json.loads(path.read_text()) for path in ended.glob("cohorts/*.json")]
    still = follow(ended).open()
    assert still is not None
    assert still.open == sum(cohort["open"] for cohort in cohorts) > 0


def test_without_outcomes_it_is_not_known_how_many_are_open(live: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(live, folder)
    shutil.rmtree(folder / "outcomes")
    questions = follow(folder)
    assert questions.open() is None and questions.of("20260301T000700Z").open is None


def test_the_terminal_shows_both_views_and_which_is_which(live: Path) -> None:
    lines = picture(live, plain(170, height=40))
    assert VIEWS in [line.strip() for line in lines]
    assert any("open: " in line and "newest 5 refreshes" in line for line in lines)
    [head] = [number for number, line in enumerate(lines) if line.startswith("refresh (UTC)")]
    titles = re.split(r"\s{2,}", lines[head].strip())
    assert titles[4:7] == ["MAE by label", "MAE by question", "open"]
    run, expected = RunFolder(str(live)), count_open(live)
    for line, report in zip(lines[head + 1 :], run.reports(), strict=True):
        cells = dict(zip(titles, re.split(r"\s{2,}", line.strip()), strict=True))
        start = pd.Timestamp(report.refresh_start)
        if start >= pd.Timestamp("2026-03-01T00:03:00Z"):
            assert (cells["MAE by question"], cells["open"]) == ("-", str(expected[start]))
        elif report.model:
            cohort = json.loads((live / "cohorts" / f"{start:%Y%m%dT%H%M%SZ}.json").read_text())
            shown = float(cells["MAE by question"].split()[0].replace(",", ""))
            assert shown == pytest.approx(cohort["mae"], rel=5e-3)
        if report.mae is not None:
            shown = float(cells["MAE by label"].split()[0].replace(",", ""))
            assert shown == pytest.approx(report.mae, rel=5e-3)


def test_lines_and_the_summary_say_which_view_is_shown(
    ended: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(ended)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("MAE by label" in line for line in lines) == 12
    assert sum("by question: 120 asked" in line for line in lines) == 12
    run, result = RunFolder(str(ended)), plain(170, height=40)
    print_summary(run, result, run.parse_settings(run.read_settings()).clock)
    text = to_plain(result)
    assert "MAE by label" in text and "MAE by question" in text
    assert VIEWS in text and "open: " in text


def test_prometheus_is_shown_cohorts_and_open_questions(live: Path) -> None:
    with client(live) as api:
        text = api.get("/metrics").text
    found = dict(re.findall(r"^correnteza_(\S+) (\S+)$", text, re.MULTILINE))
    expected = count_open(live).loc["2026-03-01T00:03:00Z":]  # type: ignore[misc]
    assert float(found['newest_questions{state="open"}']) == expected.sum()
    assert float(found['newest_questions{state="asked"}']) == 600
    assert float(found["oldest_open_question_seconds"]) == 300
    cohort = json.loads((live / "cohorts" / "20260301T000200Z.json").read_text())
    for name in ("rows", "answered", "expired", "mae", "skill", "r2"):
        assert float(found[f"cohort_{name}"]) == pytest.approx(cohort[name])
    end = pd.Timestamp(cohort["refresh_end"])
    assert float(found["cohort_end_seconds"]) == end.timestamp()


def test_the_report_shows_both_views_and_what_is_open(live: Path, tmp_path: Path) -> None:
    assert main(["report", str(live), "--to", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    assert "Error by question" in text and "By question: of the questions" in text
    assert "By label: of the labels" in text
    number = count_open(live).loc["2026-03-01T00:03:00Z":].sum()  # type: ignore[misc]
    assert f"Open: {number:,} of the 600 questions of the newest 5 refreshes" in text


def test_the_servers_pictures_say_which_view_they_show(live: Path) -> None:
    with client(live) as api:
        group = api.get("/pictures/over-time").json()
    notes = {picture["title"]: picture["note"] for picture in group["pictures"]}
    assert notes["Mean absolute error"].startswith("By label")
    assert notes["Error by question"].startswith("By question")
    assert "the newest 5 refreshes" in notes["Error by question"]
