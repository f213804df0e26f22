"""Labels that are rejected, or of no question: how a run ends, and what it shows of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from model.asof import format_iso
from model.batch import SECOND
from model.cohorts import Clock
from pipeline.label_ids import FirstRows, SeenIds, describe_mismatch, warn_of_ids
from tests.kit.job import Job, Told

SCHEMA = """\
name = "s"
time = "t"
target = "y"
id = "k"
wait = "5m"
[features]
numeric = ["x"]
[labels]
id = "k"
target = "y"
time = "known"
"""
CLOCK = Clock(60 * SECOND, 600 * SECOND)
ARGV = ("--input", "asked.csv", "--labels", "known.csv", "--schema", "s.toml", "--learner", "ridge")
COUNT = 240


def write(ids: list[str], targets: list[str] | None = None, later: int = 90) -> pd.DataFrame:
    """Questions of four minutes, a second apart, with keys from 0; and labels with some ids."""
    asked = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(range(COUNT), unit="s")
    known = asked + pd.Timedelta(seconds=later)
    form = "%Y-%m-%dT%H:%M:%SZ"
    questions = pd.DataFrame({"t": asked.strftime(form), "k": range(COUNT), "x": range(COUNT)})
    questions.to_csv("asked.csv", index=False)
    targets = [str(n % 7 + 0.5) for n in range(COUNT)] if targets is None else targets
    labels = pd.DataFrame({"known": known.strftime(form), "k": ids, "y": targets})
    labels.to_csv("known.csv", index=False)
    Path("s.toml").write_text(SCHEMA)
    return labels


def run(job: Job, *argv: str) -> Told:
    return job(*ARGV, "--output", "o", *argv)


def check_sum() -> dict[str, int]:
    """The totals, in which every label that was read counts once."""
    ended: dict[str, int] = json.loads(Path("o/ended.json").read_bytes())
    others = ("duplicates", "conflicts", "orphans", "label_late", "labels_rejected", "labels_open")
    assert ended["labels_read"] == COUNT
    assert ended["answered"] - ended["missing"] + sum(ended[name] for name in others) == COUNT
    return ended


def test_rejected_labels_count_as_rejected_rows_do(job: Job) -> None:
    bad = 100  # not most, or the file is refused at once
    targets = ["inf"] * bad + [str(n % 7 + 0.5) for n in range(COUNT - bad)]
    write([str(n) for n in range(COUNT)], targets)
    result = run(job, "--max-rejected", "0.4")
    assert result.code == 1
    assert result.error == (
        "error: 100 of 240 labels (42%) were rejected, more than --max-rejected 0.4:"
    )
    lines = result.err.splitlines()
    assert lines[lines.index(result.error) + 1].startswith("  100 labels: as known.csv:")
    assert "100 rejected labels: see o/rejected/*/labels-*.ndjson" in result.out.splitlines()
    assert len([*Path("o/rejected").glob("*/labels-*.ndjson")]) > 0
    assert check_sum()["labels_rejected"] == bad
    assert run(job, "--max-rejected", "0.5", "--overwrite").code == 0


def test_text_where_numbers_are_predicted_is_an_error_at_the_start(job: Job) -> None:
    write([str(n) for n in range(COUNT)], ["late"] * COUNT)
    result = run(job)
    assert result.code != 0
    assert result.error.startswith("error: known.csv: column 'y' (the target): 240 of the first")
    assert not Path("o/metrics").exists()


def test_labels_whose_ids_are_spelled_otherwise_are_shown_with_an_example(job: Job) -> None:
    write([f"{n:06d}" for n in range(COUNT)])
    result = run(job)
    ended = check_sum()
    assert ended["answered"] == 0
    last = pd.Timestamp("2026-01-01T00:05:00Z")  # what is known from here on is open
    known = pd.to_datetime(pd.read_csv("known.csv")["known"])
    assert ended["labels_open"] == int((known >= last).sum())
    assert ended["orphans"] == int((known < last).sum())
    [line] = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert line == (
        f"warning: {ended['orphans']} of {ended['orphans']} labels (100%) are orphans, of no "
        "question: ids are compared as text, and a label has '000000' where a question has '0': "
        "write both alike"
    )


@pytest.mark.parametrize(("missing", "then"), [(None, "expires"), ("0", "is answered by missing")])
def test_files_of_labels_without_a_row_are_a_warning(
    job: Job, missing: str | None, then: str
) -> None:
    write([str(n) for n in range(COUNT)])[:0].to_csv("known.csv", index=False)
    Path("s.toml").write_text(SCHEMA + (f"missing = {missing}" if missing else ""))
    result = job("check", *ARGV, "--window", "1m")
    assert f"warning: --labels known.csv: has no labels: each question {then}" in (
        result.err.splitlines()
    )


def test_what_is_noted_of_files_of_labels_is_shown_as_of_questions(job: Job) -> None:
    write([str(n) for n in range(COUNT)]).to_csv("again.csv", index=False)
    Path("empty.csv").touch()
    names = "{known,again,empty}.csv"
    for result in (
        job(*ARGV, "--labels", names, "--output", "o"),
        job("check", *ARGV, "--labels", names, "--window", "1m"),
    ):
        assert result.code == 0
        lines = result.err.splitlines()
        assert "--labels: 1 left out (empty files (0 bytes)): empty.csv" in lines
        assert "--labels: the same rows are read twice: known.csv and again.csv" in lines
    result = job(*ARGV, "--labels", "none*.csv", "--output", "p")
    assert result.error == "error: --labels none*.csv: no file matches"


def test_new_files_with_rows_of_what_was_reported_are_refused_by_name(job: Job) -> None:
    labels = write([str(n) for n in range(COUNT)])
    names = ("--input", "asked*.csv", "--labels", "known*.csv")
    assert run(job, *names).code == 0
    end = "2026-01-01T00:06:00Z"  # of the refresh that holds the newest label
    before = {path: path.read_bytes() for path in Path("o/metrics").iterdir()}
    for name, rows, option in (
        ("known2.csv", labels.assign(known="2026-01-01T00:02:00Z"), "--labels"),
        # more of a minute that a server had begun to record when the run began
        ("asked2.csv", pd.read_csv("asked.csv").assign(t="2026-01-01T00:05:59Z"), "--input"),
    ):
        rows.to_csv(name, index=False)
        result = job("--resume", "--output", "o")
        assert result.code == 2
        assert result.error.startswith(f"error: --resume o: {name} (from ")
        assert result.error.endswith(
            f"new, with rows before {end}, up to which the run has reported: move it out of "
            f"{option}, or begin a new run with another --output"
        )
        Path(name).unlink()
    assert {path: path.read_bytes() for path in Path("o/metrics").iterdir()} == before


def seen(questions: list[tuple[str, int]], labels: list[tuple[str, int]]) -> SeenIds:
    """First rows, of ids and seconds."""
    columns = [pd.DataFrame(rows, columns=["id", "time"]) for rows in (questions, labels)]
    rows = [FirstRows(one["id"].tolist(), one["time"].to_numpy() * SECOND) for one in columns]
    return SeenIds(*rows)


@pytest.mark.parametrize(
    ("label", "question"),
    [("0042", "42"), ("42", "0042"), ("UA42", "ua42"), (" 42", "42"), ("42.0", "42")],
)
def test_ids_are_alike_whatever_zeros_spaces_and_letters(label: str, question: str) -> None:
    line = describe_mismatch(seen([("7", 0), (question, 0)], [(label, 0)]), CLOCK)
    assert f"a label has {label!r} where a question has {question!r}" in line


def test_ids_that_are_others_are_not_taken_for_other_spellings() -> None:
    line = describe_mismatch(seen([("420", 0)], [("42", 0)]), CLOCK)
    assert "1 of the first 1 labels have an id that none of the first 1 questions has" in line
    assert "'42'; a question has '420'" in line


def test_check_warns_of_labels_more_than_a_refresh_before_their_question() -> None:
    rows = seen([("a", 3600), ("b", 3600)], [("a", 3599), ("b", 0)])
    [line] = warn_of_ids(rows, CLOCK)
    assert "1 of the first 2 labels are known more than a refresh before" in line
    assert "as 'b': 1970-01-01T00:00:00Z, asked 1970-01-01T01:00:00Z" in line
    assert list(warn_of_ids(seen([("a", 0)], [("a", 1)]), CLOCK)) == []


def test_check_warns_of_labels_most_of_which_come_after_the_wait() -> None:
    asked = [("a", 0), ("a", 3600), ("b", 0), ("c", 0)]
    rows = seen(asked, [("a", 4200), ("b", 601), ("c", 7200)])
    [line] = warn_of_ids(rows, CLOCK)
    assert "2 of the first 3 labels are known after the wait of their question (10 minutes)" in line
    assert "as 'b': 1970-01-01T00:10:01Z, asked 1970-01-01T00:00:00Z" in line
    assert list(warn_of_ids(seen(asked, [("a", 4200), ("b", 601)]), CLOCK)) == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-18_000, "more than a refresh before"), (18_000, "after the wait of their question")],
)
def test_orphans_of_another_time_zone_are_shown_with_both_times(
    seconds: int, expected: str
) -> None:
    line = describe_mismatch(seen([("a", 20_000)], [("a", 20_000 + seconds)]), CLOCK)
    assert f"1 of the first 1 labels are known {expected}" in line
    assert f"asked {format_iso(20_000 * SECOND)}" in line


def test_check_warns_of_ids_of_label_times_and_of_a_long_wait(job: Job) -> None:
    write([f"{n:06d}" for n in range(COUNT)])
    result = job("check", *ARGV, "--every", "1s", "--window", "1m")
    assert result.code == 0
    warnings = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert warnings[0].startswith("warning: wait spans 300 refreshes, more than 200: each refresh")
    assert "a label has '000000' where a question has '0'" in warnings[1]
    assert len(warnings) == 2
    write([str(n) for n in range(COUNT)], later=-3600)
    result = job("check", *ARGV, "--window", "1m")
    [warning] = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert "240 of the first 240 labels are known more than a refresh before" in warning
    assert "wait = 5 minutes: questions stay open for up to 5 refreshes; they wait in files" in (
        result.out
    )
