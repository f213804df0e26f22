"""A Kafka topic as the source of a run: where it begins and ends, and what a replay follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model import promotions
from model.asof import parse_name
from model.batch import SECOND
from model.errors import UserError
from model.runs import RunFolder
from pipeline.own_source import first_written
from pipeline.settings import Settings, micros_of
from pipeline.source import Span, span_of
from reading.kafka.address import Topic, parse_topic
from reading.kafka.client import Client, KafkaError
from reading.kafka.decode import MAX_PARTITIONS
from reading.kafka.journal import Journal, Offsets
from reading.kafka.planning import BACK, Decision, Rules, TimeIndex
from reading.kafka.readers import check_format
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
    """

    offsets: Offsets
    decisions: Sequence[Decision] = ()
    end: int | None = None


def kafka_source(settings: Settings, folder: RunFolder) -> tuple[KafkaSource, Span, TopicRun]:
    """A topic as a source, and what of it is trained on and reported.

    Raises:
        UserError: if no broker answers, there is no such topic, or retention has removed records
            that a resumed or replayed run needs.
    """
    try:
        return _kafka_source(settings, folder)
    except KafkaError as error:
        raise UserError(f"--input: {error}") from error


def _kafka_source(settings: Settings, folder: RunFolder) -> tuple[KafkaSource, Span, TopicRun]:
    cadence = settings.cadence
    topic = parse_topic(str(settings.input), settings.kafka_config)
    check_format(settings.row_schema, settings.kafka_config)
    client = Client(topic)
    partitions = client.partitions()
    if partitions[-1] >= MAX_PARTITIONS:
        raise UserError(f"--input {settings.input}: must have <= {MAX_PARTITIONS:,} partitions")
    journal = Journal(folder.source)
    run = _run_of(settings, folder, client, partitions)
    rules = Rules(
        step=cadence.latency,
        offset=cadence.offset,
        disorder=settings.disorder * SECOND,
        stops=_stops(run),
    )
    first = first_written(folder) if settings.resume else None
    if first is None:
        span = Span(Extent(None, run.end), until=run.end)
        begin: dict[int, Begin] = {p: (at, None) for p, at in run.offsets.begin.items()}
    else:
        span = span_of(first, None, settings, folder, busy=lambda refresh: True)
        span = span._replace(extent=Extent(span.extent.begin, run.end), until=run.end)
        decisions = journal.read_decisions()
        # A row lies up to a refresh after its record's timestamp.
        since = (span.extent.begin or 0) - cadence.every
        begin = {
            partition: find_begin(client, rules, partition, since, at, decisions)
            for partition, at in run.offsets.begin.items()
        }
    _check_retention(client, begin, topic)
    plan = Plan(
        topic=topic,
        rules=rules,
        begin=begin,
        extent=span.extent,
        journal=journal,
        idle=settings.idle if settings.follows_topic else None,
        drain=Drain(folder.drain, cadence.every, cadence.offset),
        live=settings.follows_topic,
    )
    reader = KafkaReader(
        topic=topic,
        begin=span.extent.begin,
        schema=settings.row_schema,
        latency=cadence.latency,
        batch_rows=settings.batch_rows,
        ahead=cadence.every,
        offset=cadence.offset,
    )
    return KafkaSource(plan, reader), span, run


def open_journal(folder: RunFolder, settings: Settings, run: TopicRun) -> None:
    """Writes down, in a folder that is ready, what was decided before the run begins."""
    journal = Journal(folder.source)
    if settings.resume and journal.read_offsets() is not None:
        return
    if settings.replay is not None:
        promotions.repeat(RunFolder(settings.replay).promotions, folder.promotions)
    journal.write_offsets(run.offsets)
    for number, decision in enumerate(run.decisions):
        journal.write_decision(number, decision)


def _run_of(
    settings: Settings, folder: RunFolder, client: Client, partitions: Sequence[int]
) -> TopicRun:
    """What the run has decided, if it is resumed; else what it decides now."""
    if settings.resume:
        kept = Journal(folder.source).read_offsets()
        if kept is not None:
            end = _end_of(settings)
            return TopicRun(kept, end=end)
    if settings.replay is not None:
        return _replayed(settings)
    begin = client.begins(partitions)
    if settings.start is not None:
        begin = _at_time(client, partitions, micros_of(settings.start))
    stops = None
    if settings.until == "now":
        stops = client.ends(partitions)
    elif settings.until is not None:
        stops = _at_time(client, partitions, micros_of(settings.until))
    return TopicRun(Offsets(begin=begin, end=stops), end=_end_by_refreshes(settings, client, begin))


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


def _replayed(settings: Settings) -> TopicRun:
    """What a run has decided that is made once more."""
    folder = RunFolder(str(settings.replay))
    journal = Journal(folder.source)
    offsets = journal.read_offsets()
    if offsets is None:
        raise UserError(f"--replay {settings.replay}: is not the folder of a run on a topic")
    return TopicRun(offsets, journal.read_decisions(), _end_of(settings))


def _end_of(settings: Settings) -> int | None:
    """The end of the last refresh that a replayed run has reported; None if nothing is replayed."""
    if settings.replay is None:
        return None
    names = RunFolder(settings.replay).report_names()
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
