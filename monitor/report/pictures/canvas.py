"""What pictures are drawn on, and how a drawing becomes SVG that a page can hold.

A picture is 360 units wide and its text 11: at its own size on a phone, in a column on a screen
and in print. Text stays text, in the page's own font. The same data gives the same bytes.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from io import StringIO
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator

from monitor.report.pictures.palette import PALETTE, RULE, SOFT

WIDTH, HEIGHT = 360, 210
"""Of a picture, in CSS pixels at its own size."""
TEXT = 11
LEGEND_ROW = 16
BOTTOM, RIGHT = 32, 14
UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""The units of figures, and the sizes from which on they are used."""
NAMED = "= "
LONGEST = 40
"""A name has so many characters at most in a picture."""

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "correnteza",  # ids follow from what is drawn
        "text.parse_math": False,  # a name may hold a dollar sign
        "axes.unicode_minus": False,
        "path.snap": False,
    }
)
# Text is measured in matplotlib's own font, which lacks most of the world's letters, and shown
# in the page's.
warnings.filterwarnings("ignore", message="Glyph .* missing from")
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
ElementTree.register_namespace("", SVG)
FONT = re.compile(r"font-family: [^;\"]*(; )?")
DECIMALS = re.compile(r"(\.\d\d)\d+")


class Figures(Formatter):
    """Labels the ticks of an axis as briefly as keeps them distinct."""

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of ticks."""
        return [label.replace("-", "\N{MINUS SIGN}") for label in short(values)]


def short(values: Sequence[float]) -> list[str]:
    """Values as texts, as brief as keeps them distinct.

    Example:
        >>> short([0, 500, 1000]), short([20_000, 25_000]), short([1e6, 1e6 + 1])
        (['0', '500', '1000'], ['20k', '25k'], ['1M', '1.000001M'])
        >>> short([0, 1e-5]), short([0, 2e15])
        (['0', '1e-05'], ['0', '2e+15'])
    """
    top = max((abs(value) for value in values), default=0)
    if top >= 1e15:
        return [f"{value:.2g}" for value in values]
    scale, unit = next(((s, u) for least, s, u in UNITS if top >= least), (1.0, ""))
    labels: list[str] = []
    for digits in range(2, 16):
        labels = [_positional(value / scale, digits) + (unit if value else "") for value in values]
        if len(set(labels)) == len(set(values)):
            break
    return labels


def _positional(value: float, digits: int) -> str:
    if 0 < abs(value) < 1e-4:
        return f"{value:.{digits}g}"
    whole = len(str(int(abs(value))))
    return np.format_float_positional(
        value, precision=max(digits, whole), unique=False, fractional=False, trim="-"
    )


def plain(text: str, longest: int = LONGEST) -> str:
    """A name from the data as a picture can show it: one line, not too long, no control signs.

    Args:
        text: the name.
        longest: a longer one is cut.

    Example:
        >>> plain("a" + chr(0) + "b"), len(plain("x" * 99))
        ('a\N{REPLACEMENT CHARACTER}b', 40)
    """
    shown = printable(text)
    if not shown:
        return "(empty)"
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def printable(text: str) -> str:
    """A text without signs that control how it, or what follows it, is shown."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def sheet(height: int = HEIGHT, legend_rows: int = 1) -> tuple[Figure, Axes]:
    """An empty drawing: no frame but the line below, and lines across at the ticks."""
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    figure.patch.set_visible(False)
    FigureCanvasSVG(figure)
    top = 10 + LEGEND_ROW * legend_rows
    axes = figure.add_axes((0.1, BOTTOM / height, 0.8, 1 - (BOTTOM + top) / height))
    axes.patch.set_visible(False)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)
    axes.tick_params(colors=SOFT, labelsize=TEXT, width=0.6, length=3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(Figures())
    return figure, axes


def legend(axes: Axes, columns: int = 4) -> None:
    """Names what has a label that begins with ``NAMED``, above the drawing.

    (matplotlib leaves out labels that begin with an underscore, as names in data may.)
    """
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles,
        [label.removeprefix(NAMED) for label in labels],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        fontsize=TEXT,
        labelcolor=SOFT,
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.2,
        borderaxespad=0.2,
        borderpad=0.1,
    )


def svg(figure: Figure, name: str, title: str, description: str) -> str:
    """A drawing as an ``<svg>`` element.

    Args:
        figure: a ``sheet`` with something drawn on it.
        name: begins the ids in it; no two pictures of a page may have the same.
        title: what it shows, for who does not see it.
        description: what is to be seen in it, for the same.
    """
    _make_room(figure)
    text = _write_svg(figure)
    for colour, both in PALETTE.items():
        text = text.replace(both.light, f"var(--{colour}, {both.light})")
    root = ElementTree.fromstring(FONT.sub("", text))
    for child in list(root):
        if child.tag == f"{{{SVG}}}metadata" or child.find(f"{{{SVG}}}style") is not None:
            root.remove(child)
    _name_ids(root, name)
    _shorten(root)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "class": "picture",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _shorten(root: ElementTree.Element) -> None:
    """Leaves out what nobody sees: white space, and the decimals of places behind the second."""
    for element in root.iter():
        element.tail = None
        if element.text is not None and element.text.isspace():
            element.text = None
        for key in element.attrib.keys() & {"d", "x", "y"}:
            element.set(key, " ".join(DECIMALS.sub(r"\1", element.attrib[key]).split()))


def _make_room(figure: Figure) -> None:
    """Moves the left edge to where the longest label of the vertical axis ends."""
    [axes] = figure.axes
    longest = max((len(label.get_text()) for label in axes.get_yticklabels()), default=0)
    left = (8 + 6.5 * longest) / WIDTH
    place = axes.get_position()
    axes.set_position((left, place.y0, 1 - RIGHT / WIDTH - left, place.height))


def _write_svg(figure: Figure) -> str:
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _name_ids(root: ElementTree.Element, name: str) -> None:
    """Keeps the ids that something refers to, and makes them the picture's own."""
    everything = list(root.iter())
    used: set[str] = set()
    for element in everything:
        for key, value in list(element.attrib.items()):
            if key == f"{{{XLINK}}}href":
                used.add(value[1:])
                del element.attrib[key]
                element.set("href", f"#{name}-{value[1:]}")
            elif value.startswith("url(#"):
                used.add(value[5:-1])
                element.set(key, f"url(#{name}-{value[5:-1]})")
    for element in everything:
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{name}-{own}")
