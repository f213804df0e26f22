"""A planner takes an act that waits, for the first refresh that its watermark has not reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model import promotions
from model.asof import to_datetime
from model.batch import SECOND
from transforms.elements import WorkItem
from transforms.sources.planner import Drain, Mark, PlannerReader
from transforms.sources.work_items import WorkPlan

MINUTE = 60 * SECOND
SHA = "0" * 64


class Minutes(WorkPlan):
    """An item every twenty seconds of event time, each due at once."""

    def get(self, index: int) -> WorkItem | None:
        at = index * 20 * SECOND
        return WorkItem(0, index, index + 1, index, 1, index + 1, at) if index < 30 else None

    def due(self, index: int) -> float:
        return 0.0

    def reach(self, index: int) -> int:
        return index * 20 * SECOND

    def before(self, until: int) -> Minutes:
        return self


class Clock:
    """A clock that is set."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def ask(folder: Path, what: str, when: int, to: str | None) -> None:
    found = {"format": 1, "what": what, "when": to_datetime(when).isoformat(), "from": None}
    found |= {"since": to_datetime(0).isoformat(), "to": to, "sha256": to and SHA}
    (folder / "pin.json").write_text(json.dumps(found))


@pytest.mark.parametrize("retried", [False, True])
def test_an_act_holds_from_the_first_refresh_that_the_watermark_has_not_reached(
    tmp_path: Path, retried: bool
) -> None:
    clock, drain = Clock(), Drain(str(tmp_path / "drain.json"), MINUTE, 5 * SECOND)
    reader = PlannerReader(Minutes(), Mark(0), clock, drain)
    record = str(tmp_path / "promotions.ndjson")
    for _ in range(4):
        assert reader.advance()
    assert reader.get_watermark().micros == 80 * SECOND  # in the refresh from 65 s on
    ask(tmp_path, "pin", 1, "20240101T000200Z")
    clock.now += 2
    assert reader.advance()
    [act] = promotions.read(record)
    assert act.since == to_datetime(125 * SECOND) and not (tmp_path / "pin.json").exists()
    if retried:  # from an older checkpoint; the request had not been removed yet
        ask(tmp_path, "pin", 1, "20240101T000200Z")
        reader = PlannerReader(Minutes(), Mark(2), clock, drain)
        clock.now += 2
        assert reader.advance()
        assert promotions.read(record) == [act] and not (tmp_path / "pin.json").exists()
    found = promotions.read(record)
    assert promotions.find_pin(found, 65 * SECOND) is None
    assert promotions.find_pin(found, 125 * SECOND) == ("20240101T000200Z", SHA)


def test_what_waits_and_is_not_an_act_is_removed(tmp_path: Path) -> None:
    clock = Clock()
    reader = PlannerReader(Minutes(), Mark(0), clock, Drain(str(tmp_path / "drain.json"), MINUTE))
    (tmp_path / "pin.json").write_text("{")
    assert reader.advance() and not (tmp_path / "pin.json").exists()
    assert promotions.read(str(tmp_path / "promotions.ndjson")) == []
