"""The source that settings ask for, and what of a stream a resumed run reads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from model.asof import format_name, newest_window_end
from model.batch import tag_of
from model.errors import UserError
from model.manifest import Learner, Manifest
from model.metrics import Sums, compute_metrics
from model.runs import RunFolder
from model.store import Store
from pipeline.settings import micros_of
from pipeline.source import ALL, Span, file_source, people_source, span_of
from tests.kit.job import GOOD, HEADER, SCHEMA, make_settings
from tests.kit.rows import rides, train_model
from transforms.sources.work_items import Extent

MINUTE = 60_000_000
START = micros_of(None)


def folder_with(path: Path, reported: set[int], windows: set[int]) -> RunFolder:
    """A run's folder with the reports of some refreshes and the models of some windows."""
    folder = RunFolder(str(path))
    path.mkdir(parents=True, exist_ok=True)
    folder.write_json(folder.settings, {})
    for refresh in reported:
        Path(folder.metrics).mkdir(parents=True, exist_ok=True)
        report = compute_metrics(Sums(), refresh, refresh + MINUTE)
        Path(folder.metrics, f"{format_name(refresh)}.json").write_bytes(report.as_json())
    model, manifest = an_artefact()
    for end in windows:
        Store(folder.models).commit(format_name(end), model, manifest)
    return folder


@cache
def an_artefact() -> tuple[bytes, Manifest]:
    """Some model, with its manifest."""
    return train_model(Learner("ridge", {}, 0), rides(20))


def always(refresh: int) -> bool:
    return True


@pytest.mark.parametrize(("windows", "end"), [(3, START + 3 * MINUTE), (0, None)])
def test_a_fresh_run_reads_from_the_first_refresh_for_so_many(
    windows: int, end: int | None, home: Path
) -> None:
    settings = make_settings(refreshes=windows)
    span = span_of(START + 7, None, settings, RunFolder("o"), always)
    assert span == Span(Extent(START, end), None, None)


def resume(path: Path, reported: set[int], trained: set[int], **options: object) -> Span:
    settings = make_settings(resume=True, output="o", **options)
    folder = folder_with(
        path, {START + n * MINUTE for n in reported}, {START + n * MINUTE for n in trained}
    )
    return span_of(START, None, settings, folder, always)


def test_a_resumed_run_reports_from_the_first_refresh_without_a_report(home: Path) -> None:
    span = resume(home / "a", {0, 1, 2, 4}, {1, 2, 3})
    assert span.report_from == START + 3 * MINUTE
    assert span.extent == Extent(START + 2 * MINUTE, START + 12 * MINUTE)
    assert span.begin == START + 2 * MINUTE


def test_a_run_that_had_reported_nothing_is_read_from_the_start(home: Path) -> None:
    span = resume(home / "a", set(), {1, 2})
    assert span == Span(Extent(START, START + 12 * MINUTE), None, START)


def test_a_resumed_run_without_an_older_model_is_read_from_the_start(home: Path) -> None:
    assert resume(home / "a", {0, 1, 2}, set()).extent.begin == START


def test_a_refresh_that_can_hold_no_row_is_not_missing(home: Path) -> None:
    folder = folder_with(home / "a", {START, START + 3 * MINUTE}, {START + MINUTE})
    gap = {START + MINUTE, START + 2 * MINUTE}
    settings = make_settings(resume=True, output="o")
    span = span_of(START, START + 5 * MINUTE, settings, folder, lambda at: at not in gap)
    assert span.report_from == START + 4 * MINUTE


@examples(max_examples=60, deadline=None)
@given(st.integers(0, 8), st.sets(st.integers(1, 10)), st.integers(1, 3), st.integers(1, 3))
def test_a_resumed_run_reads_the_whole_window_of_each_model_that_the_store_may_lack(
    tmp_path_factory: pytest.TempPathFactory, done: int, trained: set[int], window: int, lag: int
) -> None:
    path = tmp_path_factory.mktemp("span")
    span = resume(path, set(range(done)), trained, window=60 * window, every=60, lag=lag)
    assert span.report_from == START + done * MINUTE
    begin = span.begin if span.begin is not None else START
    older = [
        n
        for n in trained
        if START + n * MINUTE <= newest_window_end(START + done * MINUTE, MINUTE, lag)
    ]
    newest = max(older, default=0)
    for end in range(newest + 1, done + 4):
        assert begin <= max(START, START + (end - window) * MINUTE)
    assert span.begin is None or older


@pytest.mark.parametrize(("option", "rows"), [({}, 750), ({"live": True}, 5)])
def test_people_come_in_batches_and_live_ones_in_those_of_200_ms(
    option: dict[str, bool], rows: int, home: Path
) -> None:
    settings = make_settings(rate=25, refreshes=1, window=30, **option)
    source, span = people_source(settings, RunFolder("o"))
    item = source.work.get(0)
    assert item is not None and (item.start, item.stop) == (0, rows)
    assert span == Span(Extent(START, START + MINUTE // 2), until=START + MINUTE // 2)
    [batch] = source.reader(item)
    assert (batch.num_rows, tag_of(batch).at) == (rows, START)
    assert (source.work.due(0) > 0) is bool(option)


def test_a_schema_of_columns_that_people_have_not_is_refused(home: Path) -> None:
    Path("s.toml").write_text(SCHEMA)
    with pytest.raises(UserError, match="column 't': people have nome, idade, salario"):
        people_source(make_settings(schema_file="s.toml"), RunFolder("o"))


def files(text: str, **options: object) -> tuple[list[int], Span]:
    """The rows of each item of a CSV file, and the span."""
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + text)
    settings = make_settings(input="in.csv", schema_file="s.toml", **options)
    source, span = file_source(settings, RunFolder("o"), lambda line: None)
    rows, position = [], 0
    while (item := source.work.get(position)) is not None:
        rows.append(sum(batch.num_rows for batch in source.reader(item)))
        position += 1
    return rows, span


def test_files_are_read_whole_or_for_so_many_windows_from_their_least_time(home: Path) -> None:
    end = START + 3 * MINUTE  # of the refresh with the last row: no window ends later
    assert files(GOOD) == ([9], Span(Extent(START, None), until=end))
    end -= MINUTE
    assert files(GOOD, refreshes=2) == ([6], Span(Extent(START, end), until=end))


def test_files_without_a_row_are_all_there_is(home: Path) -> None:
    assert files("") == ([], ALL)


def test_files_that_are_reported_to_their_end_have_nothing_missing_but_what_follows(
    home: Path,
) -> None:
    folder = folder_with(home / "o", {START + n * MINUTE for n in range(3)}, {START + 3 * MINUTE})
    assert folder.reported() == {START, START + MINUTE, START + 2 * MINUTE}
    _, span = files(GOOD, resume=True, output="o")
    assert span.report_from == START + 3 * MINUTE
    assert span.extent.begin == START + 2 * MINUTE
