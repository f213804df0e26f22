"""A topic as the source: as a file has it, live and replayed, through kills, what is refused."""

from __future__ import annotations

import gc
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from deploy.local.kafka import HOME
from examples.topic import fill
from pipeline.runners.prism import find_prism
from reading.kafka import client
from reading.kafka.client import read_range
from tests.end_to_end import flink, kafka
from tests.end_to_end.kafka import (
    CLIENT,
    SERVERS,
    START,
    TLS_SERVERS,
    Producing,
    Record,
    make_rides,
    make_topic,
    produce,
    schema,
)
from tests.kit.job import ROOT, Told, assert_whole, content, finish, process

__all__ = ["schema"]  # a fixture
pytestmark = kafka.needs_kafka
COMPARED = ("metrics/", "predictions/", "models/", "skipped/", "rejected/", "promotions.ndjson")
JOB = ("--window", "20s", "--learner", "ridge", "--disorder", "5s")


def address(topic: str, servers: str = SERVERS) -> str:
    """A topic as ``--input`` has it."""
    return f"kafka://{servers}/{topic}"


def run(*argv: object) -> Told:
    """Runs the job to its end, in a process of its own."""
    return finish(process(*argv))


def rows_of(folder: Path) -> pd.DataFrame:
    """All predictions of a run, by row id."""
    found = [pd.read_parquet(path) for path in sorted(folder.glob("predictions/*/*.parquet"))]
    return pd.concat(found).sort_values("id", ignore_index=True)


def reports_of(folder: Path) -> list[dict[str, Any]]:
    """All reports of a run, in order."""
    return [json.loads(path.read_text()) for path in sorted((folder / "metrics").glob("*.json"))]


def compared(folder: Path) -> dict[str, str]:
    """The hashes of the files of a run that a replay makes again."""
    return {name: found for name, found in content(folder).items() if name.startswith(COMPARED)}


class Live:
    """A live run on Prism or Flink, which is drained in the end."""

    def __init__(self, topic: str, folder: Path, schema: Path, *more: object) -> None:
        self.topic, self.folder = topic, folder
        self.argv = [
            *("--input", address(topic), "--schema", schema, *JOB, "--latency", "5s"),
            *("--idle", "3s", "--on-interrupt", "drain", "--output", folder, *more),
        ]
        self.process = process(*self.argv)

    def wait_for(self, there: Callable[[], bool], what: str, seconds: float = 600) -> None:
        """Waits until something is there."""
        until = time.monotonic() + seconds
        while not there():
            assert self.process.poll() is None, finish(self.process).err
            assert time.monotonic() < until, f"{what} is not there after {seconds:.0f} s"
            time.sleep(0.1)

    @property
    def reports(self) -> int:
        """How many refreshes are reported."""
        return len(list(self.folder.glob("metrics/*.json")))

    def drain(self) -> None:
        """Waits until all that has come is read, and drains the run."""
        ends = kafka.ends_of(self.topic)
        self.wait_for(lambda: self._idle_from() == ends, "an idle topic")
        self.process.send_signal(signal.SIGINT)
        result = finish(self.process)
        assert result.code == 0, result.err
        assert_whole(self.folder)

    def _idle_from(self) -> dict[int, int]:
        """From which offset on each partition is idle that is so by its last decision.

        One that was decided before a kill says nothing of what has come since: so the offset.
        """
        paths = (self.folder / "source" / "idle").glob("*.json")
        found: dict[int, int] = {}
        for path in sorted(paths, key=lambda path: int(path.stem)):
            decision = json.loads(path.read_text())
            found.pop(decision["partition"], None)
            if decision["state"] == "idle":
                found[decision["partition"]] = decision["offset"]
        return found

    def replay(self, folder: Path, *more: object) -> None:
        """Replays the run, and compares the files."""
        result = run("--replay", self.folder, "--output", folder, *more)
        assert result.code == 0, result.err
        made, found = compared(folder), compared(self.folder)
        differ = sorted(
            name for name in made.keys() | found.keys() if made.get(name) != found.get(name)
        )
        assert not differ, f"{len(differ)} files differ: {differ[:5]}"
        assert sum(name.startswith("predictions/") for name in found) > 10


needs_prism = pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")


def test_a_topic_has_the_figures_of_the_same_rows_in_a_file(schema: Path, tmp_path: Path) -> None:
    rides = make_rides(12_000)
    # A producer without idempotence whose answer was lost has sent these again.
    rides[5_200:5_200] = rides[5_000:5_200]
    topic = make_topic()
    produce(topic, rides)
    run_topic(topic, schema, tmp_path / "topic")
    assert_as_of_file(tmp_path / "topic", [ride.value or b"" for ride in rides], schema)


def test_what_compaction_has_removed_is_no_row(schema: Path, tmp_path: Path) -> None:
    keyed = [ride._replace(key=b"%d" % (i % 500)) for i, ride in enumerate(make_rides(6_000, 1))]
    # A segment of a second is closed by the next batch, and only closed ones are compacted.
    often = {"segment_ms": "1000", "min_cleanable_dirty_ratio": "0.01"}
    topic = make_topic(1, cleanup_policy="compact", **often)
    for first in range(0, len(keyed), 500):
        produce(topic, keyed[first : first + 500])
    until = time.monotonic() + 300
    while len(kafka.read_values(topic, 0)) == len(keyed):
        assert time.monotonic() < until, "nothing is compacted"
        time.sleep(0.5)
    folder = tmp_path / "topic"
    for number in range(5):  # until it is at rest
        there = kafka.read_values(topic, 0)
        folder = tmp_path / f"topic-{number}"
        run_topic(topic, schema, folder)
        if kafka.read_values(topic, 0) == there:
            break
    assert 500 <= len(there) < len(keyed)
    assert_as_of_file(folder, there, schema)


LEARNED = ("--window", "20s", "--learner", "ridge")


def run_topic(topic: str, schema: Path, folder: Path) -> None:
    """Runs over what a topic has now."""
    late = ("--disorder", "5s", "--until", "now")
    argv = ("--input", address(topic), "--schema", schema, *LEARNED, *late)
    result = run(*argv, "--output", folder)
    assert result.code == 0, result.err


def assert_as_of_file(folder: Path, values: list[bytes], schema: Path) -> None:
    """A run over a topic has the figures of one over a file of the same rows."""
    lines, beside = folder.with_suffix(".ndjson"), folder.with_name("file")
    lines.write_bytes(b"\n".join(values))
    result = run("--input", lines, "--schema", schema, *LEARNED, "--output", beside)
    assert result.code == 0, result.err
    topics, files = reports_of(folder), reports_of(beside)
    assert [one["refresh_start"] for one in topics] == [one["refresh_start"] for one in files]
    for one, other in zip(topics, files, strict=True):
        assert (one["rows"], one["scored"], one["late"]) == (other["rows"], other["scored"], 0)
        if other["mae"] is not None:
            assert one["mae"] == pytest.approx(other["mae"], rel=1e-9)
            assert one["r2"] == pytest.approx(other["r2"], rel=1e-9)


def test_rows_are_late_by_the_clock_of_their_partition(schema: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rides = [
        # Some come up to 40 s too late.
        ride if rng.random() > 0.05 else _shift(ride, -int(rng.integers(0, 40_000)))
        for ride in make_rides(8_000, 2)
    ]
    topic = make_topic(2)
    produce(topic, rides)
    argv = ("--schema", schema, "--window", "20s", "--learner", "ridge", "--until", "now")
    folder = tmp_path / "run"
    result = run("--input", address(topic), *argv, "--disorder", "4s", "--output", folder)
    assert result.code == 0, result.err
    expected: dict[int, bool] = {}
    for partition in (0, 1):
        own = [ride for ride in rides if ride.partition == partition]
        clock: int | None = None
        for offset, ride in enumerate(own):
            event = orjson.loads(ride.value or b"")["ts"]
            bound = None if clock is None else clock // 20_000 * 20_000 - 4_000
            expected[1 << 62 | partition << 48 | offset] = bound is not None and event < bound
            clock = ride.time if clock is None else max(clock, ride.time)
    rows = rows_of(folder)
    # The first windows have no model.
    found = dict(zip(rows["id"], rows["late"], strict=True))
    assert found.items() <= expected.items() and len(found) > 5_000
    assert sum(one["late"] for one in reports_of(folder)) == sum(expected.values()) > 10


def _shift(ride: Record, by: int) -> Record:
    row = orjson.loads(ride.value or b"")
    return ride._replace(value=orjson.dumps({**row, "ts": row["ts"] + by}))


@needs_prism
def test_a_live_run_is_replayed_to_the_byte_with_idle_added_and_late_partitions(
    schema: Path, tmp_path: Path
) -> None:
    rides = make_rides(16_000)
    rng = np.random.default_rng(7)
    rides = [
        _shift(ride, -int(rng.integers(0, 30_000))) if rng.random() < 0.02 else ride
        for ride in rides
    ]
    # Partition 3 has nothing for a while, and a fourth one is added.
    rides = [
        ride._replace(partition=2) if ride.partition == 3 and 3_000 < i < 9_000 else ride
        for i, ride in enumerate(rides)
    ]
    rides = [
        ride._replace(partition=4) if ride.partition == 0 and i > 8_000 else ride
        for i, ride in enumerate(rides)
    ]
    topic = make_topic(4)
    fine = ("--latency", "2500ms")
    live = Live(topic, tmp_path / "live", schema, "--runner", "prism", *fine)
    live.wait_for((live.folder / "source" / "offsets.json").exists, "the journal")
    producing = Producing(topic, rides, 30, {7_000: lambda: kafka.add_partitions(topic, 5)})
    producing.join()
    live.drain()
    seen = json.loads((live.folder / "status.json").read_text())["topic"]
    assert (seen["lag_rows"], seen["partitions"], seen["idle"]) == (0, 5, 5)
    assert sum(one["rows"] for one in reports_of(live.folder)) == len(rides)
    live.replay(tmp_path / "embedded", "--runner", "direct")
    # Another cut into batches changes no byte either.
    live.replay(tmp_path / "prism", "--runner", "prism", "--batch-rows", 1024)


@pytest.fixture
def alone() -> Iterator[None]:
    """No other test kills the broker meanwhile, or needs it as it was."""
    with kafka.one_at_a_time():
        yield


@needs_prism
def test_a_broker_and_a_launcher_that_are_killed_lose_and_double_no_row_and_no_pin(
    schema: Path, tmp_path: Path, alone: None
) -> None:
    rides = make_rides(16_000)
    topic = make_topic(4)
    live = Live(topic, tmp_path / "live", schema, "--runner", "prism")
    live.wait_for((live.folder / "source" / "offsets.json").exists, "the journal")
    pinned = threading.Event()  # the other rides wait for it, so it holds for some
    at: dict[int, Callable[[], object]] = {6_000: kafka.kill_broker}
    at[9_000] = lambda: pinned.wait(900)
    producing = Producing(topic, rides, 40, at)
    live.wait_for(lambda: live.reports >= 3, "the third report")
    [model] = {one["model"] for one in reports_of(live.folder)[2:3]}
    assert run("models", "pin", live.folder, model).code == 0
    record = live.folder / "promotions.ndjson"
    live.wait_for(record.exists, "the pin")
    live.process.kill()
    assert finish(live.process).code == -9
    resumed = Live(topic, live.folder, schema, "--runner", "prism", "--resume")
    pinned.set()
    producing.join()
    resumed.drain()
    [act] = map(json.loads, record.read_text().splitlines())
    assert (act["what"], act["to"]) == ("pin", model)
    since = [
        one["model"] for one in reports_of(live.folder) if one["refresh_start"] >= act["since"]
    ]
    assert set(since) == {model} and len(since) >= 2
    assert sum(one["rows"] for one in reports_of(live.folder)) == len(rides)
    rows = rows_of(live.folder)
    assert rows["id"].is_unique
    resumed.replay(tmp_path / "embedded", "--runner", "direct")


@pytest.mark.skipif(bool(flink.needs_flink[1].args[0]), reason="Flink is not up: make flink-up")
def test_a_live_run_on_flink_whose_taskmanager_is_killed_is_replayed_to_the_byte(
    schema: Path, tmp_path: Path, alone: None
) -> None:
    rides = make_rides(12_000)
    topic = make_topic(4)
    live = Live(topic, tmp_path / "live", schema, *flink.WORDS)
    live.wait_for((live.folder / "source" / "offsets.json").exists, "the journal")
    producing = Producing(topic, rides, 40)
    live.wait_for(lambda: live.reports >= 2, "the second report")
    flink.kill("taskmanager")
    flink.mend()
    producing.join()
    live.drain()
    assert sum(one["rows"] for one in reports_of(live.folder)) == len(rides)
    live.replay(tmp_path / "embedded", "--runner", "direct")


def test_what_cannot_be_decoded_is_rejected_with_its_place(schema: Path, tmp_path: Path) -> None:
    rides = make_rides(2_000, 1)
    rides[100] = rides[100]._replace(value=b"no JSON")
    rides[200] = rides[200]._replace(value=None)
    rides[300] = rides[300]._replace(value=b"[1]")
    rides[400] = _shift(rides[400], 90_000)
    topic = make_topic(1)
    produce(topic, rides)
    folder = tmp_path / "run"
    argv = ("--schema", schema, *JOB, "--until", "now", "--output", folder)
    result = run("--input", address(topic), *argv)
    assert result.code == 0, result.err
    found = [
        json.loads(line)
        for path in folder.glob("rejected/*/*.ndjson")
        for line in path.read_text().split("\n")
        if line
    ]
    reasons = {one["where"]: one["reason"] for one in found}
    assert sorted(reasons) == [f"{topic}/0/{offset}" for offset in (100, 200, 300, 400)]
    assert "JSON" in reasons[f"{topic}/0/100"]
    assert "tombstone" in reasons[f"{topic}/0/200"]
    assert "object" in reasons[f"{topic}/0/300"]
    assert "after the timestamp of its record" in reasons[f"{topic}/0/400"]
    seen = json.loads((folder / "status.json").read_text())["topic"]
    one = {"lag_rows": 0, "lag_seconds": 0.0, "undecoded": 4, "idle": False}
    assert seen == {**one, "idle": 0, "partitions": 1, "by_partition": {"0": one}}


def test_aborted_transactions_are_no_rows(schema: Path, tmp_path: Path) -> None:
    rides = make_rides(4_000, 1)
    topic = make_topic(1)
    producer = kafka.make_producer(transactional_id=topic)
    producer.init_transactions(120)
    for first, commit in zip(range(0, 4_000, 500), [True, False] * 4, strict=True):
        producer.begin_transaction()
        for ride in rides[first : first + 500]:
            producer.produce(topic, ride.value, partition=0, timestamp=ride.time)
        assert producer.flush(120) == 0
        (producer.commit_transaction if commit else producer.abort_transaction)(120)
    folder = tmp_path / "run"
    argv = ("--schema", schema, *JOB, "--until", "now", "--output", folder)
    result = run("--input", address(topic), *argv)
    assert result.code == 0, result.err
    assert sum(one["rows"] for one in reports_of(folder)) == 2_000


def test_a_broker_with_tls_and_a_user_is_read_and_no_secret_is_shown(
    schema: Path, tmp_path: Path
) -> None:
    topic = make_topic(1)
    produce(topic, make_rides(4_000, 1))
    folder = tmp_path / "run"
    argv = ("--schema", schema, *JOB, "--until", "now", "--kafka-config")
    result = run("--input", address(topic, TLS_SERVERS), *argv, CLIENT, "--output", folder)
    assert result.code == 0, result.err
    assert sum(one["rows"] for one in reports_of(folder)) == 4_000
    password = (HOME / "secrets" / "password").read_text()
    shown = result.out + result.err
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert password not in shown and password.encode() not in written
    wrong = tmp_path / "wrong.properties"
    wrong.write_text(CLIENT.read_text().replace(password, "wr0ng-password"))
    result = run("--input", address(topic, TLS_SERVERS), *argv, wrong, "--output", tmp_path / "no")
    assert result.code == 2
    assert "wr0ng-password" not in result.err and "Traceback" not in result.err
    assert "authentication" in result.error.lower()


@pytest.mark.parametrize(
    ("allowed", "lacks"), [([], "Describe"), (["DESCRIBE"], "Read"), (["DESCRIBE", "READ"], None)]
)
def test_a_right_that_a_user_lacks_is_named(
    allowed: list[str], lacks: str | None, schema: Path, tmp_path: Path
) -> None:
    topic = make_topic(1)
    produce(topic, make_rides(4_000, 1))
    kafka.allow("someone-else", topic, ["ALL"])
    kafka.allow(kafka.USER, topic, allowed)
    named = ("--input", address(topic, TLS_SERVERS), "--kafka-config", CLIENT)
    argv = (*named, "--schema", schema, *JOB, "--until", "now")
    checked = run("check", *argv)
    result = run(*argv, "--output", tmp_path / "run")
    if lacks is None:
        assert (checked.code, result.code) == (0, 0), checked.err + result.err
        return
    for one in (checked, result):
        assert one.code > 0 and f"its ACL has to allow the user {lacks}" in one.err, one.err
        assert "Traceback" not in one.err


def test_a_plain_client_of_a_port_with_tls_is_shown_the_property_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from reading.kafka.address import parse_topic

    monkeypatch.setattr(client, "ANSWER_SECONDS", 5.0)
    asked = client.Client(parse_topic(address("rides", TLS_SERVERS)))
    with pytest.raises(client.KafkaError, match=r"security\.protocol=SSL or SASL_SSL"):
        asked.partitions()


def test_a_run_whose_records_retention_has_removed_is_not_resumed(
    schema: Path, tmp_path: Path
) -> None:
    from confluent_kafka import TopicPartition

    topic = make_topic(1)
    produce(topic, make_rides(6_000, 1))
    folder = tmp_path / "run"
    argv = ("--input", address(topic), "--schema", schema, *JOB, "--until", "now")
    assert run(*argv, "--output", folder).code == 0
    last = max(folder.glob("metrics/*.json"))
    last.unlink()
    (folder / "ended.json").unlink()
    [removed] = kafka.make_admin().delete_records([TopicPartition(topic, 0, 5_900)]).values()
    removed.result(120)
    result = run(*argv, "--output", folder, "--resume")
    assert result.code == 2 and "retention has removed it" in result.error


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("kafka://127.0.0.1:1/rides", "127.0.0.1:1"),
        (f"kafka://{SERVERS}/there-is-no-such-topic", "there-is-no-such-topic"),
    ],
)
def test_a_broker_or_topic_that_is_not_there_is_one_line(
    source: str, message: str, schema: Path, tmp_path: Path
) -> None:
    argv = ("--schema", schema, *JOB, "--until", "now", "--output", tmp_path / "run")
    result = run("--input", source, *argv)
    assert result.code == 2 and message in result.error
    assert not (tmp_path / "run" / "settings.json").exists()


def test_the_topic_of_the_tour_is_learned_from(tmp_path: Path) -> None:
    topic = address(f"people-{tmp_path.name.replace('_', '-')}-{time.time_ns()}")
    assert fill(topic, rate=200, seconds=6) > 500
    folder = tmp_path / "run"
    job = ("--window", "2s", "--learner", "ridge", "--until", "now", "--output", folder)
    result = run("--input", topic, "--schema", ROOT / "examples" / "people.toml", *job)
    assert result.code == 0, result.err
    assert max(one["skill"] or 0 for one in reports_of(folder)) > 0.4


def test_check_says_how_far_the_rows_are_out_of_order(schema: Path) -> None:
    rides = make_rides(3_000, 1)
    rides[2_000] = _shift(rides[2_000], -30_000)
    clock = max(ride.time for ride in rides[:2_000]) // 20_000 * 20_000
    behind = -(-(clock - orjson.loads(rides[2_000].value or b"")["ts"]) // 1_000)
    topic = make_topic(1)
    produce(topic, rides)
    argv = ("--input", address(topic), "--schema", schema, "--window", "20s", "--until", "now")
    result = run("check", *argv)
    assert f"1 partition, up to {len(rides):,} records" in result.out
    assert f"--disorder {behind} covers them" in result.out
    result = run("check", *argv, "--disorder", behind)
    assert f"none of its first {len(rides):,} rows would be late" in result.out


def test_many_ranges_read_at_once_leave_few_consumers(schema: Path) -> None:
    from reading.kafka.address import parse_topic

    name = make_topic(1)
    produce(name, make_rides(200, 1))
    topic = parse_topic(address(name))
    reading = [read_range(topic, 0, first, first + 5) for first in range(0, 200, 5)]
    first_ones = [next(one)[0].offset for one in reading]
    assert first_ones == list(range(0, 200, 5))
    del reading  # which closes them
    gc.collect()
    assert len(client._consumers(topic)._idle) == client.MAX_IDLE_CONSUMERS
    assert [record.offset for found in read_range(topic, 0, 7, 30) for record in found] == list(
        range(7, 30)
    )


def test_a_topic_whose_target_is_of_the_other_task_is_refused(schema: Path, tmp_path: Path) -> None:
    topic = make_topic(1)
    rows = [{"ts": START + 10 * i, "y": ["NO", "YES"][i % 2], "a": 1, "b": 2} for i in range(200)]
    produce(topic, [Record(START + 10 * i, orjson.dumps(row), 0) for i, row in enumerate(rows)])
    argv = ("--input", address(topic), "--schema", schema, *JOB, "--until", "now")
    for command in (("check",), ("--output", tmp_path / "run")):
        result = run(*command, *argv)
        assert result.code == 2
        assert f"topic {topic}: column 'y' (the target): 200 of the first 200" in result.error
        assert 'if it is a class, set task = "classification" in the schema' in result.error
    assert not (tmp_path / "run" / "settings.json").exists()
