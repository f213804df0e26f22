"""What the tests of the report share: made reports, and looking at SVG and HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np

from model.asof import format_iso
from model.metrics import Metrics

MARKUP = "</title><script>alert(1)</script>"
HOSTILE = 't,y,"</title><script>alert(1)</script>","$x$ & ""q"""\n' + "".join(
    f"2026-01-01T00:0{minute}:{second:02d}Z,{y},{second},{value}\n"
    for minute in range(3)
    for second, y, value in (
        (0, 1, "<b>bold"),
        (10, 2, "\u200bzero\u202ewidth"),
        (20, 3, "日本"),
        (30, "<img src=x onerror=alert(1)>", "a"),
        (40, 5, "$\\frac{1}{0}$"),
    )
)
"""Fifteen rows of three minutes; three are rejected."""
HOSTILE_SCHEMA = """\
name = "<i>hostile</i> & co"
time = "t"
target = "y"
[features]
numeric = ["</title><script>alert(1)</script>"]
categorical = ["$x$ & \\"q\\""]
"""
SVG = "{http://www.w3.org/2000/svg}"


def report(minute: int, mae: float | None = None, **values: Any) -> Metrics:
    """The figures of a minute; the baseline errs by twice as much."""
    found: dict[str, Any] = {
        "rows": 100,
        "scored": 0 if mae is None else 100,
        "unlabelled": 0,
        "late": 0,
    }
    found |= {"rejected": 0, "model": None if mae is None else "20260101T000000Z"}
    found |= {"mae": mae, "rmse": mae, "r2": None, "baseline_mae": mae and 2 * mae}
    found |= {"skill": None if mae is None else 0.5}
    start, end = format_iso(minute * 60_000_000), format_iso((minute + 1) * 60_000_000)
    return Metrics.model_validate({"refresh_start": start, "refresh_end": end, **found, **values})


class Drifted(Metrics):
    """A report that tells of drift."""

    drift: Any = None


def with_drift(minute: int, drift: object) -> Metrics:
    """The figures of a minute with that drift."""
    return Drifted.model_validate({**report(minute, 1.0).model_dump(), "drift": drift})


def parse(svg: str) -> ElementTree.Element:
    """A picture as XML; it must be well-formed."""
    return ElementTree.fromstring(svg)


def paths(svg: str, part: str) -> list[str]:
    """The outlines of what is drawn in a style that has that part."""
    found = parse(svg).iter(f"{SVG}path")
    return [path.attrib["d"] for path in found if part in path.get("style", "")]


def corners(outline: str) -> np.ndarray:
    """The corners of an outline, shape (corners, 2), in the picture's units."""
    return np.array(re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", outline), dtype=float)


def texts(svg: str) -> list[str]:
    """The texts of a picture."""
    return ["".join(text.itertext()) for text in parse(svg).iter(f"{SVG}text")]


def description(svg: str) -> str:
    """What a picture tells who does not see it."""
    return "".join(parse(svg).findtext(f"{SVG}{tag}", "") for tag in ("title", "desc"))


class Page(HTMLParser):
    """A page's tags with their attributes, and its text, in their order.

    Attributes:
        tags: each tag that begins.
        words: all text outside of styles.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._style = False
        self.feed(html)
        self.words = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self._texts.append(data)

    def all(self, *names: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of those names."""
        return [attributes for tag, attributes in self.tags if tag in names]
