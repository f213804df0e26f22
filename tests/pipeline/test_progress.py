"""Progress: the line, status.json, the summary; and that none of them can end a run."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from rich.console import Console

from model.metrics import Sums, compute_metrics
from model.runs import RunFolder
from monitor import console as monitor_console
from monitor.console import consoles, show_status
from monitor.watch.figures import format_figure
from pipeline import progress
from pipeline.closing import print_closing
from pipeline.progress import Pace, Progress, print_summary
from tests.kit.job import status
from transforms import counters

MINUTE = 60_000_000
NO_ROW = Sums()


@pytest.fixture(autouse=True)
def counts() -> Iterator[None]:
    """Counters at zero before and after."""
    counters.reset()
    yield
    counters.reset()


@pytest.fixture(autouse=True)
def run_folder(home: Path) -> None:
    """The folder of a run: it is there before anything is shown of it."""
    Path("o").mkdir()


def console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, markup=False)


def to_plain(result: Console) -> str:
    assert isinstance(result.file, io.StringIO)
    return result.file.getvalue()


def reported(folder: RunFolder, refreshes: int, first: int = 0, sums: Sums = NO_ROW) -> None:
    """Writes so many reports of refreshes with the same sums; without a row, by default."""
    Path(folder.metrics).mkdir(parents=True, exist_ok=True)
    for number in range(first, first + refreshes):
        made = compute_metrics(sums, number * MINUTE, (number + 1) * MINUTE)
        name = (datetime(1970, 1, 1) + timedelta(minutes=number)).strftime("%Y%m%dT%H%M%SZ")
        Path(folder.metrics, f"{name}.json").write_bytes(made.as_json())


def test_the_line_counts_rows_windows_and_refreshes(home: Path) -> None:
    watched = Progress(RunFolder("o"), console())
    assert watched.line().endswith(" s  0 rows read (0/s)")
    for name, number in {
        "rows read": 12_000,
        "models trained": 2,
        "models found": 1,
        "rows scored": 8_000,
        "refreshes reported": 2,
    }.items():
        counters.count(name, number)
    line = watched.line()
    assert "12,000 rows read (" in line
    assert line.endswith("3 windows trained, 8,000 rows scored, 2 refreshes reported")


def test_the_status_shows_what_ended_a_run_even_while_it_began(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt), Progress(RunFolder("o"), console()):
        raise KeyboardInterrupt
    assert status("o")["state"] == "interrupted"
    with pytest.raises(ZeroDivisionError), Progress(RunFolder("o"), console()):
        raise ZeroDivisionError
    assert status("o")["state"] == "failed"
    begun = Progress(RunFolder("o"), console())
    begun.end(KeyboardInterrupt())
    begun.end(KeyboardInterrupt())
    assert status("o")["state"] == "interrupted"


def test_the_status_shows_running_and_then_how_it_ended(home: Path) -> None:
    with Progress(RunFolder("o"), console()) as watched:
        first = status("o")
        counters.count("rows read", 5)
        counters.max_gauge("watermark", 90 * 1_000_000)
        watched.state = "done"
    last = status("o")
    assert (first["format"], first["state"], first["rows_read"]) == (1, "running", 0)
    assert first["watermark"] is None
    assert (last["state"], last["rows_read"]) == ("done", 5)
    assert last["watermark"] == "1970-01-01T00:01:30Z"
    assert last["rate"] > 0
    age = datetime.now(timezone.utc) - datetime.fromisoformat(last["updated"][:-1] + "+00:00")
    assert timedelta(0) <= age < timedelta(minutes=1)


ELSEWHERE = Sums(rows=1_000, scored=900, rejected=50)


@pytest.mark.parametrize(
    ("state", "watermark"),
    [
        ("done", "1970-01-01T00:03:00Z"),
        ("drained", "1970-01-01T00:03:00Z"),
        ("failed", "1970-01-01T00:00:01Z"),
    ],
)
def test_the_watermark_of_a_run_that_ended_well_is_the_end_of_its_last_refresh(
    state: str, watermark: str, home: Path
) -> None:
    with Progress(RunFolder("o"), console()) as watched:
        counters.count("rows read", 5)
        counters.max_gauge("watermark", 1_000_000)  # of the only item: its first row's time
        reported(RunFolder("o"), 3)
        watched.state = state
    assert status("o")["watermark"] == watermark


def test_of_workers_elsewhere_the_new_reports_show_what_is_done(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    folder = RunFolder("o")
    reported(folder, 3, sums=ELSEWHERE)  # an earlier run's, which is resumed
    watched = Progress(folder, console())
    assert watched.line().endswith(" s  0 rows read (0/s)")
    reported(folder, 2, first=3, sums=ELSEWHERE)
    assert " 2,100 rows read (" in watched.line()
    assert watched.line().endswith(", 1,800 rows scored, 2 refreshes reported")
    counters.count("rows read", 7)  # the workers are here after all
    assert " 7 rows read (" in watched.line()


def test_the_end_counts_the_last_report_of_workers_elsewhere(home: Path) -> None:
    folder, result = RunFolder("o"), console()
    with Progress(folder, result) as watched:
        reported(folder, 2, sums=ELSEWHERE)
    assert status("o")["rows_read"] == 2_100
    print_closing(folder, watched, result)
    said = to_plain(result).splitlines()
    assert said[0].startswith("2,100 rows read in ")
    assert said[0].endswith(" s, 100 of them rejected: see o/rejected")


def test_a_live_run_shows_how_late_it_is(home: Path) -> None:
    for hundredths in range(101):
        counters.record_latency("scored behind", hundredths / 100)
    with Progress(RunFolder("o"), console()) as watched:
        assert watched.line().endswith("0 rows read (0/s), scored 0.9 s behind (p95)")
    assert status("o")["delays"] == {
        "scored behind": {"count": 101, "p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    }


def test_the_delays_of_the_first_minute_count_only_until_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("pipeline.progress.time.time", lambda: now)
    watched = Progress(RunFolder("o"), console())
    now = 1059.5
    counters.record_latency("scored behind", 30.0)
    assert watched.delays()["scored behind"]["max"] == 30.0
    now = 1060.0
    assert watched.delays() == {}
    counters.record_latency("scored behind", 0.25)
    assert watched.delays() == {
        "scored behind": {"count": 1, "p50": 0.25, "p95": 0.25, "p99": 0.25, "max": 0.25}
    }


@pytest.mark.parametrize("terminal", [False, True])
def test_the_line_is_shown_now_and_then_and_status_is_kept(
    terminal: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.01)
    output = console(terminal)
    with Progress(RunFolder("o"), output) as watched:
        counters.count("rows read", 77)
        while status("o")["rows_read"] < 77 or "77 rows read" not in to_plain(output):
            assert watched.seconds < 120
    assert "77 rows read" in to_plain(output)


def test_a_status_that_cannot_be_written_ends_no_run(home: Path) -> None:
    Path("o").rmdir()
    Path("o").write_text("a file, where a folder should be")
    with Progress(RunFolder("o"), console()) as watched:
        watched.state = "done"
    assert Path("o").is_file()


def test_the_summary_has_a_line_a_refresh_the_last_24_of_many(home: Path) -> None:
    folder, result = RunFolder("o"), console()
    reported(folder, 30)
    print_summary(folder, result)
    lines = to_plain(result).splitlines()
    assert [line[11:16] for line in lines[1:25]] == [f"00:{m:02d}" for m in range(6, 30)]
    assert lines[25] == "the last 24 of 30 refreshes; all: o/metrics"


def test_the_summary_of_a_run_without_a_report_is_empty(home: Path) -> None:
    output = console()
    print_summary(RunFolder("o"), output)
    assert to_plain(output) == ""


def test_a_refresh_without_a_model_has_dashes(home: Path) -> None:
    output = console()
    reported(RunFolder("o"), 1)
    print_summary(RunFolder("o"), output)
    assert to_plain(output).splitlines()[1].split() == ["1970-01-01", "00:00:00", "0", *"------"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.12345, "0.123"),
        (999.4, "999"),
        (-1234.5, "-1,234"),
        (1e6, "1,000,000"),
    ],
)
def test_a_figure_is_short(value: float | None, text: str) -> None:
    assert format_figure(value) == text


@pytest.mark.parametrize("terminal", [False, True])
def test_what_takes_long_is_reported_as_it_stands(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_console, "LINE_INTERVAL", -1.0)
    output = console(terminal)
    with show_status(output, "first [/x]") as tell:
        tell("looking through [/b]red[/].csv")
    if not terminal:
        assert to_plain(output) == "looking through [/b]red[/].csv\n"


def test_nothing_that_is_printed_is_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = consoles()
    out.print("[/x] [bold]a[/bold]")
    err.print("[red]")
    assert capsys.readouterr() == ("[/x] [bold]a[/bold]\n", "[red]\n")


def test_status_is_json_without_nan(home: Path) -> None:
    with Progress(RunFolder("o"), console()):
        pass
    assert "NaN" not in Path("o/status.json").read_text()
    assert set(json.loads(Path("o/status.json").read_text())) == {
        *("format", "state", "rows_read", "rate", "watermark", "updated")
    }


def test_the_rate_is_of_the_time_in_which_rows_were_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    watched = Progress(RunFolder("o"), console())
    clock[0] = 104.0
    counters.count("rows read", 400)
    clock[0] = 200.0
    assert "400 rows read (100/s)" in watched.line()


def test_windows_are_reported_how_many_and_how_long_the_rest_may_take() -> None:
    pace = Pace(10, before=2)
    assert pace.describe(1, 5.0) == "3 of 10 windows trained"
    assert pace.describe(3, 9.0) == "5 of 10 windows trained (about 10 s left)"
    assert pace.describe(8, 20.0) == "10 of 10 windows trained"
    assert pace.describe(9, 20.0) == "9 windows trained"
    assert Pace(0).describe(1, 5.0) == "1 window trained"


@pytest.mark.parametrize("value", [1e60, -1e60, 1e15, 123456789012.0, 1e-60, 5e-324, 1.7e308])
def test_a_figure_of_any_size_is_as_narrow_as_others(value: float) -> None:
    assert len(format_figure(value)) <= 12
    assert float(format_figure(value).replace(",", "")) == pytest.approx(value, rel=5e-3)
