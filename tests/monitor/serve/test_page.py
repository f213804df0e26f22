"""The page's routes: its files, alerts, the form, pictures, and that these are drawn once for all.

What the page's script does is seen in a browser (``tests/end_to_end/test_dashboard.py``).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from model.alerts import Alert, as_ndjson
from model.display import DISPLAY
from monitor.report.pictures.palette import PALETTE
from monitor.serve.page import drawing as module
from monitor.serve.page.drawing import Drawing
from tests.kit.job import metrics, run_on
from tests.kit.report import HOSTILE, HOSTILE_SCHEMA, Page
from tests.kit.serve import client, expected, iso_of, problem_of, until

SECRET = "correct-horse-battery-staple"
FILES = ("/", "/page.css", "/page.js", "/icon.svg")
REFRESHES = [f"20260101T000{minute}00Z" for minute in range(3)]
"""The refreshes of the run."""
GROUPS = {
    "over-time": [
        *("Mean absolute error", "Skill", "Half and nine tenths of the errors", "Rows"),
    ],
    "drift": ["Drift"],
    "predictions": ["Predicted against actual", "Residuals", "Residuals against predicted"],
    "features": ["Feature importance", "salario", "idade", "idh", "estado", "cargo"],
    "models": ["Seconds a fit", "Bytes a model"],
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of rows whose names and values are markup."""
    return run_on(tmp_path_factory.mktemp("hostile"), HOSTILE, HOSTILE_SCHEMA)


def raise_alerts(folder: Path, refresh: str, *columns: str) -> None:
    """Writes alerts as a run does."""
    result = {"refresh_start": iso_of(refresh), "model": None, "what": "psi", "threshold": 0.25}
    found = [Alert.model_validate({**result, "column": c, "value": 0.5}) for c in columns]
    (folder / "alerts").mkdir(exist_ok=True)
    (folder / "alerts" / f"{refresh}.ndjson").write_bytes(as_ndjson(found))


@pytest.mark.parametrize("path", FILES)
def test_the_page_is_open_to_all_and_shows_nothing_of_the_run(hostile: Path, path: str) -> None:
    with client(hostile, key=SECRET) as api:
        answer = api.get(path)
    assert answer.status_code == 200
    assert not any(word in answer.text for word in ("hostile", str(hostile.parent), "$x$", SECRET))


@pytest.mark.parametrize("path", ["/alerts", "/form", *(f"/pictures/{name}" for name in GROUPS)])
def test_what_the_page_asks_for_needs_the_key(run: Path, path: str) -> None:
    with client(run, key=SECRET) as api:
        problem_of(api.get(path), 401, "no_key")
        assert api.get(path, headers={"X-API-Key": SECRET}).status_code == 200


def test_the_page_knows_whether_to_ask_for_a_key(run: Path, api: TestClient) -> None:
    assert "data-key" not in Page(api.get("/").text).all("html")[0]
    with client(run, key=SECRET) as other:
        assert "data-key" in Page(other.get("/").text).all("html")[0]


def test_the_page_loads_its_own_files_alone_and_has_no_inline_script_or_style(
    api: TestClient,
) -> None:
    answer = api.get("/")
    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]
    assert policy.split("; ")[0] == "default-src 'self'" and "unsafe" not in policy
    sources = [tag.get("src") or tag.get("href") for tag in page.all("script", "link", "img")]
    assert sorted(map(str, sources)) == ["/icon.svg", "/page.css", "/page.js"]
    names = {name for _, attributes in page.tags for name in attributes}
    assert not any(name == "style" or name.startswith("on") for name in names)
    assert page.all("style") == []


def test_each_file_of_the_page_shows_what_it_is_and_is_not_guessed_at(api: TestClient) -> None:
    media = {path: api.get(path).headers["content-type"].partition(";")[0] for path in FILES}
    assert list(media.values()) == ["text/html", "text/css", "text/javascript", "image/svg+xml"]
    assert {api.get(path).headers["x-content-type-options"] for path in FILES} == {"nosniff"}


def test_the_style_is_the_report_s_in_both_palettes(api: TestClient) -> None:
    style = api.get("/page.css").text
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)")[:2]
    for name, colour in PALETTE.items():
        assert f"--{name}: {colour.light}" in light and f"--{name}: {colour.dark}" in dark
    assert Path("monitor/report/page.css").read_text(encoding="utf-8") in style


def test_the_page_is_no_part_of_the_api_s_description(api: TestClient) -> None:
    body = api.get("/openapi.json").json()["paths"]
    assert not set(FILES) & set(body)
    assert {"/alerts", "/form", "/pictures/{group}"} <= set(body)


def test_the_form_has_a_field_for_each_feature_filled_in_from_the_model_s_window(
    run: Path, api: TestClient
) -> None:
    name = api.get("/health").json()["model"]
    manifest = json.loads((run / "models" / name / "manifest.json").read_text())
    form = api.get("/form").json()
    assert (form["model"], form["target"]) == (name, "salario")
    assert [field["name"] for field in form["fields"]] == ["idade", "idh", "estado", "cargo"]
    for field in form["fields"]:
        column = manifest["statistics"][field["name"]]
        if field["kind"] == "numeric":
            assert field["value"] == float(f"{column['mean']:.4g}")
            assert (field["least"], field["greatest"]) == (column["min"], column["max"])
        else:
            commonest, _ = Counter(column["values"]).most_common(1)[0]
            assert field["value"] == commonest
            assert field["known"] == sorted(column["values"])  # there are fewer than 64


def test_what_the_form_is_filled_with_can_be_predicted(run: Path, api: TestClient) -> None:
    form = api.get("/form").json()
    row = {field["name"]: field["value"] for field in form["fields"]}
    answer = api.post("/predict", json=row).json()
    wanted = expected(run, form["model"], {name: [value] for name, value in row.items()})
    assert answer["predictions"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("which", ["run", "hostile"])
def test_a_message_about_a_field_begins_as_the_form_shows(
    which: str, request: pytest.FixtureRequest
) -> None:
    with client(request.getfixturevalue(which)) as api:
        fields = api.get("/form").json()["fields"]
        good = {field["name"]: field["value"] for field in fields}
        for field in fields:
            bad = "not a number" if field["kind"] == "numeric" else [1]
            reason_given = problem_of(
                api.post("/predict", json={**good, field["name"]: bad}), 422, "bad_rows"
            )
            [message] = [error["message"] for error in reason_given["errors"]]
            assert [f["name"] for f in fields if message.startswith(f["fault"])] == [field["name"]]


def test_before_the_first_model_the_form_is_there_and_empty(mine: Path) -> None:
    shutil.rmtree(mine / "models")
    with client(mine) as api:
        form = api.get("/form").json()
    assert form["model"] is None
    assert [(f["name"], f["value"], f["known"]) for f in form["fields"]] == [
        (name, None, []) for name in ("idade", "idh", "estado", "cargo")
    ]


def test_a_run_without_alerts_has_none(api: TestClient) -> None:
    assert api.get("/alerts").json() == []


def test_alerts_come_newest_refresh_first_and_no_more_than_asked_for(mine: Path) -> None:
    with client(mine) as api:
        raise_alerts(mine, REFRESHES[1], "idade")
        raise_alerts(mine, REFRESHES[2], "idh", "estado")
        found = api.get("/alerts").json()
        assert [alert["column"] for alert in found] == ["idh", "estado", "idade"]
        assert found[0]["refresh_start"] == iso_of(REFRESHES[2]) and found[0]["value"] == 0.5
        assert len(api.get("/alerts?limit=2").json()) == 2


def test_alerts_do_not_count_before_their_refresh_is_reported(mine: Path) -> None:
    path = mine / "metrics" / f"{REFRESHES[2]}.json"
    report = path.read_bytes()
    path.unlink()
    raise_alerts(mine, REFRESHES[2], "idh")
    with client(mine) as api:
        assert api.get("/alerts").json() == []
        path.write_bytes(report)
        until(lambda: [alert["column"] for alert in api.get("/alerts").json()] == ["idh"])


def test_a_file_that_holds_no_alerts_is_named(mine: Path) -> None:
    raise_alerts(mine, REFRESHES[1])
    path = mine / "alerts" / f"{REFRESHES[1]}.ndjson"
    path.write_text("{}\n")
    with client(mine) as api:
        assert api.get("/alerts").json() == []
        assert [one["file"] for one in api.get("/status").json()["damaged"]] == [
            f"alerts/{path.name}"
        ]


@pytest.mark.parametrize("group", GROUPS)
def test_the_pictures_are_the_report_s(api: TestClient, group: str) -> None:
    body = api.get(f"/pictures/{group}").json()
    assert (body["refresh"], body["trouble"]) == (REFRESHES[-1], None)
    assert [picture["title"] for picture in body["pictures"]] == GROUPS[group]
    for picture in body["pictures"]:
        root = ElementTree.fromstring(picture["svg"])
        assert root.tag == f"{SVG}svg"
        styles = [element.get("data-style") for element in root.iter()]
        assert sum(style is not None for style in styles) > 10
        assert not any("style" in element.attrib for element in root.iter())


def test_a_group_that_there_is_not_is_refused(api: TestClient) -> None:
    problem_of(api.get("/pictures/secrets"), 422, "bad_parameter")


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_markup_in_names_and_values_is_text_in_pictures(hostile: Path) -> None:
    allowed = {"svg", "title", "desc", "g", "path", "text", "defs", "use", "clipPath", "rect"}
    with client(hostile) as api:
        for group in GROUPS:
            for picture in api.get(f"/pictures/{group}").json()["pictures"]:
                tags = {element.tag for element in ElementTree.fromstring(picture["svg"]).iter()}
                assert tags <= {f"{SVG}{name}" for name in allowed}


def test_a_new_refresh_is_drawn(mine: Path) -> None:
    path = mine / "metrics" / f"{REFRESHES[2]}.json"
    report = path.read_bytes()
    path.unlink()
    with client(mine) as api:
        before = api.get("/pictures/over-time").json()
        assert before["refresh"] == REFRESHES[1]
        path.write_bytes(report)
        after = until(lambda: newer(api, REFRESHES[2]))
    assert after["pictures"][0]["svg"] != before["pictures"][0]["svg"]


def newer(api: TestClient, refresh: str) -> Any:
    body = api.get("/pictures/over-time").json()
    return body if body["refresh"] == refresh else None


def test_a_run_without_a_refresh_has_no_pictures_and_no_trouble(mine: Path) -> None:
    for part in ("metrics", "models", "sample", "predictions", "timing"):
        shutil.rmtree(mine / part)
    with client(mine) as api:
        for group in GROUPS:
            body = api.get(f"/pictures/{group}").json()
            assert body == {"refresh": None, "pictures": [], "trouble": None}


def test_what_cannot_be_drawn_is_reported(mine: Path) -> None:
    path = mine / "sample" / f"{REFRESHES[2]}.parquet"
    path.write_bytes(b"no parquet")
    with client(mine) as api:
        assert str(path) in api.get("/pictures/features").json()["trouble"]
        assert api.get("/pictures/over-time").json()["trouble"] is None


def test_importance_is_of_the_model_that_serves(run: Path) -> None:
    names = sorted(path.name for path in (run / "models").iterdir())
    with client(run, model=names[0]) as api:
        first = api.get("/pictures/features").json()["pictures"][0]
    assert first["title"] == "Feature importance" and names[0] in first["note"]


class Counting:
    """Draws what it is asked for, and counts."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.times: list[float] = []
        self.threads: set[str] = set()
        self.seconds = seconds
        self.newest = 0
        self.failing = False

    def __call__(self) -> bytes:
        self.times.append(time.monotonic())
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        if self.failing:
            raise RuntimeError("no ink")
        return str(self.newest).encode()


def draw(test: Callable[[Drawing, Counting], Awaitable[None]], seconds: float = 0.0) -> None:
    """Runs a test of a drawing in an event loop."""

    async def run() -> None:
        counting = Counting(seconds)
        with ThreadPoolExecutor(1, "draw") as thread:
            drawing = Drawing(thread, counting, lambda: counting.newest)
            await asyncio.wait_for(test(drawing, counting), 120)

    asyncio.run(run())


def test_a_hundred_viewers_cost_one_drawing_in_one_thread_for_drawing() -> None:
    async def test(drawing: Drawing, counting: Counting) -> None:
        found = await asyncio.gather(*(drawing.take() for _ in range(100)))
        assert found == [b"0"] * 100 and len(counting.times) == 1
        assert await drawing.take() == b"0" and len(counting.times) == 1
        assert counting.threads == {"draw_0"}

    draw(test, 0.05)


def test_it_is_drawn_again_if_there_is_something_new() -> None:
    async def test(drawing: Drawing, counting: Counting) -> None:
        for number in range(3):
            counting.newest = number
            assert await drawing.take() == str(number).encode()
        assert len(counting.times) == 3

    draw(test)


def test_drawing_takes_no_more_than_a_fifth_of_the_time() -> None:
    async def test(drawing: Drawing, counting: Counting) -> None:
        for number in range(3):
            counting.newest = number
            await drawing.take()
        apart = [b - a for a, b in zip(counting.times, counting.times[1:], strict=False)]
        assert min(apart) >= 5 * 0.05

    draw(test, 0.05)


def test_a_slow_drawing_is_made_again_after_the_longest_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST", 0.01)
    monkeypatch.setattr(module, "SHARE", 1e6)  # else it would be made again in weeks

    async def test(drawing: Drawing, counting: Counting) -> None:
        await drawing.take()
        counting.newest = 1
        assert await drawing.take() == b"1"

    draw(test, 0.01)


def test_a_drawing_that_failed_is_reported_and_made_again() -> None:
    async def test(drawing: Drawing, counting: Counting) -> None:
        counting.failing = True
        with pytest.raises(RuntimeError, match="no ink"):
            await drawing.take()
        counting.failing = False
        assert await drawing.take() == b"0"

    draw(test)


def test_a_viewer_that_goes_takes_the_drawing_from_nobody() -> None:
    async def test(drawing: Drawing, counting: Counting) -> None:
        leaves = asyncio.create_task(drawing.take())
        stays = asyncio.create_task(drawing.take())
        await asyncio.sleep(0.02)
        leaves.cancel()
        assert await stays == b"0" and len(counting.times) == 1

    draw(test, 0.1)


def test_the_page_is_given_what_the_report_shows_too(api: TestClient) -> None:
    [html] = Page(api.get("/").text).all("html")
    assert json.loads(str(html["data-display"])) == DISPLAY


def test_every_figure_of_the_page_s_tables_is_in_a_report_and_a_manifest(
    api: TestClient, run: Path
) -> None:
    report = metrics(run)[-1]
    assert {field for _, field in DISPLAY["counts"] + DISPLAY["figures"]} <= set(report)
    manifest = api.get("/models").json()[0]["manifest"]
    for _, path, _ in DISPLAY["model"]:
        found: Any = manifest
        for name in path.split("."):
            found = found[name]
