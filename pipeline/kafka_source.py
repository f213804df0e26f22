"""A Kafka topic as the source of a run: where it begins and ends, and what a replay follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from model import promotions
from model.asof import from_datetime, parse_name, to_datetime
from model.batch import LABEL, SECOND, event_times, to_micros
from model.ending import StreamEnd, read_end
from model.errors import UserError
from model.label_stream import LabelSchema
from model.runs import RunFolder
from model.schema import Schema
from pipeline.own_source import first_written
from pipeline.settings import Settings, micros_of
from pipeline.source import Span, span_of
from reading.kafka.address import Topic, parse_topic
from reading.kafka.client import Client, KafkaError, read_range
from reading.kafka.decode import MAX_PARTITIONS, decode
from reading.kafka.journal import Journal, Offsets
from reading.kafka.planning import BACK, Decision, Rules, TimeIndex
from reading.kafka.readers import check_format, reader_of
from reading.plans import add_times
from reading.targets import ROWS as FIRST_ROWS
from reading.targets import check_rows
from transforms.sources.kafka import KafkaReader, KafkaSource, Plan
from transforms.sources.planner import Drain
from transforms.sources.work_items import Extent

Begin = tuple[int, int | None]
"""A partition's first offset, and its clock there (microseconds; None: none yet)."""


@dataclass(frozen=True)
class TopicRun:
    """What a run has decided of its topic before it begins.

    Attributes:
        offsets: where each partition begins and ends.
        decisions: those that a replay follows.
        end: what is stamped from here on is left out, microseconds; None: nothing is.
        labels: the same of a topic of labels; None if there is none.
    """

    offsets: Offsets
    decisions: Sequence[Decision] = ()
    end: int | None = None
    labels: TopicRun | None = None


class _Stream:
    """A topic of a run: of questions, or of their labels.

    Attributes:
        topic: which.
        schema: of its rows.
        journal: of the run.
        step: how its ranges are cut, microseconds.
        client: asks the broker.
        partitions: the topic's.
    """

    def __init__(self, settings: Settings, folder: RunFolder, are_labels: bool) -> None:
        config, cadence = settings.kafka_config, settings.cadence
        journal, schema = Journal(folder.source), settings.row_schema
        if are_labels:
            self.topic = parse_topic(str(settings.labels), config, "--labels")
            self.schema: Schema = LabelSchema.of(schema)
            self.journal, self.step = journal.labels, cadence.every
        else:
            self.topic, self.schema = parse_topic(str(settings.input), config), schema
            self.journal, self.step = journal, cadence.latency
        check_format(self.schema, config)
        self.client = Client(self.topic)
        self.partitions = self.client.partitions()
        if self.partitions[-1] >= MAX_PARTITIONS:
            where = f"kafka://{self.topic.servers}/{self.topic.name}"
            raise UserError(f"{where}: must have <= {MAX_PARTITIONS:,} partitions")

    def rules(self, settings: Settings, run: TopicRun) -> Rules:
        """How the topic is cut."""
        return Rules(
            step=self.step,
            offset=settings.cadence.offset,
            disorder=settings.disorder * SECOND,
            stops=_stops(run),
        )


def kafka_source(
    settings: Settings, folder: RunFolder, warn: Callable[[str], None] = lambda line: None
) -> tuple[KafkaSource, Span, TopicRun]:
    """A topic as a source, and what of it is trained on and reported.

    Args:
        settings: all options.
        folder: the run's.
        warn: takes a line on what may be a mistake.

    Raises:
        UserError: if no broker answers, there is no such topic, retention has removed records
            that a resumed or replayed run needs, or the target of a new run's first records is of
            another task than the schema's.
    """
    try:
        return _kafka_source(settings, folder, warn)
    except KafkaError as error:
        raise UserError(f"--input: {error}") from error


def _kafka_source(
    settings: Settings, folder: RunFolder, warn: Callable[[str], None]
) -> tuple[KafkaSource, Span, TopicRun]:
    schema = settings.row_schema
    streams = [_Stream(settings, folder, are_labels=False)]
    if schema.labels is not None:
        streams.append(_Stream(settings, folder, are_labels=True))
    run = _decide(settings, streams)
    first = first_written(folder) if settings.resume else None
    if first is None:
        for stream, decided in zip(streams, (run, run.labels), strict=False):
            assert decided is not None
            _check_first(stream, decided, settings, warn)
        span = Span(Extent(None, run.end), until=run.end)
    else:
        span = span_of(first, None, settings, folder, busy=lambda refresh: True)
        span = span._replace(extent=Extent(span.extent.begin, run.end), until=run.end)
    goes_on = first is not None
    labels = None
    if run.labels is not None:
        labels = _source_of(streams[1], run.labels, span, settings, folder, goes_on)
    source = _source_of(streams[0], run, span, settings, folder, goes_on, labels)
    return source, span, run


def _check_first(
    stream: _Stream, run: TopicRun, settings: Settings, warn: Callable[[str], None]
) -> None:
    """Checks that the target of a topic's first records, if there are any, is of its task."""
    ends = stream.client.ends(sorted(run.offsets.begin))
    begins = run.offsets.begin
    partition = max(begins, key=lambda each: ends[each] - begins[each])
    schema = stream.schema
    if isinstance(schema, LabelSchema):
        schema = schema.with_positive(settings.row_schema)
    stop = min(ends[partition], begins[partition] + FIRST_ROWS)
    read = reader_of(schema, stream.topic.config)
    for records in read_range(stream.topic, partition, begins[partition], stop):
        rows = decode(records, partition, schema, settings.cadence.every, read)
        check_rows(rows, schema, f"topic {stream.topic.name}", warn)
        return


def _decide(settings: Settings, streams: Sequence[_Stream]) -> TopicRun:
    """What the run has decided of its topics: the end of both is one."""
    runs = [_run_of(settings, stream) for stream in streams]
    run, later = runs[0], runs[1:]
    end = run.end
    if end is None and settings.row_schema.has_later_labels and not settings.follows_topic:
        end = _find_end(settings, streams, runs)
    if end is not None and settings.row_schema.has_later_labels:
        offsets = run.offsets.model_copy(update={"until": to_datetime(end)})
        run = replace(run, offsets=offsets)
    labels = replace(later[0], end=end) if later else None
    return replace(run, end=end, labels=labels)


def _find_end(settings: Settings, streams: Sequence[_Stream], runs: Sequence[TopicRun]) -> int:
    """Where topics that end do: at the end of the refresh that holds their newest record.

    It is a refresh later if a row lies behind that: it may, up to a refresh after its record's
    timestamp. So the records of the last refresh are looked through.
    """
    found = [stream.client.newest(stream.partitions).values() for stream in streams]
    greatest = max((time for times in found for time in times), default=0)
    if settings.until not in (None, "now"):
        greatest = min(greatest, micros_of(settings.until) - 1)
    cadence = settings.cadence
    last = cadence.refresh_of(greatest)
    end = last + cadence.every
    pairs = zip(streams, runs, strict=True)
    if any(_holds_after(end, last, stream, run, cadence.every) for stream, run in pairs):
        return end + cadence.every
    return end


def _holds_after(end: int, since: int, stream: _Stream, run: TopicRun, ahead: int) -> bool:
    """Whether a row, or its label, is at or after a time, of the records from another time on."""
    read = reader_of(stream.schema, stream.topic.config)
    stops = run.offsets.end or {}
    for partition, one in stream.client.find(dict.fromkeys(stops, since)).items():
        if one is None or one.offset >= stops[partition]:
            continue
        for records in read_range(stream.topic, partition, one.offset, stops[partition]):
            raw = decode(records, partition, stream.schema, ahead, read)
            batch = add_times(raw, stream.schema)
            times = [event_times(batch)]
            times += [to_micros(batch.column(LABEL))] if LABEL in batch.schema.names else []
            if max(int(one.max()) for one in times) >= end:
                return True
    return False


def _source_of(
    stream: _Stream,
    run: TopicRun,
    span: Span,
    settings: Settings,
    folder: RunFolder,
    goes_on: bool,
    labels: KafkaSource | None = None,
) -> KafkaSource:
    """A topic as a source.

    Args:
        stream: the topic.
        run: what was decided of it.
        span: what is trained on and reported.
        settings: all options.
        folder: the run's folder.
        goes_on: whether the run has written anything before.
        labels: the source of the labels.
    """
    cadence, rules = settings.cadence, stream.rules(settings, run)
    begin: dict[int, Begin] = {p: (at, None) for p, at in run.offsets.begin.items()}
    if goes_on:
        decisions = stream.journal.read_decisions()
        # A row lies up to a refresh after its record's timestamp.
        since = (span.extent.begin or 0) - cadence.every
        begin = {
            partition: find_begin(stream.client, rules, partition, since, at, decisions)
            for partition, at in run.offsets.begin.items()
        }
    _check_retention(stream.client, begin, stream.topic)
    are_labels = isinstance(stream.schema, LabelSchema)
    waits = settings.row_schema.has_later_labels and not are_labels
    plan = Plan(
        topic=stream.topic,
        rules=rules,
        begin=begin,
        extent=span.extent,
        journal=stream.journal,
        idle=settings.idle if settings.follows_topic else None,
        drain=Drain(folder.until if are_labels else folder.drain, cadence.every, cadence.offset),
        live=settings.follows_topic,
        ending=StreamEnd(span.until, folder.until) if waits else None,
        follows=are_labels,
    )
    reader = KafkaReader(
        topic=stream.topic,
        begin=span.extent.begin,
        schema=stream.schema,
        latency=stream.step,
        batch_rows=settings.cut_rows,
        ahead=cadence.every,
        offset=cadence.offset,
    )
    return KafkaSource(plan, reader, labels)


def open_journal(folder: RunFolder, settings: Settings, run: TopicRun) -> None:
    """Writes down, in a folder that is ready, what was decided before the run begins."""
    journal = Journal(folder.source)
    if settings.resume and journal.read_offsets() is not None:
        return
    if settings.replay is not None:
        promotions.repeat(RunFolder(settings.replay).promotions, folder.promotions)
    if run.labels is not None:  # first: the run is resumed if the questions' are there
        _write_down(journal.labels, run.labels)
    _write_down(journal, run)


def _write_down(journal: Journal, run: TopicRun) -> None:
    journal.write_offsets(run.offsets)
    for number, decision in enumerate(run.decisions):
        journal.write_decision(number, decision)


def _run_of(settings: Settings, stream: _Stream) -> TopicRun:
    """What the run has decided of a topic, if it is resumed; else what it decides now."""
    client, partitions = stream.client, stream.partitions
    if settings.resume:
        kept = stream.journal.read_offsets()
        if kept is not None:
            end = _end_of(settings) if kept.until is None else from_datetime(kept.until)
            return TopicRun(kept, end=end)
    if settings.replay is not None:
        return _replayed(settings, isinstance(stream.schema, LabelSchema))
    begin = client.begins(partitions)
    if settings.start is not None:
        begin = _at_time(client, partitions, micros_of(settings.start))
    stops = None
    if settings.until == "now":
        stops = client.ends(partitions)
    elif settings.until is not None:
        stops = _at_time(client, partitions, micros_of(settings.until))
    end = None
    if not isinstance(stream.schema, LabelSchema):
        end = _end_by_refreshes(settings, client, begin)
    return TopicRun(Offsets(begin=begin, end=stops), end=end)


def _at_time(client: Client, partitions: Sequence[int], time: int) -> dict[int, int]:
    """Each partition's first record that is not before a time, or its end."""
    ends = client.ends(partitions)
    found = client.find(dict.fromkeys(partitions, time))
    return {p: ends[p] if one is None else one.offset for p, one in found.items()}


def _end_by_refreshes(settings: Settings, client: Client, begin: Mapping[int, int]) -> int | None:
    """The end of the last of ``--refreshes``, counted from the first record's; None without."""
    if not settings.refresh_count:
        return None
    found = client.find(dict.fromkeys(begin, 0))
    times = [one.time for one in found.values() if one is not None]
    if not times:
        raise UserError(f"--refreshes: {settings.input} has no record yet to count from")
    cadence = settings.cadence
    return cadence.refresh_of(min(times)) + settings.refresh_count * cadence.every


def _replayed(settings: Settings, are_labels: bool) -> TopicRun:
    """What a run has decided that is made once more."""
    folder = RunFolder(str(settings.replay))
    journal = Journal(folder.source)
    journal = journal.labels if are_labels else journal
    offsets = journal.read_offsets()
    if offsets is None:
        raise UserError(f"--replay {settings.replay}: is not the folder of a run on a topic")
    return TopicRun(offsets, journal.read_decisions(), _end_of(settings))


def _end_of(settings: Settings) -> int | None:
    """Where a replayed run ends; None if nothing is replayed.

    That is the end of the last refresh that it has reported; where labels have a time, its own.
    """
    if settings.replay is None:
        return None
    folder = RunFolder(settings.replay)
    if settings.row_schema.has_later_labels and (end := read_end(folder.until)) is not None:
        return end
    names = folder.report_names()
    if not names:
        raise UserError(f"--replay {settings.replay}: its run has not reported a refresh yet")
    return max(map(parse_name, names)) + settings.cadence.every


def _stops(run: TopicRun) -> dict[int, int]:
    """Where partitions end: by the launch, or where one that is replayed stayed idle."""
    stops = dict(run.offsets.end or {})
    last = {decision.partition: decision for decision in run.decisions}
    for partition, decision in last.items():
        if decision.state != BACK:
            stops.setdefault(partition, decision.offset)
    return stops


def find_begin(
    index: TimeIndex,
    rules: Rules,
    partition: int,
    since: int,
    first: int,
    decisions: Sequence[Decision] = (),
) -> Begin:
    """From where a partition is read for all records from a time on, cut as ever.

    A range ends behind the first record of each serve window or later, so the last such record
    before what is needed is looked for.

    Args:
        index: finds records by time.
        rules: how the topic is cut.
        partition: which.
        since: microseconds.
        first: the partition's first offset.
        decisions: of the run until now.
    """

    def find(time: int) -> tuple[int, int] | None:
        found = index.find({partition: time})[partition]
        return None if found is None or found.offset < first else (found.offset, found.time)

    needed = find(since)
    start = rules.floor(since)

    def is_before(steps: int) -> bool:
        found = index.find({partition: start - steps * rules.step})[partition]
        return found is not None and (needed is None or found.offset < needed[0])

    earliest = index.find({partition: 0})[partition]
    if earliest is None:
        return first, None
    most = (start - rules.floor(earliest.time)) // rules.step
    if most < 0 or not is_before(most):
        return first, None
    low, high = 0, most  # is_before(high), and not is_before(0) but for records that are all older
    while low < high:
        middle = (low + high) // 2
        if is_before(middle):
            high = middle
        else:
            low = middle + 1
    edge = start - low * rules.step
    found = index.find({partition: edge})[partition]
    assert found is not None
    begin: Begin = (found.offset + 1, rules.floor(found.time))
    if found.offset < first:
        begin = (first, None)
    for decision in decisions:
        # Where a partition came back its clock was set: its cuts go on from there.
        back = decision.partition == partition and decision.state == BACK
        if back and decision.offset <= begin[0] and (decision.time or 0) >= edge:
            begin = (decision.offset, decision.time)
    return begin


def _check_retention(client: Client, begin: Mapping[int, Begin], topic: Topic) -> None:
    for partition, first in client.begins(sorted(begin)).items():
        if first > begin[partition][0]:
            raise UserError(
                f"--input kafka://{topic.servers}/{topic.name}: partition {partition} begins at "
                f"offset {first:,}, and offset {begin[partition][0]:,} is needed: its retention "
                "has removed it; begin a new run with another --output"
            )
