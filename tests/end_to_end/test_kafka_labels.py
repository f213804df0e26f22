"""Labels by topic: as files have them, live and replayed, through kills; labels in the rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from tests.end_to_end import kafka
from tests.end_to_end.kafka import (
    SCHEMA,
    SERVERS,
    Producing,
    Record,
    make_rides,
    make_topic,
    produce,
)
from tests.end_to_end.test_kafka import (
    JOB,
    Live,
    address,
    needs_prism,
    reports_of,
    run,
)
from tests.kit.job import finish

pytestmark = kafka.needs_kafka
KEYS = """\
id = "ride"
wait = "40s"
"""
STREAM = """\
[labels]
id = "ride"
target = "y"
time = "known"
"""


def stream_schema(folder: Path) -> Path:
    """The rides' schema, with labels as a stream."""
    path = folder / "stream.toml"
    path.write_text(KEYS + SCHEMA + STREAM)
    return path


def make_streams(count: int, partitions: int = 2) -> tuple[list[Record], list[Record]]:
    """Rides without a target, and their labels up to 50 seconds later; some twice, or never."""
    rng = np.random.default_rng(11)
    questions, labels = [], []
    for number, ride in enumerate(make_rides(count, partitions)):
        row = orjson.loads(ride.value or b"")
        target = row.pop("y")
        questions.append(ride._replace(value=orjson.dumps({**row, "ride": number})))
        if rng.random() < 0.05:
            continue
        known = row["ts"] + int(rng.integers(0, 50_000))
        labels.append(_label(number, target, known))
        if rng.random() < 0.05:
            labels.append(_label(number, target + int(rng.integers(0, 2)), known + 1_000))
    labels.append(_label(10**9, 1.0, labels[5].time))  # of no question
    return questions, sorted(labels, key=lambda label: label.time)


def _label(number: int, target: float, known: int) -> Record:
    value = orjson.dumps({"ride": number, "y": target, "known": known})
    return Record(max(known, kafka.START), value, number % 2)


def join_of(folder: Path) -> list[dict[str, Any]]:
    """What the reports have of labels."""
    names = ("rows", "scored", "labelled", "answered", "duplicates", "conflicts", "orphans")
    return [{name: one[name] for name in ("refresh_start", *names)} for one in reports_of(folder)]


def test_labels_of_a_topic_meet_their_questions_as_those_of_a_file(tmp_path: Path) -> None:
    questions, labels = make_streams(8_000)
    labels[3_000] = labels[3_000]._replace(value=b"no JSON")
    topics = make_topic(2), make_topic(2)
    files = tmp_path / "questions.ndjson", tmp_path / "labels.ndjson"
    for topic, path, records in zip(topics, files, (questions, labels), strict=True):
        produce(topic, records)
        path.write_bytes(b"\n".join(record.value or b"" for record in records))
    schema = stream_schema(tmp_path)
    argv = ("--schema", schema, "--window", "20s", "--learner", "ridge", "--output")
    late = ("--disorder", "5s", "--until", "now")
    given = ("--input", address(topics[0]), "--labels", address(topics[1]))
    result = run(*given, *late, *argv, tmp_path / "topic")
    assert result.code == 0, result.err
    result = run("--input", files[0], "--labels", files[1], *argv, tmp_path / "file")
    assert result.code == 0, result.err
    made, wanted = join_of(tmp_path / "topic"), join_of(tmp_path / "file")
    assert made == wanted
    for name in ("duplicates", "conflicts", "answered", "orphans"):
        assert sum(one[name] for one in made) > 0, name
    pairs = zip(reports_of(tmp_path / "topic"), reports_of(tmp_path / "file"), strict=True)
    for one, other in pairs:
        if other["mae"] is not None:
            assert one["mae"] == pytest.approx(other["mae"], rel=1e-9)
    rejected = [path.read_text() for path in tmp_path.glob("topic/rejected/*/labels-*.ndjson")]
    [place] = [json.loads(line)["where"] for text in rejected for line in text.splitlines()]
    assert place.startswith(f"{topics[1]}/")
    ended = json.loads((tmp_path / "topic" / "ended.json").read_bytes())
    assert ended["questions"] == len(questions)
    assert ended["questions"] == ended["answered"] + ended["open"] + ended["expired"]
    of_files = json.loads((tmp_path / "file" / "ended.json").read_bytes())
    assert (ended["labels_read"], ended["labels_rejected"]) == (len(labels), 1)
    assert (of_files["labels_read"], of_files["labels_rejected"]) == (len(labels), 1)


@needs_prism
def test_a_live_run_with_labels_is_killed_resumed_drained_and_replayed_to_the_byte(
    tmp_path: Path,
) -> None:
    questions, labels = make_streams(12_000, 3)
    topics = make_topic(3), make_topic(3)  # one partition of labels has none
    schema = stream_schema(tmp_path)
    given = ("--runner", "prism", "--labels", f"kafka://{SERVERS}/{topics[1]}")
    live = Live(topics[0], tmp_path / "live", schema, *given)
    live.wait_for((live.folder / "source" / "offsets.json").exists, "the journal")
    producing = [Producing(*pair, 25) for pair in zip(topics, (questions, labels), strict=True)]
    live.wait_for(lambda: live.reports >= 2, "the second report")
    live.process.kill()
    assert finish(live.process).code == -9
    resumed = Live(topics[0], live.folder, schema, *given, "--resume")
    for one in producing:
        one.join()
    resumed.drain()
    assert sum(one["rows"] for one in reports_of(live.folder)) == len(questions)
    assert sum(one["answered"] for one in reports_of(live.folder)) > 8_000
    resumed.replay(tmp_path / "embedded", "--runner", "direct")


def test_rows_of_a_topic_may_have_their_labels_with_them(tmp_path: Path) -> None:
    rides = []
    for number, ride in enumerate(make_rides(6_000, 2)):
        row = orjson.loads(ride.value or b"")
        known = row["ts"] + number % 7 * 1_000
        rides.append(ride._replace(value=orjson.dumps({**row, "ride": number, "known": known})))
    schema = tmp_path / "later.toml"
    schema.write_text(KEYS + 'label_time = "known"\n' + SCHEMA)
    topic, path = make_topic(2), tmp_path / "rides.ndjson"
    produce(topic, rides)
    path.write_bytes(b"\n".join(ride.value or b"" for ride in rides))
    argv = ("--schema", schema, "--window", "20s", "--learner", "ridge", "--output")
    late = ("--disorder", "5s", "--until", "now")
    result = run("--input", address(topic), *late, *argv, tmp_path / "topic")
    assert result.code == 0, result.err
    result = run("--input", path, *argv, tmp_path / "file")
    assert result.code == 0, result.err
    for one, other in zip(
        reports_of(tmp_path / "topic"), reports_of(tmp_path / "file"), strict=True
    ):
        for name in ("refresh_start", "rows", "scored", "labelled", "late"):
            assert one[name] == other[name], name
        if other["mae"] is not None:
            assert one["mae"] == pytest.approx(other["mae"], rel=1e-9)


def test_labels_of_files_for_the_questions_of_a_topic_are_refused(tmp_path: Path) -> None:
    argv = ("--schema", stream_schema(tmp_path), *JOB, "--until", "now", "--output", tmp_path / "a")
    result = run("--input", address("questions"), "--labels", tmp_path / "labels.ndjson", *argv)
    assert result.code == 2 and "both must be topics, or both files" in result.error


def test_check_shows_that_labels_of_a_topic_spell_their_ids_otherwise(tmp_path: Path) -> None:
    questions, labels = make_streams(200)
    spelled = []
    for label in labels:
        row = orjson.loads(label.value or b"")
        spelled.append(label._replace(value=orjson.dumps({**row, "ride": f"{row['ride']:09d}"})))
    given: list[str] = []
    for option, records in (("--input", questions), ("--labels", spelled)):
        topic = make_topic(2)
        produce(topic, records)
        given += [option, address(topic)]
    result = run("check", *given, "--schema", stream_schema(tmp_path), "--window", "20s")
    assert "ids are compared as text, and a label has '0000000" in result.out, result.err
