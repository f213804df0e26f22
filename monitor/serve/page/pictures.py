"""Which of the report's pictures the page shows: of the newest refreshes, in groups.

Matplotlib is loaded with the first drawing, not with the server: it takes a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from model.errors import UserError
from model.metrics import Metrics
from model.runs import RunSettings
from monitor.serve.core import Core
from monitor.serve.reports import Report

if TYPE_CHECKING:
    from monitor.report.history import History
    from monitor.report.page import Shown

Name = Literal["over-time", "drift", "predictions", "features", "models"]
NEWEST = 200
"""The pictures are of so many refreshes at most."""


class Picture(BaseModel):
    """A picture, as the page shows it.

    Attributes:
        title, note: what it is, and what to know of it.
        svg: an ``<svg>`` element. Its styles are in ``data-style`` attributes: the page's
            Content-Security-Policy allows no others, and its script puts them in their places.
    """

    title: str
    note: str
    svg: str


class Group(BaseModel):
    """Pictures that are drawn together.

    Attributes:
        refresh: the name of the newest refresh that is in them, or null.
        pictures: none if there is nothing to draw yet.
        trouble: why they cannot be drawn, or null.
    """

    refresh: str | None
    pictures: list[Picture]
    trouble: str | None


def draw(core: Core, name: Name) -> Group:
    """Draws a group; only one thread may, since matplotlib is made for one.

    Args:
        core: the server's.
        name: of the group.
    """
    refresh = next(reversed(core.reports.known), None)
    try:
        shown = list(GROUPS[name](core, history_of(core)))
    except (UserError, ValueError, OSError) as error:  # a file that no run has written so
        return Group(refresh=refresh, pictures=[], trouble=str(error))
    return Group(refresh=refresh, pictures=list(map(picture, shown)), trouble=None)


def picture(shown: Shown) -> Picture:
    """A picture of the report, as the page takes it."""
    in_tags = r"(<[^<>]*) style="  # no text has a "<"
    svg = re.sub(in_tags, r"\1 data-style=", str(shown.svg))
    return Picture(title=shown.title, note=shown.note, svg=svg)


def history_of(core: Core) -> History:
    """What the run did in the newest refreshes, as the report shows it.

    Raises:
        ValueError: if the settings are not as a run writes them.
    """
    from monitor.report import history

    reports = list(whole(list(core.reports.known.values())[-NEWEST:]))
    models = {report.model: None for report in reports if report.model is not None}
    models |= dict.fromkeys(core.models.store.names())
    fits = {model: fit_seconds(core, model) for model in sorted(models)}
    known = {model: seconds for model, seconds in fits.items() if seconds is not None}
    settings = RunSettings.model_validate(core.settings)
    cohorts = []
    if settings.data_schema.has_later_labels:
        with suppress(OSError, ValueError):  # one that is damaged, or gone meanwhile
            cohorts = core.folder.read_cohorts(NEWEST)
    run = history.History(settings, None, reports, known, cohorts)
    return run if core.questions is None else run.with_questions(core.questions)


def whole(reports: Iterable[Report]) -> Iterator[Metrics]:
    """The reports that have all that a picture shows, and span a time."""
    for report in reports:
        with suppress(ValidationError):
            found = Metrics.model_validate(report)
            if found.refresh_start < found.refresh_end:
                yield found


def fit_seconds(core: Core, model: str) -> float | None:
    """How long a fit took; None if that cannot be read."""
    try:
        return core.folder.fit_seconds(model)
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None


def over_time(core: Core, run: History) -> Iterator[Shown]:
    """Error, skill and rows."""
    from monitor.report import page

    yield from page.over_time(run)


def drift(core: Core, run: History) -> Iterator[Shown]:
    """How far columns have drifted."""
    from monitor.report import page

    yield from page.drifts(run.reports)


def predictions(core: Core, run: History) -> Iterator[Shown]:
    """What was predicted, beside what came true."""
    from monitor.report import artefacts, page, scored

    yield from page.predictions(*scored.points(core.folder))
    manifests = artefacts.manifests(core.models.store)
    yield from page.class_pictures(run, page.threshold_of(manifests))


def features(core: Core, run: History) -> Iterator[Shown]:
    """What the newest model goes by, and what the columns are like."""
    from monitor.report import artefacts, columns, page

    store = core.models.store
    serving = core.models.current
    if serving is not None:
        yield from page.weights(artefacts.importance(store, serving.reference.name))
    described = columns.describe(core.folder, run, artefacts.manifests(store))
    yield from page.features(run, described)


def models(core: Core, run: History) -> Iterator[Shown]:
    """What models cost: time to fit them, and room."""
    from monitor.report import artefacts, page

    yield from page.costs(run, artefacts.manifests(core.models.store))


GROUPS: dict[Name, Callable[[Core, History], Iterator[Shown]]] = {
    "over-time": over_time,
    "drift": drift,
    "predictions": predictions,
    "features": features,
    "models": models,
}
"""By name; the page asks for each when there is something new."""
