"""What the rules and the dashboard ask for is what a server shows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.kit.job import ROOT
from tests.kit.serve import client, rows

MONITORING = ROOT / "deploy" / "monitoring"
METRIC = re.compile(r"\b(correnteza_\w+|process_\w+)\b")


@pytest.fixture(scope="module")
def shown(run: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all metrics of a live run."""

    live = Path(shutil.copytree(run, tmp_path_factory.mktemp("live") / "run"))
    settings = json.loads((live / "settings.json").read_text())
    (live / "settings.json").write_text(json.dumps({**settings, "live": True}))
    status = json.loads((live / "status.json").read_text())
    partition = {"lag_rows": 3, "lag_seconds": 0.5, "undecoded": 1, "idle": False}
    topic = {**partition, "idle": 0, "partitions": 1, "by_partition": {"0": partition}}
    (live / "status.json").write_text(json.dumps({**status, "topic": topic}))
    with client(live) as api:
        api.post("/predict", json=rows())
        text = api.get("/metrics").text
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line[0] != "#"} | {
        line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")
    }


def expressions(name: str) -> list[str]:
    """What a file asks a Prometheus for."""
    text = (MONITORING / name).read_text()
    if name.endswith(".json"):
        panels = json.loads(text)["panels"]
        return [target["expr"] for panel in panels for target in panel["targets"]]
    return re.findall(r"expr: (?:\|\n)?((?:.|\n)*?)\n        (?:for|labels):", text)


@pytest.mark.parametrize(("name", "number"), [("alerts.yml", 14), ("dashboard.json", 22)])
def test_every_metric_that_is_asked_for_is_shown(name: str, number: int, shown: set[str]) -> None:
    found = {metric for asked in expressions(name) for metric in METRIC.findall(asked)}
    assert len(found) >= number
    assert found <= shown, found - shown


def test_every_metric_that_is_shown_is_documented(shown: set[str]) -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    documented = set(METRIC.findall(text))
    ours = {name for name in shown if name.startswith("correnteza_")}
    parts = ("_bucket", "_sum", "_count", "_created")
    left = {
        name
        for name in ours
        if name not in documented
        and not name.endswith(parts)
        and f"{name}_total" not in documented
        and not name.startswith("correnteza_refresh_")
    }
    assert left == set()


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places)) and max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
