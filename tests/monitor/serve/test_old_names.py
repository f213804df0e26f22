"""Names of before are accepted for one release, with a warning; they go with the next one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from model.errors import UserError
from monitor.serve.core import open_core
from monitor.serve.options import Options, options_from
from monitor.serve.watching import FolderWatcher
from tests.kit.job import metrics
from tests.kit.serve import client


def test_the_old_path_of_reports_answers_as_the_new_one_and_names_it(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(run) as api:
        new = api.get("/refreshes", params={"limit": 2})
        old = [api.get("/windows", params={"limit": 2}) for _ in range(3)]
    assert new.json() == metrics(run)[:0:-1]
    assert {answer.content for answer in old} == {new.content}
    assert "deprecation" not in new.headers
    for answer in old:
        assert answer.headers["deprecation"] == "@1795737600"
        assert answer.headers["link"] == '</refreshes>; rel="successor-version"'
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    found = [record.fields for record in warnings if record.getMessage() == "deprecated path"]  # type: ignore[attr-defined]
    assert found == [{"path": "/windows", "use": "/refreshes"}]


def test_the_description_of_the_api_marks_the_old_path_alone(api: TestClient) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    assert [path for path, each in paths.items() if each.get("get", {}).get("deprecated")] == [
        "/windows"
    ]


def test_a_new_report_is_an_event_by_its_new_and_its_old_name(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = open_core(Options(str(mine)))
    events: list[tuple[str, object]] = []
    monkeypatch.setattr(core.events, "publish", lambda *event: events.append(event))
    FolderWatcher(core).look_at_reports()
    expected = [(name, report) for report in metrics(mine) for name in ("refresh", "window")]
    assert events == expected


def test_the_old_option_of_polling_works_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert options_from(["runs/a", "--refresh", "0.5"]).poll == 0.5
    message = "--refresh is called --poll now; the next release refuses it\n"
    assert capsys.readouterr().err == message
    assert options_from(["runs/a", "--poll", "0.5"]).poll == 0.5
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"^--poll and --refresh: only --poll may be given$"):
        options_from(["runs/a", "--poll", "1", "--refresh", "2"])
