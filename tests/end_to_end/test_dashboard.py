"""The dashboard in a real browser, on runs that go on while it is looked at.

A run goes on here by taking over, refresh by refresh, the files of one that has ended, each whole
and in the order in which a run writes them: models, then alerts, then the report.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from model.alerts import Alert, as_ndjson
from model.files import write_whole
from model.store import Store
from monitor.serve.options import KEY
from pipeline.__main__ import main
from tests.kit.job import run_on
from tests.kit.ports import find_port
from tests.kit.report import HOSTILE, HOSTILE_SCHEMA, MARKUP
from tests.kit.serve import Served, iso_of, serve

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Glyph .* missing")]
CHROMIUM = shutil.which("chromium")
PHONE, SCREEN = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
PATIENCE = 120_000
"""Milliseconds that a page has to show something, on a machine that is busy."""
expect.set_options(timeout=PATIENCE)
SECRET = "correct-horse-battery-staple"
REFRESHES = [f"20260101T000{minute}00Z" for minute in range(8)]
SEEN = """() => [...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.scroll, .skip, .hidden') && e.checkVisibility())
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(e => e.outerHTML.slice(0, 200))"""
"""What reaches out of the page on the right, but for what scrolls by itself."""
SHOWN = """wanted => {
    const data = document.querySelector('#answer data');
    return data && Math.abs(data.value - wanted) < 1e-12 * Math.abs(wanted);
}"""
"""Whether a number is the form's answer."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )


@pytest.fixture(autouse=True)
def closed(browser: Browser) -> Iterator[None]:
    """No page stays open behind its test: each would go on asking its server."""
    yield
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight minutes that has ended; all its models are kept."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    argv = ["--rate", "20", "--refreshes", "8", "--learner", "ridge", "--keep", "0"]
    assert main([*argv, "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of rows that hold markup."""
    return run_on(tmp_path_factory.mktemp("hostile"), HOSTILE, HOSTILE_SCHEMA)


class Growing:
    """A run that goes on as far as it is told.

    Attributes:
        folder: its own.
        whole: of the run that it takes over.
    """

    def __init__(self, folder: Path, whole: Path, refreshes: int) -> None:
        self.folder = folder
        self.whole = whole
        self._take("settings.json")
        self.status("running", 0)
        for refresh in REFRESHES[:refreshes]:
            self.report(refresh)

    def report(self, refresh: str) -> None:
        """Ends a refresh: its samples and predictions, its model, its report."""
        minute = REFRESHES.index(refresh)
        self._take(f"sample/{refresh}.parquet")
        for path in (self.whole / "predictions" / refresh).iterdir():
            self._take(f"predictions/{refresh}/{path.name}")
        self.train(sorted(path.name for path in (self.whole / "models").iterdir())[minute])
        self._take(f"metrics/{refresh}.json")

    def train(self, model: str) -> None:
        """Commits a model; its manifest is the last of it."""
        for name in ("model.joblib", "manifest.json"):
            self._take(f"models/{model}/{name}")
        self._take(f"timing/{model}.json")

    def status(self, state: str, rows: int) -> None:
        """Tells how it stands."""
        result = {"format": 1, "state": state, "rows_read": rows, "rate": 20.0}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        times = {"watermark": "2026-01-01T00:03:30Z", "updated": now}
        write_whole(str(self.folder / "status.json"), json.dumps({**result, **times}).encode())

    def alert(self, refresh: str, column: str) -> None:
        """Raises an alert, before the refresh is reported."""
        result = {"refresh_start": iso_of(refresh), "model": None, "what": "psi", "threshold": 0.25}
        alert = Alert.model_validate({**result, "column": column, "value": 0.875})
        write_whole(str(self.folder / "alerts" / f"{refresh}.ndjson"), as_ndjson([alert]))

    def _take(self, name: str) -> None:
        write_whole(str(self.folder / name), (self.whole / name).read_bytes())


class Opened:
    """The page, opened; what it says on the console, asks for, and fails to get, is kept."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.page: Page = browser.new_page(**{"viewport": SCREEN, **options})
        self.page.set_default_timeout(PATIENCE)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        self.page.goto(url)

    def ready(self) -> Page:
        """The page, when it shows all that the run has."""
        for group in ("over-time", "predictions", "features", "models"):
            expect(self.page.locator(f"[data-pictures={group}] svg").first).to_be_visible()
        expect(self.page.locator("#fields input").first).to_be_visible()
        return self.page

    def assert_clean(self) -> None:
        """Nothing was said on the console, all was answered, no other host was asked."""
        assert self.said == []
        assert all(url.startswith(f"{self.url}/") for url in self.asked)


@pytest.fixture
def growing(tmp_path: Path, whole: Path) -> Growing:
    """A run of which three refreshes are reported."""
    return Growing(tmp_path / "run", whole, 3)


@pytest.fixture
def server(growing: Growing) -> Iterator[Served]:
    """A server of it, as it is by default."""
    with serve(growing.folder) as made:
        yield made


def row(page: Page, refresh: str) -> Any:
    """A refresh's line in the table."""
    return page.locator(f"tr[data-refresh='{iso_of(refresh)}']")


def field(page: Page, name: str) -> Any:
    """A field of the form."""
    return page.locator("#form").get_by_label(name, exact=True)


@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
def test_a_new_refresh_comes_onto_the_page_by_itself(
    browser: Browser, growing: Growing, server: Served, size: Any
) -> None:
    opened = Opened(browser, server.url, viewport=size)
    page = opened.ready()
    for refresh in REFRESHES[3:6]:
        assert row(page, refresh).count() == 0
        growing.report(refresh)
        row(page, refresh).wait_for()
        report = json.loads((growing.folder / "metrics" / f"{refresh}.json").read_text())
        shown = row(page, refresh).inner_text().split("\t")
        assert shown[1:3] == [report["model"], f"{report['rows']:,}"]
        result = iso_of(refresh).replace("T", " ").removesuffix("Z")
        expect(page.locator("#news")).to_contain_text(f"New refresh {result}")
        expect(page.locator("#lead")).to_contain_text(f"model {report['model']} missed by")
    opened.assert_clean()


def test_the_figures_are_those_of_the_report(
    browser: Browser, growing: Growing, server: Served
) -> None:
    page = Opened(browser, server.url).ready()
    report = json.loads((growing.folder / "metrics" / f"{REFRESHES[2]}.json").read_text())
    result = [report[name] for name in ("mae", "baseline_mae", "rmse", "r2", "skill_best", "skill")]
    shown = row(page, REFRESHES[2]).inner_text().split("\t")[5:]
    numbers = [float(text.replace(",", "").replace("\N{MINUS SIGN}", "-")) for text in shown]
    assert numbers == pytest.approx(result, rel=1e-3)
    tiles = page.locator("#tiles dd").all_inner_texts()[:3]
    assert tiles == [shown[0], shown[1], shown[4]]


def test_pictures_grow_with_the_run(browser: Browser, growing: Growing, server: Served) -> None:
    opened = Opened(browser, server.url)
    page = opened.ready()
    rows = page.locator("[data-pictures=over-time] svg desc").filter(has_text="in time")
    assert rows.text_content() == "3,600 in time, 0 late, 0 rejected."
    growing.report(REFRESHES[3])
    expect(rows).to_have_text("4,800 in time, 0 late, 0 rejected.")
    predicted = page.locator("[data-pictures=predictions] figcaption p").first
    expect(predicted).to_contain_text("3,600 rows")
    opened.assert_clean()


def test_a_swap_of_models_is_shown_and_what_was_typed_stays(
    browser: Browser, growing: Growing, server: Served
) -> None:
    opened = Opened(browser, server.url)
    page = opened.ready()
    field(page, "idade").fill("33")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer")).to_contain_text("By model 20260101T000300Z.")
    served_by = page.locator("details", has_text="serves now").locator("h3")
    expect(served_by).to_have_text("20260101T000300Z")
    page.locator("details summary").first.click()
    growing.train("20260101T000400Z")
    expect(served_by).to_have_text("20260101T000400Z")
    expect(page.locator("#facts")).to_contain_text("20260101T000400Z")
    expect(page.locator("#answer")).to_contain_text("20260101T000400Z serves now: predict again")
    expect(field(page, "idade")).to_have_value("33")
    kept = page.locator("details[data-model='20260101T000300Z']")
    assert kept.evaluate("e => e.open") and page.locator("details").count() == 4
    opened.assert_clean()


@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
def test_the_form_predicts_what_the_artefact_predicts(
    browser: Browser, growing: Growing, server: Served, size: Any
) -> None:
    opened = Opened(browser, server.url, viewport=size)
    page = opened.ready()
    artefact = Store(str(growing.folder / "models")).load("20260101T000300Z")
    for person in (
        {"idade": "41", "idh": "0.75", "estado": "Bahia", "cargo": "Ator"},
        {"idade": "-1.5e1", "idh": "", "estado": "Atlantis", "cargo": ""},
    ):
        for name, text in person.items():
            field(page, name).fill(text)
        page.keyboard.press("Enter")
        given: dict[str, Any] = {name: float(person[name] or "nan") for name in ("idade", "idh")}
        given |= {name: person[name] or None for name in ("estado", "cargo")}
        [wanted] = artefact.predict_columns({name: [given[name]] for name in given}).tolist()
        page.wait_for_function(SHOWN, arg=wanted)
        shown = page.locator("#answer data").inner_text()
        assert float(shown.replace(",", "")) == pytest.approx(wanted, rel=1e-5)
    expect(page.locator("#answer")).to_contain_text("“Atlantis” has no column of its own in estado")
    opened.assert_clean()


def test_the_form_begins_with_the_means_and_commonest_values_and_knows_the_others(
    browser: Browser, growing: Growing, server: Served
) -> None:
    page = Opened(browser, server.url).ready()
    path = growing.folder / "models" / "20260101T000300Z" / "manifest.json"
    statistics = json.loads(path.read_text())["statistics"]
    mean = float(field(page, "idade").input_value())
    assert mean == pytest.approx(statistics["idade"]["mean"], rel=1e-3)
    states = statistics["estado"]["values"]
    assert states[field(page, "estado").input_value()] == max(states.values())
    known = page.locator("#field-2-known option").evaluate_all("all => all.map(e => e.value)")
    assert sorted(known) == sorted(states)


def test_what_is_wrong_with_a_field_stands_beside_it(
    browser: Browser, growing: Growing, server: Served
) -> None:
    page = Opened(browser, server.url).ready()
    field(page, "idh").fill("0,7")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#field-1-fault")).to_have_text("'0,7': must be a finite number or null")
    expect(field(page, "idh")).to_have_attribute("aria-invalid", "true")
    expect(field(page, "idh")).to_be_focused()
    expect(page.locator(".fault:not(:empty)")).to_have_count(1)
    field(page, "idh").fill("0.7")
    page.keyboard.press("Enter")
    expect(page.locator("#answer data")).to_be_visible()
    expect(page.locator(".fault:not(:empty)")).to_have_count(0)


def test_alerts_and_drift_are_shown(browser: Browser, growing: Growing, server: Served) -> None:
    opened = Opened(browser, server.url)
    page = opened.ready()
    expect(page.locator("#alerts-list")).to_contain_text("None")
    growing.alert(REFRESHES[3], "idh")
    growing.report(REFRESHES[3])
    alert = page.get_by_role("region", name="Alerts, the newest first").locator("tbody tr")
    expect(alert).to_have_count(1)
    result = alert.inner_text().split()
    assert result == ["idh", "2026-01-01", "00:03:00", "PSI", "0.875", "0.250"]
    report = json.loads((growing.folder / "metrics" / f"{REFRESHES[3]}.json").read_text())
    shifts = {**report["drift"]["features"], "the prediction": report["drift"]["prediction"]}
    greatest = max(shifts, key=lambda name: shifts[name]["psi"])
    lines = page.get_by_role("region", name="Drift by column").locator("tbody tr")
    expect(lines).to_have_count(5)
    assert lines.first.inner_text().split("\t")[0] == greatest
    expect(page.locator("[data-pictures=drift] svg")).to_be_visible()
    opened.assert_clean()


def test_what_cannot_be_read_is_reported_in_its_place_and_the_rest_goes_on(
    browser: Browser, growing: Growing, server: Served
) -> None:
    write_whole(str(growing.folder / "alerts" / f"{REFRESHES[2]}.ndjson"), b"no alert\n")
    write_whole(str(growing.folder / "sample" / f"{REFRESHES[2]}.parquet"), b"no parquet")
    page = Opened(browser, server.url).page
    expect(page.locator("#alerts-list")).to_contain_text("is not what a run writes")
    expect(page.locator("#damaged")).to_contain_text(f"alerts/{REFRESHES[2]}.ndjson")
    features = page.locator("[data-pictures=features]")
    expect(features).to_contain_text("is not a sample of this run")
    growing.report(REFRESHES[3])
    expect(row(page, REFRESHES[3])).to_be_visible()
    expect(page.locator("#pulse")).not_to_contain_text("lost")


def test_it_shows_how_the_job_stands(browser: Browser, growing: Growing, server: Served) -> None:
    page = Opened(browser, server.url).ready()
    pulse = page.locator("#pulse")
    growing.status("running", 4000)
    expect(pulse).to_have_text("live")
    expect(page.locator("#facts")).to_contain_text("4,000")
    expect(page.locator("#filling-text")).to_have_text(
        "The refresh 2026-01-01 00:03:00 to 00:04:00 is filling"
    )
    assert page.locator("#filling-bar").evaluate("e => e.value") == 0.5
    time.sleep(1.1)  # the status tells time in seconds
    growing.status("done", 9600)
    expect(pulse).to_have_text("done")
    expect(page.locator("#filling")).to_be_hidden()
    expect(page.locator("#facts")).to_contain_text("9,600")


def test_a_run_that_was_killed_is_never_shown_to_live(
    browser: Browser, growing: Growing, server: Served
) -> None:
    status = json.loads((growing.folder / "status.json").read_text())
    status |= {"state": "running", "updated": "2026-01-01T00:03:30Z", "rows_read": 4000}
    write_whole(str(growing.folder / "status.json"), json.dumps(status).encode())
    page = Opened(browser, server.url).ready()
    pulse = page.locator("#pulse")
    expect(pulse).to_contain_text("no sign of life for")
    expect(page.locator("#filling")).to_be_hidden()
    expect(page.locator("#tiles")).not_to_contain_text("now")
    growing.status("running", 5000)  # whatever the clock of its machine says, it lives
    expect(pulse).to_have_text("live")


def test_a_phone_shows_error_and_skill_of_each_refresh(browser: Browser, server: Served) -> None:
    page = Opened(browser, server.url, viewport=PHONE).ready()
    for title in ("MAE", "Skill"):
        heading = page.locator("#refreshes-table th", has_text=re.compile(f"^{title}$"))
        box = heading.bounding_box()
        assert box is not None and box["x"] + box["width"] <= PHONE["width"]


def test_a_connection_that_is_lost_is_reported_and_found_again(
    browser: Browser, growing: Growing
) -> None:
    port = find_port()  # it must be free when the second one takes it
    with serve(growing.folder, "--port", port) as first:
        opened = Opened(browser, first.url)
        page = opened.ready()
        first.end()
        expect(page.locator("#pulse")).to_contain_text("connection lost, again in")
    growing.report(REFRESHES[3])
    with serve(growing.folder, "--port", port):
        expect(page.locator("#pulse")).not_to_contain_text("lost")
        expect(row(page, REFRESHES[3])).to_be_visible()
        growing.report(REFRESHES[4])
        expect(row(page, REFRESHES[4])).to_be_visible()


def test_with_an_api_key_the_page_asks_for_it_and_keeps_it_for_the_session_alone(
    browser: Browser, growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    with serve(growing.folder) as server:
        opened = Opened(browser, server.url)
        page = opened.page
        key = page.get_by_label("Key", exact=True)
        expect(key).to_be_focused()
        assert "people" not in page.content() and opened.said == []
        key.fill("a wrong one that is long")
        page.keyboard.press("Enter")
        expect(page.locator("#key-fault")).to_have_text("That is not the key.")
        key.fill(SECRET)
        page.keyboard.press("Enter")
        opened.ready()
        growing.report(REFRESHES[3])
        expect(row(page, REFRESHES[3])).to_be_visible()
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#answer data")).to_be_visible()
        assert page.evaluate("Object.values(sessionStorage)") == [SECRET]
        assert page.evaluate("[document.cookie, localStorage.length]") == ["", 0]
        assert not any(SECRET in url for url in opened.asked)
        assert not any(SECRET in json.dumps(line) for line in server.log)
        page.reload()
        opened.ready()
        expect(page.locator("#key")).to_be_hidden()


@pytest.fixture(scope="module", params=["whole", "hostile"])
def ended(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server of a run that has ended."""
    with serve(request.getfixturevalue(request.param)) as made:
        yield made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
def test_nothing_reaches_out_of_the_page(
    browser: Browser, ended: Served, size: Any, scheme: Any
) -> None:
    opened = Opened(browser, ended.url, viewport=size, color_scheme=scheme)
    page = opened.ready()
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer data")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.evaluate(SEEN) == []
    opened.assert_clean()


def test_what_is_hostile_is_shown_as_text(browser: Browser, hostile: Path) -> None:
    with serve(hostile) as server:
        opened = Opened(browser, server.url)
        page = opened.ready()
        assert page.locator("h1").inner_text() == "<i>hostile</i> & co"
        assert page.locator("#fields label").all_inner_texts() == [MARKUP, '$x$ & "q"']
        known = page.locator("#field-1-known option").evaluate_all("all => all.map(e => e.value)")
        assert "<b>bold" in known and "$\\frac{1}{0}$" in known
        page.locator("#field-1").fill("<img src=x onerror=alert(1)>")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#answer")).to_contain_text("“<img src=x onerror=alert(1)>” has no")
        page.locator("details summary").first.click()
        expect(page.locator("details").first).to_contain_text("<b>bold")
        counts = page.evaluate("document.querySelectorAll('img, b b, script:not([src])').length")
        assert counts == 0
        opened.assert_clean()


def test_before_the_first_refresh_it_reports_it_and_then_comes_to_life(
    browser: Browser, tmp_path: Path, whole: Path
) -> None:
    growing = Growing(tmp_path / "run", whole, 0)
    with serve(growing.folder) as server:
        opened = Opened(browser, server.url)
        expect(opened.page.locator("#lead")).to_contain_text("No refresh has been reported yet")
        expect(field(opened.page, "idade")).to_have_value("")
        for refresh in REFRESHES[:2]:
            growing.report(refresh)
        opened.ready()
        expect(field(opened.page, "idade")).not_to_have_value("")
        opened.assert_clean()


def test_it_can_be_used_by_keyboard_and_heard(browser: Browser, server: Served) -> None:
    page = Opened(browser, server.url).ready()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the run"
    for _ in range(15):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    found = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert found[0] == 1 and all(after <= before + 1 for before, after in pairwise(found))
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    result = [(n.get("role", {}).get("value"), n.get("name", {}).get("value")) for n in nodes]
    named = {"image", "region", "link", "button", "textbox", "combobox", "progressbar"}
    roles = {role for role, _ in result}
    assert {"main", "navigation", "banner", "contentinfo", "status"} <= roles
    assert all(name for role, name in result if role in named)
    assert page.locator("#news").get_attribute("aria-live") == "polite"


def test_who_wants_less_motion_sees_none(
    browser: Browser, growing: Growing, server: Served
) -> None:
    page = Opened(browser, server.url, reduced_motion="reduce").ready()
    growing.status("running", 4000)
    expect(page.locator("#pulse")).to_have_text("live")
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_model_is_pinned_unpinned_and_rolled_back_from_the_page(
    browser: Browser, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    *_, older, newest = Store(str(run / "models")).names()
    with serve(run) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.get_by_label("Key", exact=True).fill(SECRET)
        page.get_by_role("button", name="Open").click()
        expect(page.locator("#pin-form")).to_be_visible()
        expect(page.locator("#pinned")).to_be_hidden()
        page.locator(f'details[data-model="{older}"] summary').click()
        page.get_by_label("Why (for the run's record)").fill("<b>odd</b>")
        page.get_by_role("button", name=f"Pin {older}").click()
        expect(page.locator("#pin-answer")).to_contain_text(f"{older} serves from")
        expect(page.locator("#pinned")).to_contain_text(f"{older} is pinned since")
        expect(page.locator("#pinned")).to_contain_text("<b>odd</b>")  # as text
        page.get_by_role("button", name="Unpin").click()
        expect(page.locator("#pinned")).to_be_hidden()
        page.get_by_role("button", name="Roll back").click()
        expect(page.locator("#pinned")).to_contain_text(f"{older} is pinned since")
        page.close()
    lines = (run / "promotions.ndjson").read_text().splitlines()
    acts = [(act["what"], act["from"], act["to"]) for act in map(json.loads, lines)]
    assert acts == [("pin", newest, older), ("unpin", older, None), ("rollback", newest, older)]


def test_without_a_key_the_page_offers_no_pin(browser: Browser, whole: Path) -> None:
    with serve(whole) as server:
        page = browser.new_page()
        page.goto(server.url)
        expect(page.locator("#models-list details").first).to_be_visible()
        expect(page.locator("#pin-form")).to_be_hidden()
        page.close()
