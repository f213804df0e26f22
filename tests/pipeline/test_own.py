"""Sources of one's own: from Python by ``run_on``, and from the command line by ``--source``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.transforms.window import TimestampedValue

from examples.own_source import SCHEMA, tides
from model.batch import SECOND
from model.errors import UserError
from model.schema import load_schema
from pipeline import run_on
from pipeline.__main__ import main
from pipeline.own import JobFailed
from pipeline.testing import run_graph
from transforms.sources.rows import row_id
from transforms.testing import FromBatches, batches

OPTIONS = ["--schema", str(SCHEMA), "--learner", "ridge", "--output"]
FACTORY = ["--source", "examples.own_source:tides", "--source-param", "minutes=4"]
CHANGING = ("timing", "status.json", "settings.json")
"""What differs from one run to the next, and by the way in which the source was named."""
ROWS = [{"at": second, "level": 1.0 + second % 7, "wind": second % 7} for second in range(180)]


def files(folder: Path) -> dict[str, str]:
    """The hashes of a run's files by their paths."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {str(path.relative_to(folder)): path.read_bytes() for path in found}
    return {
        name: hashlib.sha256(data).hexdigest()
        for name, data in named.items()
        if not name.startswith(CHANGING)
    }


def broken(word: str = "no wind") -> beam.PTransform[Any, Any]:
    """A source that fails while it runs."""

    def fail(row: Any) -> Any:
        raise ValueError(word)

    return beam.Create(ROWS) | beam.Map(fail)


class Endless(beam.PTransform[Any, Any]):
    """A source of some rows that says of itself that it has no end."""

    def expand(self, root: Any) -> Any:
        rows = root | beam.Create(ROWS)
        rows.is_bounded = False
        return rows


class Ending(Endless):
    """A source that ends though Beam takes it for one that does not."""

    bounded = True


def given(settings: Any) -> beam.PTransform[Any, Any]:
    """A source that asks for the settings."""
    return beam.Create([{**row, "at": row["at"] + settings.seed} for row in ROWS])


def no_source() -> int:
    """Makes no source."""
    return 3


def two() -> beam.PTransform[Any, Any]:
    """A source of two outputs."""
    return beam.Create(ROWS) | beam.Partition(lambda row, parts: 0, 2)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the tides, from the command line; not to be changed."""
    found = tmp_path_factory.mktemp("own") / "run"
    assert main([*FACTORY, *OPTIONS, str(found)]) == 0
    return found


def test_run_on_leaves_what_the_command_line_leaves(folder: Path, tmp_path: Path) -> None:
    run = run_on(tides(4), SCHEMA, tmp_path / "run", learner="ridge")
    assert [report.rows for report in run.reports()] == [60] * 4
    assert files(tmp_path / "run") == files(folder)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["source"] == "own" and settings["start"] is None
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "done"


def test_all_tools_open_the_folder(folder: Path, tmp_path: Path) -> None:
    for argv in (["models"], ["watch"], ["report", "--to", str(tmp_path / "r.html")]):
        assert main([argv[0], str(folder), *argv[1:]]) == 0
    assert (tmp_path / "r.html").stat().st_size > 1000
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["rows_read"]) == ("done", 240)
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["source"] == "examples.own_source:tides"
    assert settings["source_param"] == {"minutes": 4}


def test_a_resumed_run_makes_what_is_missing_and_leaves_the_rest(
    folder: Path, tmp_path: Path
) -> None:
    whole = run_on("examples.own_source:tides", SCHEMA, tmp_path / "run", learner="ridge")
    before, mine = files(Path(whole.path)), tmp_path / "run"
    for path in sorted(mine.glob("metrics/*"))[2:]:
        path.unlink()
    (mine / "ended.json").unlink()
    kept = (mine / "metrics" / "20260101T000100Z.json").stat().st_mtime_ns
    argv = ["--source", "examples.own_source:tides", *OPTIONS, str(mine), "--resume"]
    assert main(argv) == 0
    assert files(mine) == before
    assert (mine / "metrics" / "20260101T000100Z.json").stat().st_mtime_ns == kept


def test_a_resumed_run_with_another_source_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*FACTORY[:-1], "minutes=5", *OPTIONS, str(folder), "--resume"]
    assert main(argv) == 2
    assert "--source-param was {'minutes': 4}, is {'minutes': 5}" in capsys.readouterr().err


def test_a_factory_that_asks_for_the_settings_is_given_them(tmp_path: Path) -> None:
    run = run_on(f"{__name__}:given", SCHEMA, tmp_path / "run", learner="ridge", seed=60)
    assert [report.refresh_start for report in run.reports()] == [
        f"1970-01-01T00:0{minute}:00Z" for minute in (1, 2, 3)
    ]


def test_batches_that_a_source_declares_are_taken_as_they_are(tmp_path: Path) -> None:
    schema = load_schema(str(SCHEMA))
    source = FromBatches(batches(ROWS, schema, 60 * SECOND))
    run = run_on(source, schema, tmp_path / "own", learner="ridge")
    (tmp_path / "graph").mkdir()
    run_graph(ROWS, str(tmp_path / "graph"), schema_file=str(SCHEMA), learner="ridge")
    assert files(tmp_path / "own") == files(tmp_path / "graph")
    status = json.loads((tmp_path / "own" / "status.json").read_text())
    assert status["rows_read"] == len(ROWS) and len(run.reports()) == 3


def test_the_stamp_of_an_element_alone_shows_whether_its_row_is_late(tmp_path: Path) -> None:
    late = {"at": 10, "level": 1.0, "wind": 3}
    stamped = [*((row, row["at"]) for row in ROWS), (late, 70), (late, 5)]
    source = beam.Create(stamped) | beam.MapTuple(TimestampedValue)
    run = run_on(source, SCHEMA, tmp_path / "run", learner="ridge")
    assert [(r.rows, r.late, r.rejected) for r in run.reports()] == [
        (61, 0, 0),
        (61, 1, 0),
        (60, 0, 0),
    ]


def test_rejects_of_batches_that_begin_with_equal_rows_are_all_written(tmp_path: Path) -> None:
    twice = {"at": 1, "level": 1.0, "wind": 1}
    wrong = [{"at": 2, "level": f"high {number}", "wind": 1} for number in range(100)]
    one, other = [row for row in wrong if row_id(row) > row_id(twice)][:2]
    run = run_on(
        beam.Create([twice, one, twice, other], reshuffle=False),
        SCHEMA,
        tmp_path / "run",
        batch_rows=2,
        max_rejected=1,
    )
    [report] = run.reports()
    assert (report.rows, report.rejected) == (2, 2)
    texts = [json.loads(path.read_text())["row"] for path in Path(run.rejected).glob("*/*")]
    levels = sorted(json.loads(text)["level"] for text in texts)
    assert levels == sorted([one["level"], other["level"]])  # type: ignore[type-var]


def test_a_schema_is_taken_as_a_dict_too(tmp_path: Path) -> None:
    schema = load_schema(str(SCHEMA)).model_dump(mode="json")
    run = run_on(beam.Create(ROWS), schema, tmp_path / "run", learner="ridge", window="3m")
    assert [report.rows for report in run.reports()] == [180]
    del schema["target"]
    with pytest.raises(UserError, match="schema: target: is missing"):
        run_on(beam.Create(ROWS), schema, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_job_that_fails_reports_it_and_its_folder_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JobFailed, match=f"the job failed: ValueError: no wind.*{tmp_path}"):
        run_on(broken(), SCHEMA, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
    err = capsys.readouterr().err
    assert "ValueError: no wind" in err and "resume=True" in err and "Traceback" not in err
    assert not (tmp_path / "run" / "lock.json").exists()


def test_a_run_that_rejects_most_of_its_rows_fails_though_all_is_written(tmp_path: Path) -> None:
    rows = [{**row, "level": "high"} if row["at"] % 3 else row for row in ROWS]
    with pytest.raises(JobFailed, match=r"120 of 180 rows \(67%\) were rejected"):
        run_on(beam.Create(rows), SCHEMA, tmp_path / "run", learner="ridge")
    assert (tmp_path / "run" / "ended.json").exists()


def test_a_source_without_an_end_is_refused_embedded_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match="has no end: the embedded runner"):
        run_on(Endless(), SCHEMA, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert len(run_on(Ending(), SCHEMA, tmp_path / "run", learner="ridge").reports()) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope", "must be people, files, kafka, or package.module:factory"),
        ("nope:x", "--source nope:x: cannot be imported: ModuleNotFoundError"),
        ("examples.own_source:nope", "cannot be imported: AttributeError"),
        ("examples.own_source:SCHEMA", "is not a factory of a source"),
        (f"{__name__}:no_source", "gives a int: must be a Beam PTransform"),
        (f"{__name__}:two", "must be one PCollection of rows"),
        ("examples.own_source:run", "TypeError: run() missing 1 required"),
        ("own", "--source own: is the source of a run begun by run_on"),
    ],
)
def test_a_source_that_will_not_do_is_refused_in_one_line(
    source: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--source", source, *OPTIONS, str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and message in err and err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--refreshes", "3"], "--refreshes goes with people and files"),
        (["--live"], "--live goes with people and files"),
        (["--on-interrupt", "drain"], "--on-interrupt drain goes with people and files"),
        (["--input", "x.csv"], "--input goes with --source files"),
        (["--source-param", "x"], "--source-param 'x': must be name=value"),
        (["--source", "people", "--source-param", "x=1"], "--source-param goes with --source"),
    ],
)
def test_an_option_that_does_not_go_with_it_is_refused(
    argv: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FACTORY[:2], *OPTIONS, str(tmp_path / "run"), *argv]) == 2
    assert message in capsys.readouterr().err


def raw() -> Iterator[pa.RecordBatch]:
    """A batch of one's own columns."""
    yield pa.record_batch({"at": [1], "level": [1.0], "wind": [1.0]})


def test_batches_that_are_not_declared_are_refused_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JobFailed):
        run_on(beam.Create([0]) | beam.FlatMap(lambda _: raw()), SCHEMA, tmp_path / "run")
    assert "with_output_types(pyarrow.RecordBatch)" in capsys.readouterr().err


def test_a_row_of_the_year_9999_is_rejected_and_the_latest_time_is_kept(tmp_path: Path) -> None:
    rows = [*ROWS, {"at": 253_402_214_400, "level": 1.0, "wind": 1}]
    source = beam.Create(rows) | beam.Map(lambda row: TimestampedValue(row, row["at"]))
    run = run_on(source, SCHEMA, tmp_path / "run", learner="ridge", window="1m")
    assert sum(report.rows for report in run.reports()) == 180
    assert sum(report.rejected for report in run.reports()) == 1
    assert max(report.refresh_end for report in run.reports()) == "1970-01-01T00:03:00Z"
    latest = json.loads((tmp_path / "run" / "settings.json").read_text())["latest"]
    assert latest.endswith("T00:00:00Z")
    resumed = beam.Create(rows) | beam.Map(lambda row: TimestampedValue(row, row["at"]))
    options: dict[str, Any] = {"learner": "ridge", "window": "1m", "resume": True}
    run_on(resumed, SCHEMA, tmp_path / "run", **options)
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["latest"] == latest
