"""The colours of pictures and pages, for light and dark backgrounds.

Pictures are drawn in the light colours; ``canvas`` then writes ``var(--line-1, #0b62a8)`` for
each, so that one picture is right on both backgrounds and in print. Lines stand out from
both by 3:1 at least and text by 4.5:1 (WCAG 2.1); who sees colours otherwise can tell lines
apart, since blue, orange, green and purple also differ in lightness and in dashes.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour on a light and on a dark background, as ``#rrggbb``."""

    light: str
    dark: str


PALETTE = {
    "paper": Colour("#fdfdfb", "#14171b"),
    "card": Colour("#ffffff", "#1b1f24"),
    "ink": Colour("#1b1f23", "#e9ebee"),
    "soft": Colour("#59626d", "#a9b2bd"),
    "rule": Colour("#dde1e6", "#343b44"),
    "shade": Colour("#eceff2", "#252b32"),
    "line-1": Colour("#0b62a8", "#63b5f4"),
    "line-2": Colour("#b5490a", "#f3a055"),
    "line-3": Colour("#0b7a5d", "#3fcfa5"),
    "line-4": Colour("#86398c", "#dca0e2"),
    "heat-1": Colour("#c9dff2", "#1f3b54"),
    "heat-2": Colour("#94c0e6", "#2c5f8a"),
    "heat-3": Colour("#5499d2", "#4189c0"),
    "heat-4": Colour("#1f6fb3", "#7dbcec"),
    "heat-5": Colour("#083f73", "#d5eafb"),
}
"""By CSS name. ``paper`` and ``card`` are backgrounds; ``ink`` and ``soft`` are text."""
LINES = tuple(PALETTE[f"line-{number}"].light for number in range(1, 5))
DASHES = ("-", "--", ":", "-.")
HEATS = tuple(PALETTE[f"heat-{number}"].light for number in range(1, 6))
INK, SOFT, RULE, SHADE, CARD = (
    PALETTE[name].light for name in ("ink", "soft", "rule", "shade", "card")
)


def variables(dark: bool) -> str:
    """The palette as CSS declarations.

    Example:
        >>> variables(dark=True)[:16]
        '--paper: #14171b'
    """
    return "; ".join(f"--{name}: {colour[dark]}" for name, colour in PALETTE.items())
