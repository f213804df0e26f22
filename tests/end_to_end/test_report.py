"""The report in a real browser: Chromium opens the file, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline.__main__ import main
from tests.kit.report import HOSTILE, HOSTILE_SCHEMA

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Glyph .* missing")]
CHROMIUM = shutil.which("chromium")
PHONE, SCREEN = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
SEEN = """() => [...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.scroll') && !e.closest('.skip') && !e.closest('.hidden'))
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(e => e.outerHTML.slice(0, 200))"""
"""What reaches out of the page on the right, but for what scrolls by itself."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM)


@pytest.fixture(scope="module", params=["people", "hostile"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of people with late rows; and of rows that hold markup."""
    home = tmp_path_factory.mktemp(request.param)
    argv = ["--rate", "20", "--refreshes", "4", "--disorder", "5"]
    if request.param == "hostile":
        (home / "rows.csv").write_text(HOSTILE, encoding="utf-8")
        (home / "schema.toml").write_text(HOSTILE_SCHEMA, encoding="utf-8")
        argv = ["--input", str(home / "rows.csv"), "--schema", str(home / "schema.toml")]
    argv += ["--window", "60", "--learner", "ridge", "--min-rows", "1"]
    assert main([*argv, "--output", str(home / "run")]) == 0
    assert main(["report", str(home / "run"), "--to", str(home / "report.html")]) == 0
    return home / "report.html"


class Opened:
    """The report, opened; what it says on the console and asks for is kept."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.page: Page = browser.new_page(**options)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


def open_all(page: Page) -> None:
    """Opens each model's section."""
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")


def test_it_opens_without_a_word_on_the_console_and_asks_for_nothing(
    browser: Browser, report: Path
) -> None:
    opened = Opened(browser, report, viewport=SCREEN)
    assert opened.page.locator("h1").is_visible()
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [report.as_uri()]
    assert not opened.page.evaluate("document.querySelectorAll('script, img, iframe').length")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
def test_nothing_reaches_out_of_the_page(
    browser: Browser, report: Path, size: Any, scheme: Any
) -> None:
    page = Opened(browser, report, viewport=size, color_scheme=scheme).page
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.evaluate(SEEN) == []


def test_text_in_pictures_can_be_read_on_a_phone(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=PHONE).page
    heights = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height)"
    )
    assert min(height for height in heights if height) > 9


def test_every_picture_has_a_name_and_every_region_too(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=SCREEN).page
    open_all(page)
    pictures = page.get_by_role("img").all()
    assert len(pictures) == page.locator("svg").count() > 8
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    result = [(n.get("role", {}).get("value"), n.get("name", {}).get("value")) for n in nodes]
    named = [(role, name) for role, name in result if role in {"image", "region", "link", "table"}]
    assert sum(role == "image" for role, _ in named) == len(pictures)
    assert all(name for role, name in named if role != "table")


def test_it_can_be_gone_through_by_keyboard(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=SCREEN).page
    page.keyboard.press("Tab")
    skip = page.evaluate("document.activeElement.textContent")
    box = page.locator(".skip").bounding_box()
    assert skip == "Skip to the report" and box is not None and box["y"] >= 0
    for name in ("over-time", "predictions", "features", "refreshes", "models", "rejects"):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == f"#{name}"
        expect(page.locator(f"#{name}-h")).to_be_in_viewport()
        page.evaluate(f"document.querySelector('nav a[href=\"#{name}\"]').focus()")


def test_a_model_opens_by_keyboard_and_by_a_link(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=SCREEN).page
    first = page.locator("details").first
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.evaluate("e => e.open")
    link = page.locator("#refreshes tbody a").first
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{link.get_attribute('href')} dl")).to_be_visible()


def test_focus_can_be_seen(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=SCREEN).page
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid"


def test_headings_go_down_one_level_at_a_time(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=SCREEN).page
    open_all(page)
    found = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert found[0] == 1 and all(after <= before + 1 for before, after in pairwise(found))


def test_print_is_dark_on_light_and_shows_every_model(browser: Browser, report: Path) -> None:
    page = Opened(browser, report, viewport=SCREEN, color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 35)"
    assert page.locator("details").count() == 4 or report.parent.name.startswith("hostile")
    for shown in page.locator("details h4").all():
        assert shown.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_run_of_many_windows_stays_usable(browser: Browser, tmp_path: Path) -> None:
    argv = ["--window", "1", "--refreshes", "400", "--rate", "20", "--keep", "0"]
    run, report = tmp_path / "run", tmp_path / "report.html"
    assert main([*argv, "--learner", "ridge", "--output", str(run)]) == 0
    assert main(["report", str(run), "--to", str(report)]) == 0
    assert report.stat().st_size < 5_000_000 * 400 / 1_000
    page = Opened(browser, report, viewport=PHONE).page
    assert page.locator("#refreshes tbody tr").count() == 400
    assert page.locator("details").count() == 50
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
