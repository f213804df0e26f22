"""The end of a run that rejected rows: why, with examples; and when that is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.closing import Rejected, rejection_lines
from tests.kit.job import SCHEMA, Job, Told, metrics, rejects, status


def run(job: Job, broken: dict[int, str], *argv: str, rows: int = 120) -> Told:
    """A run on rows, a second each, of which some are replaced; their lines begin at 2."""
    lines = [f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z,{n},{n % 7},a" for n in range(rows)]
    for number, line in broken.items():
        lines[number] = line
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text("t,y,x,c\n" + "\n".join(lines) + "\n")
    given = ("--input", "in.csv", "--schema", "s.toml", "--learner", "ridge", "--output", "o")
    return job(*given, *argv)


def of(time: int, y: str = "1", x: str = "1") -> str:
    return f"2026-01-01T00:00:{time:02d}Z,{y},{x},a"


MOST = {
    **{n: of(n, y="abc") for n in range(40)},
    **{n: of(n, x="q") for n in range(40, 58)},
    58: f"then,1,{58 % 7},a",
    59: of(59, y="-inf"),
    **{n: f"2026-01-01T00:01:{n - 60:02d}Z,1,huge,a" for n in range(60, 70)},
}


def test_a_run_that_rejects_more_than_half_fails_with_the_commonest_reasons(job: Job) -> None:
    result = run(job, MOST)
    assert result.code == 1
    assert (
        result.error == "error: 70 of 120 rows (58%) were rejected, more than --max-rejected 0.5:"
    )
    reasons = result.err.splitlines()[-3:]
    assert [line.split(": as ")[0] for line in reasons] == ["  41 rows", "  28 rows", "  1 row"]
    for line, column in zip(reasons, ("'y'", "'x'", "'t'"), strict=True):
        assert ": as in.csv:" in line and f"column {column}" in line
    assert len(rejects("o")["20260101T000000Z"]) + len(rejects("o")["undated"]) == 60
    assert sum(report["rejected"] for report in metrics("o")) == 70
    assert status("o")["state"] == "done" and Path("o/ended.json").exists()


def test_a_run_without_any_target_shows_that_it_learned_nothing(job: Job) -> None:
    line = "no row had a target: nothing was learned"
    result = run(job, {n: of(n, y="") for n in range(60)}, rows=60)
    assert result.code == 0 and line in result.out.splitlines()
    result = run(job, {n: of(n, y="") for n in range(59)}, "--overwrite", rows=60)
    assert result.code == 0 and line not in result.out


@pytest.mark.parametrize(("most", "code"), [("0.58", 1), ("0.6", 0), ("1", 0)])
def test_how_much_may_be_rejected_is_an_option(most: str, code: int, job: Job) -> None:
    result = run(job, MOST, "--max-rejected", most)
    assert result.code == code
    assert "70 of 120 rows (58%) were rejected, more than " in result.err
    assert result.err.splitlines()[-1].startswith("  1 row: as in.csv:60: column 't'")


def test_some_rejects_are_summarised_and_are_no_failure(job: Job) -> None:
    result = run(job, {3: of(3, y="abc"), 5: of(5, x="q")})
    assert result.code == 0 and "rejected" not in result.err
    lines = result.out.splitlines()
    assert lines[-4].endswith(", 2 of them rejected: see o/rejected")
    assert sorted(line.split("'")[1] for line in lines[-3:-1]) == ["x", "y"]
    assert run(job, {3: of(3, y="abc")}, "--max-rejected", "0", "--overwrite").code == 1
    assert run(job, {}, "--max-rejected", "0", "--overwrite").code == 0


def test_a_resumed_run_is_judged_by_all_of_its_rows(job: Job) -> None:
    assert run(job, MOST).code == 1
    Path("o/ended.json").unlink()
    last = sorted(Path("o/metrics").iterdir())[-1]
    last.unlink()
    result = run(job, MOST, "--resume")
    assert result.code == 1 and "70 of 120 rows (58%)" in result.error


def test_exactly_half_is_not_more_than_half() -> None:
    assert list(rejection_lines(Rejected(10, 5), 0.5)) == []
    assert list(rejection_lines(Rejected(0, 0), 0.0)) == []
    assert len(list(rejection_lines(Rejected(10, 6), 0.5))) == 1


@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan", "half"])
def test_a_share_is_from_0_to_1(share: str, job: Job) -> None:
    assert job.refused("--max-rejected", share).startswith(f"--max-rejected {share}: ")
