"""A real Prometheus takes the rules, scrapes a server, and answers what the dashboard asks."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from pipeline.__main__ import main
from tests.kit.job import ROOT, SMALL
from tests.kit.ports import find_port
from tests.kit.serve import Served, serve, until

pytestmark = pytest.mark.slow

MONITORING = ROOT / "deploy" / "monitoring"
UNIT_TESTS = """\
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'correnteza_run_state{job="correnteza",instance="a",state="running"}'
        values: '1x30'
      - series: 'correnteza_run_state{job="correnteza",instance="b",state="failed"}'
        values: '0x5 1x25'
      - series: 'correnteza_run_update_age_seconds{job="correnteza",instance="a"}'
        values: '1x10 100+60x20'
      - series: 'correnteza_run_update_age_seconds{job="correnteza",instance="b"}'
        values: '1000x30'
      - series: 'correnteza_run_rows_total{job="correnteza",instance="a",kind="accepted"}'
        values: '0+80x30'
      - series: 'correnteza_run_rows_total{job="correnteza",instance="a",kind="rejected"}'
        values: '0+20x30'
      - series: 'correnteza_refresh_skill{job="correnteza",instance="a"}'
        values: '0.5x10 -0.5x20'
      - series: 'correnteza_run_every_seconds{job="correnteza",instance="a"}'
        values: '60x30'
      - series: 'correnteza_topic_lag_seconds{job="correnteza",instance="a",partition="0"}'
        values: '0x30'
      - series: 'correnteza_topic_lag_seconds{job="correnteza",instance="a",partition="1"}'
        values: '180x10 200x20'
    alert_rule_test:
      - {eval_time: 10m, alertname: CorrentezaRunSilent, exp_alerts: []}
      - eval_time: 20m
        alertname: CorrentezaRunSilent
        exp_alerts:
          - exp_labels: {severity: critical, job: correnteza, instance: a}
            exp_annotations:
              summary: The run of a has given no sign of life for 10m 40s.
      - eval_time: 10m
        alertname: CorrentezaRunFailed
        exp_alerts:
          - exp_labels: {severity: critical, job: correnteza, instance: b, state: failed}
            exp_annotations:
              summary: The run of b has ended as failed.
              description: Its last line says with which options it goes on (--resume).
      - {eval_time: 15m, alertname: CorrentezaNoSkill, exp_alerts: []}
      - eval_time: 30m
        alertname: CorrentezaNoSkill
        exp_alerts:
          - exp_labels: {severity: warning, job: correnteza, instance: a}
            exp_annotations:
              summary: The models of a err more than the mean does (skill -0.50).
      - {eval_time: 20m, alertname: CorrentezaTopicBehind, exp_alerts: []}
      - eval_time: 22m
        alertname: CorrentezaTopicBehind
        exp_alerts:
          - exp_labels: {severity: warning, job: correnteza, instance: a}
            exp_annotations:
              summary: The run of a is 3m 20s behind its topic.
      - eval_time: 20m
        alertname: CorrentezaRejects
        exp_alerts:
          - exp_labels: {severity: warning, job: correnteza, instance: a}
            exp_annotations:
              summary: 20% of the rows of a are rejected.
"""


@pytest.fixture(scope="module", autouse=True)
def prometheus() -> None:
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt-get install prometheus")


def promtool(*argv: str, folder: Path = MONITORING) -> str:
    """What promtool says; it must say that all is well."""
    done = subprocess.run(["promtool", *argv], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_and_the_configuration_are_prometheus_own() -> None:
    assert "SUCCESS: 15 rules found" in promtool("check", "rules", "alerts.yml")
    assert "is valid prometheus config" in promtool("check", "config", "prometheus.yml")


def test_the_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    (tmp_path / "tests.yml").write_text(UNIT_TESTS)
    assert "SUCCESS" in promtool("test", "rules", "tests.yml", folder=tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("scraped") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    with serve(folder) as made:
        yield made


@pytest.fixture(scope="module")
def scraping(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes the server."""
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(MONITORING / "alerts.yml", folder)
    config = (MONITORING / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config)
    address = f"127.0.0.1:{find_port()}"
    argv = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            ["prometheus", *argv, f"--web.listen-address={address}"], stdout=log, stderr=log
        )
        try:
            yield f"http://{address}"
        finally:
            running.kill()
            running.wait()


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """What Prometheus answers."""
    with urlopen(f"{url}/api/v1/query?{urlencode({'query': expression})}") as answer:
        body = json.load(answer)
    assert body["status"] == "success"
    found: list[dict[str, Any]] = body["data"]["result"]
    return found


def up(url: str) -> bool:
    try:
        return [one["value"][1] for one in query(url, "up")] == ["1"]
    except OSError:
        return False


def test_a_server_is_scraped_and_its_run_is_seen(scraping: str, server: Served) -> None:
    until(lambda: up(scraping))
    until(lambda: query(scraping, "correnteza_run_rows_read_total"))
    [state] = query(scraping, "correnteza_run_state == 1")
    assert state["metric"]["state"] == "done"
    [rows] = query(scraping, "sum(correnteza_run_rows_total{kind=~'accepted|rejected'})")
    [read] = query(scraping, "correnteza_run_rows_read_total")
    assert rows["value"][1] == read["value"][1] != "0"


def test_every_question_of_the_dashboard_is_answered(scraping: str) -> None:
    until(lambda: up(scraping))
    time.sleep(3)  # two scrapes, for rates
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked = target["expr"].replace("$job", "correnteza").replace("$instance", ".+")
            query(scraping, asked)


def test_what_the_server_shows_is_clean(server: Served, tmp_path: Path) -> None:
    with urlopen(f"{server.url}/metrics") as answer:
        shown = answer.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=shown, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_no_rule_fires_for_a_run_that_has_ended_well(scraping: str) -> None:
    until(lambda: up(scraping))
    time.sleep(3)
    with urlopen(f"{scraping}/api/v1/rules") as answer:
        body = json.load(answer)
    rules = [rule for group in body["data"]["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"} and len(rules) == 15
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    assert set(firing) <= {"CorrentezaDrift"}
