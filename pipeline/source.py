"""The source that the settings ask for, and which part of event time it reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from model.asof import newest_window_end, parse_name
from model.batch import SECOND
from model.ending import StreamEnd, read_end
from model.errors import UserError
from model.label_stream import LabelSchema
from model.people import ANSWERED, PERSON, People
from model.questions import horizon
from model.reach import reach
from model.runs import RunFolder
from model.schema import Schema
from model.store import Store
from pipeline.inputs import (
    LABEL_FILES,
    KnownFile,
    check_known,
    check_new,
    check_none_new,
    files_before,
)
from pipeline.integrity import find_losses
from pipeline.settings import Settings, micros_of
from reading import Plan, plan
from reading.plausible import check_times
from reading.refreshes import Refreshes
from reading.targets import ROWS as FIRST_ROWS
from reading.targets import check_rows, check_target
from transforms.sources.files import FileReader, FileWork
from transforms.sources.people import (
    AnswersReader,
    AnswersWork,
    PeopleReader,
    PeopleWork,
    live_rows,
)
from transforms.sources.planner import Drain
from transforms.sources.read import PlannedSource
from transforms.sources.row_references import DeferredFileRows, should_defer
from transforms.sources.work_items import Extent


class Span(NamedTuple):
    """What of a stream a run reads, trains on and reports; microseconds.

    Attributes:
        extent: what is read.
        begin: windows that start before are not trained on; None: all are.
        report_from: refreshes before are not scored and reported; None: all are.
        until: windows that end later are not trained on: they would have only a part of their
            rows, as the last sliding ones of a stream that ends. None: all are.
        lost: lines for the user on what of a resumed run was not whole, and is made again.
    """

    extent: Extent = Extent()
    begin: int | None = None
    report_from: int | None = None
    until: int | None = None
    lost: tuple[str, ...] = ()


ALL = Span()


def span_of(
    first: int,
    last: int | None,
    settings: Settings,
    folder: RunFolder,
    busy: Callable[[int], bool],
    first_missing: Callable[[Collection[int], int], int | None] | None = None,
) -> Span:
    """What a run has to read: all, or what is left of a run that is resumed.

    Args:
        first: the least event time of the stream.
        last: its greatest, or None if it has no end.
        settings: all options.
        folder: the run's folder.
        busy: whether a refresh, by its start, may hold rows.
        first_missing: the first refresh that holds rows and is not among some, given an earliest
            one; None if there is none. Where the stream may have gaps it is asked in the place
            of ``busy``, which is asked of each refresh.
    """
    cadence = settings.cadence
    every, start = cadence.every, cadence.refresh_of(first)
    end = start + settings.refresh_count * every if settings.refresh_count else None
    if not settings.resume:
        return Span(Extent(start, end))
    keep = settings.keep and max(settings.keep, cadence.lag)
    losses = find_losses(folder, settings.window * SECOND, every, keep)
    done = losses.reports
    missing = start
    if first_missing is not None and last is not None:
        found = first_missing(done, start)
        missing = cadence.refresh_of(last) + every if found is None else found
    else:
        while (missing in done or not busy(missing)) and not (last is not None and missing > last):
            missing += every
    waits = settings.row_schema.has_later_labels
    if waits and done:  # what is behind the last report, or the end, is not reported
        missing = min(missing, read_end(folder.until) or max(done) + every)
    begin = _begin(missing, start, settings, Store(folder.models))
    again = [window_end - settings.window * SECOND for window_end in losses.windows]
    begin = max(start, min([begin, *again]))
    lost = tuple(losses.messages)
    read = _first_question(begin, missing, start, settings) if waits else begin
    return Span(Extent(read, end), begin if read > start else None, missing, lost=lost)


def _first_question(begin: int, missing: int, start: int, settings: Settings) -> int:
    """From where a resumed run reads questions: their labels may be known a wait later.

    Args:
        begin: from where labels are learned from.
        missing: the first refresh that is to report.
        start: the stream's first refresh.
        settings: all options.
    """
    clock = settings.clock
    if settings.row_schema.labels is not None:
        # what a label is settled by are labels that were offered for questions of a wait before
        return max(start, min(begin, missing) - 3 * horizon(clock) * clock.every)
    learned = clock.refresh_of(begin - clock.wait)
    return max(start, min(learned, clock.start_of(missing)))


FirstMissing = Callable[[Collection[int], int], int | None]


def _first_of(*each: FirstMissing) -> FirstMissing:
    """The first refresh that is missing by any of some looks."""

    def first_missing(done: Collection[int], start: int) -> int | None:
        found = (look(done, start) for look in each)
        return min((refresh for refresh in found if refresh is not None), default=None)

    return first_missing


def _begin(missing: int, start: int, settings: Settings, store: Store) -> int:
    """From where a resumed run reads.

    That is the whole window of the first missing refresh's model, or everything if no older
    model is left that may have to stand in for it.
    """
    cadence = settings.cadence
    newest = newest_window_end(missing, cadence.every, cadence.lag)
    older = store.newest(newest)
    if older is None:
        return start
    return max(start, min(newest, parse_name(older)) - settings.window * SECOND)


def people_source(
    settings: Settings, folder: RunFolder, warn: Callable[[str], None] = lambda line: None
) -> tuple[PlannedSource, Span]:
    """The synthetic people; their salaries are labels of their own if they are asked for.

    Args:
        settings: all options.
        folder: the run's.
        warn: takes a line on what may be a mistake.

    Raises:
        UserError: if the schema names a column that people have not, or its target is of another
            task.
    """
    schema, cadence = settings.row_schema, settings.cadence
    people = People(
        settings.people,
        settings.seed,
        settings.rate,
        micros_of(settings.start),
        settings.disorder * SECOND,
        settings.answer_delay,
    )
    _check_people(people, schema)
    _check_first_people(people, schema, warn)
    span = span_of(people.start, None, settings, folder, busy=lambda refresh: True)
    span = span._replace(until=span.extent.end)
    rows = settings.cut_rows
    if settings.live:
        rows = live_rows(settings.rate, rows, cadence.latency)
    return PlannedSource(
        PeopleWork(people, span.extent, rows, settings.live),
        PeopleReader(
            *(people, span.extent.begin, schema, cadence.latency),
            *(settings.latest_time, cadence.offset),
        ),
        poll=0.05 if settings.live else 0.1,
        drain=Drain(folder.drain, cadence.every, cadence.offset),
        ending=_ending(span, settings, folder),
        labels=None if schema.labels is None else _answers(people, span, settings, folder),
    ), span


def _check_people(people: People, schema: Schema) -> None:
    """Checks that people have the columns of a schema, and of its labels."""
    labels = () if schema.labels is None else LabelSchema.of(schema).columns
    for name in (*schema.columns, *labels):
        if name not in people.fields:
            later = "; --people-delay gives them another" if name in (ANSWERED, PERSON) else ""
            raise UserError(f"column {name!r}: people have {', '.join(people.fields)}{later}")
    known = schema.label_time if schema.labels is None else schema.labels.time
    if people.delay is not None and known != ANSWERED:
        where = "label_time" if schema.labels is None else "[labels] time"
        raise UserError(
            f'--people-delay: the schema must say when salaries are known: {where} = "{ANSWERED}"'
        )


def _check_first_people(people: People, schema: Schema, warn: Callable[[str], None]) -> None:
    """Checks that the target of the first people is of the schema's task."""
    if schema.labels is not None:
        schema = LabelSchema.of(schema).with_positive(schema)
    rows, _ = people.arrivals(0, FIRST_ROWS, (schema.target,))
    check_rows(rows, schema, "people", warn)


def _answers(people: People, span: Span, settings: Settings, folder: RunFolder) -> PlannedSource:
    """The people's salaries as a source, which ends where the people do."""
    cadence = settings.cadence
    return PlannedSource(
        AnswersWork(people, span.extent, cadence.every, cadence.offset, settings.live),
        AnswersReader(
            *(people, LabelSchema.of(settings.row_schema)),
            *(cadence.refresh_of(people.start), settings.batch_rows),
        ),
        poll=0.05 if settings.live else 0.1,
        drain=Drain(folder.drain, cadence.every, cadence.offset),
        counted="labels read",
        follows=folder.until,
    )


def _ending(span: Span, settings: Settings, folder: RunFolder) -> StreamEnd | None:
    """Where a stream ends, whose end is written; None if labels have no time."""
    return StreamEnd(span.until, folder.until) if settings.row_schema.has_later_labels else None


def plan_files(
    settings: Settings,
    progress: Callable[[str], None],
    known: Sequence[KnownFile] = (),
    warn: Callable[[str], None] = lambda line: None,
) -> Plan:
    """The plan of the files: their bounds in event time are known before anything runs.

    Args:
        settings: all options.
        progress: takes a line, often, on how far the look through the files is.
        known: the files that a run to resume has read, which come first.
        warn: takes a line on what may be a mistake.

    Raises:
        UserError: see ``reading.plan`` and ``reading.plausible``.
    """
    assert settings.input is not None
    reach(settings.input, "--input")
    paths = [file.path for file in known]
    planned = plan(settings.input, settings.row_schema, progress, settings.latest_time, paths)
    return check_target(check_times(planned, settings.row_schema), settings.row_schema, warn)


def file_source(
    settings: Settings,
    folder: RunFolder,
    progress: Callable[[str], None],
    planned: Plan | None = None,
    known: Sequence[KnownFile] = (),
    warn: Callable[[str], None] = lambda line: None,
) -> tuple[PlannedSource, Span]:
    """Files as a source; they are planned, unless they have been.

    Raises:
        UserError: as ``plan_files``; if a known file has changed, or a new one has rows in what
            is reported.
    """
    schema = settings.row_schema
    planned = planned or plan_files(settings, progress, known, warn)
    check_known(planned, known, folder)
    if known and not settings.resume:
        check_none_new(planned, known, folder)
    labels = None
    if schema.labels is not None:
        labels = plan_labels(settings, folder, progress, warn)
    span = _file_span(planned, settings, folder, known, labels)
    cadence = settings.cadence
    reader = FileReader(
        planned, span.extent.begin, schema, cadence.latency, settings.cut_rows, cadence.offset
    )
    return PlannedSource(
        FileWork(planned, span.extent),
        reader,
        drain=Drain(folder.drain, cadence.every, cadence.offset),
        deferred_rows=DeferredFileRows(reader) if should_defer(planned, schema) else None,
        ahead=True,
        ending=_ending(span, settings, folder),
        labels=None if labels is None else _label_source(labels, span, settings, folder),
    ), span


def plan_labels(
    settings: Settings,
    folder: RunFolder,
    progress: Callable[[str], None],
    warn: Callable[[str], None] = lambda line: None,
) -> Plan:
    """The plan of the files of labels; what is noted of it is given to ``warn``.

    Raises:
        UserError: as ``plan_files``, also of their target; if a file that the run has read has
            changed.
    """
    assert settings.labels is not None
    reach(settings.labels, "--labels")
    schema = LabelSchema.of(settings.row_schema)
    known = files_before(folder, LABEL_FILES) if settings.resume else []
    paths = [file.path for file in known]
    planned = plan(settings.labels, schema, progress, settings.latest_time, paths, "--labels")
    for message in planned.messages:
        warn(f"--labels: {message}")
    if not planned.rows:
        then = "expires" if settings.row_schema.fill is None else "is answered by missing"
        warn(f"warning: --labels {settings.labels}: has no labels: each question {then}")
    check_known(planned, known, folder)
    return check_target(
        check_times(planned, schema), schema.with_positive(settings.row_schema), warn
    )


def _label_source(
    planned: Plan, span: Span, settings: Settings, folder: RunFolder
) -> PlannedSource:
    """The files of labels as a source, which ends where the questions do."""
    cadence = settings.cadence
    extent = Extent(span.extent.begin if settings.resume else None, span.extent.end)
    reader = FileReader(
        *(planned, extent.begin, LabelSchema.of(settings.row_schema)),
        *(cadence.every, settings.cut_rows, cadence.offset),
    )
    return PlannedSource(
        FileWork(planned, extent),
        reader,
        drain=Drain(folder.drain, cadence.every, cadence.offset),
        ahead=True,
        counted="labels read",
        follows=folder.until,
    )


def _file_span(
    planned: Plan,
    settings: Settings,
    folder: RunFolder,
    known: Sequence[KnownFile],
    labels: Plan | None = None,
) -> Span:
    if not planned.chunks:
        return ALL
    cadence = settings.cadence
    reported = folder.reported() if known else ()
    # What a run has reported is known by the files that it had: a new one fills none of its gaps.
    had = [chunk for chunk in planned.chunks if not reported or chunk.file < len(known)]
    had = had or list(planned.chunks)
    later = () if labels is None else labels.chunks
    ended = cadence.refresh_of(max(chunk.last for chunk in (*planned.chunks, *later)))
    ended += cadence.every
    refreshes = Refreshes(replace(planned, chunks=tuple(had)), settings.row_schema, cadence, ended)
    first, last = had[0].least, max(chunk.greatest for chunk in had)
    missing: FirstMissing = refreshes.first_missing
    if labels is not None and labels.chunks:
        schema = LabelSchema.of(settings.row_schema)
        missing = _first_of(missing, Refreshes(labels, schema, cadence, ended).first_missing)
    span = span_of(first, last, settings, folder, lambda refresh: True, missing)
    if reported:
        from_ = max(span.report_from or 0, max(reported) + cadence.every)
        check_new(planned, known, from_, folder)
        if labels is not None:
            check_new(labels, files_before(folder, LABEL_FILES), from_, folder, "--labels")
    end = span.extent.end
    return span._replace(until=ended if end is None else min(ended, end))
