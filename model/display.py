"""What the terminal, the report and the server's page show alike: thresholds, titles, figures.

It stands once, in ``display.json``, so that the page's script can be given it as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DISPLAY: dict[str, Any] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
"""All of it; ``counts`` and ``figures`` are titles with the fields of a report, ``model`` titles
with the fields of a manifest and how these are shown."""
ENDED: tuple[str, ...] = tuple(DISPLAY["ended"])
"""States after which a run writes nothing more."""
QUIET: float = DISPLAY["seconds"]["quiet"]
"""Seconds without a new status after which a run is shown as quiet."""
STALE: float = DISPLAY["seconds"]["stale"]
"""Seconds: a status that is older is no sign of life."""
PSI_MODERATE: float = DISPLAY["psi"]["moderate"]
PSI_LARGE: float = DISPLAY["psi"]["large"]
"""A shift is taken as moderate or large above these population stability indices."""


def display_of(classifies: bool) -> dict[str, Any]:
    """``DISPLAY`` with the figures of a run's task.

    Args:
        classifies: whether its target is a class.
    """
    if not classifies:
        return DISPLAY
    own = [fact for fact in DISPLAY["model"] if not fact[1].startswith("training.")]
    last = own.pop()
    model = [*own, *DISPLAY["class_fit"], last]
    return {**DISPLAY, "figures": DISPLAY["class_figures"], "model": model}
