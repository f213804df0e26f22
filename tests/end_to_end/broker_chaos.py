"""Kills a broker at random moments while a live job on Flink reads its topic: does anything show?

A part of ``make chaos``. Each record must be in one refresh, once, and the files those that a
replay by the run's own journal makes.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.end_to_end import flink, kafka
from tests.end_to_end.test_kafka import Live, reports_of, rows_of

RATE = 300
"""Records a second; they are 10 ms of event time apart."""
PAUSE = (2.0, 15.0)
"""Seconds between two kills, at least and at most, when the job has reported a refresh again."""
EACH = 30
"""Seconds that records are produced for a kill."""


def disturb_broker(kills: int, folder: Path, seed: int) -> Path:
    """Runs a live job on a topic, and kills the broker, and starts it again, so many times.

    Args:
        kills: how often.
        folder: an empty one.
        seed: of the moments.

    Returns:
        The run's folder: each record is in it once, and a replay makes the same files.
    """
    moments = random.Random(seed)
    schema = folder / "rides.toml"
    schema.write_text(kafka.SCHEMA)
    seconds = 30 + kills * EACH
    rides = kafka.make_rides(RATE * seconds)
    topic = kafka.make_topic(4)
    live = Live(topic, folder / "broker", schema, *flink.WORDS)
    live.wait_for((live.folder / "source" / "offsets.json").exists, "the journal")
    producing = kafka.Producing(topic, rides, seconds)
    live.wait_for(lambda: live.reports >= 2, "the second report")
    for number in range(kills):
        pause = moments.uniform(*PAUSE)
        time.sleep(pause)
        print(f"   broker: kill {number + 1} of {kills}, {live.reports} reported", flush=True)
        assert producing.sent < len(rides), "all was produced before the last kill"
        kafka.kill_broker()
        before = live.reports
        live.wait_for(lambda before=before: live.reports > before, "another report")  # type: ignore[misc]
    producing.join()
    live.drain()
    read, scored = reports_of(live.folder), rows_of(live.folder)
    assert sum(one["rows"] for one in read) == len(rides), "rows were lost, or read twice"
    assert scored["id"].is_unique, "rows were scored twice"
    assert len(scored) == len(rides), "rows are missing in predictions/"
    live.replay(folder / "replayed", "--runner", "direct")
    return live.folder
