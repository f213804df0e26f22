"""The page: the report of a run, as one HTML file.

It holds its style and its pictures, runs no script and asks for nothing: its own
Content-Security-Policy forbids it. Names and reasons come from the data and are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from model.cohorts import Cohort
from model.display import display_of
from model.files import parent
from model.manifest import Manifest
from model.metrics import Metrics
from model.runs import RunFolder
from model.store import Store
from model.task_keys import Costs
from model.wording import format_duration
from monitor.labels import BESIDE, describe_delay
from monitor.report import (
    artefacts,
    columns,
    drift,
    glossary,
    history,
    pictures,
    rejects,
    scored,
)
from monitor.report.artefacts import Importance
from monitor.report.class_figures import pool_classes
from monitor.report.columns import Described
from monitor.report.history import History
from monitor.report.pictures import palette, texts
from monitor.report.pictures.canvas import printable
from monitor.report.pictures.classes import SHOWN as MOST_CLASSES
from monitor.report.pictures.overtime import floats, spans
from monitor.report.series import Points

REFRESHES = 500
"""Maximum number of refreshes in the table, the newest first."""
ALERTS = 200
"""Maximum number of alerts in the table, the newest first."""
VALUES = 3
"""Maximum number of encoded values that are named beside the importance of columns."""
FEATURES = 24
"""Maximum number of columns that have a picture."""


class Shown(NamedTuple):
    """A picture of the page: its heading, the picture, what to know of it."""

    title: str
    svg: Markup
    note: str


def make_page(folder: RunFolder, models: int, show: Callable[[str], None]) -> str:
    """The report of a run.

    Args:
        folder: the run's.
        models: how many of the newest are shown.
        show: called with a line for each thing that is being done.

    Raises:
        UserError: if the folder holds no run, or a file in it is not as a run writes it.
    """
    run = history.read(folder)
    store = Store(folder.models)
    manifests = artefacts.manifests(store)
    show("reading predictions, samples and rejects")
    points, refreshes = scored.points(folder)
    described = columns.describe(folder, run, manifests)
    kinds, looked_at = rejects.count_reasons(folder, run.settings.data_schema)
    alerts, alerted = history.alerts(folder, ALERTS)
    classifies = run.settings.data_schema.classifies
    return template(classifies).render(
        classifies=classifies,
        folder=folder.path,
        run=run,
        total=history.total(run.reports),
        refreshes=run.reports[-REFRESHES:][::-1],
        by_question=by_question(run),
        label_titles=BESIDE,
        over_time=[*over_time(run), *costs(run, manifests)],
        predictions=[
            *predictions(points, refreshes),
            *class_pictures(run, threshold_of(manifests)),
        ],
        drifts=list(drifts(run.reports)),
        features=list(features(run, described)),
        source=described.source,
        alerts=alerts,
        alerted=alerted,
        skips=history.skips(folder),
        newest=scored.newest(folder, run.settings.data_schema),
        state=history.describe_status(run.status, datetime.now(timezone.utc)),
        glossary=Markup(glossary.as_html(classifies)),
        kinds=kinds,
        looked_at=looked_at,
        light=palette.variables(dark=False),
        dark=palette.variables(dark=True),
        **of_models(store, run, models, show),
    )


def by_question(run: History) -> dict[str, Cohort] | None:
    """The figures by question, by the refresh's start; None unless labels have a time."""
    if not run.settings.data_schema.has_later_labels:
        return None
    return {cohort.refresh_start: cohort for cohort in run.cohorts}


def of_models(store: Store, run: History, most: int, show: Callable[[str], None]) -> dict[str, Any]:
    """The page's part on models: the newest ``most`` of them, and the newest one's importances."""
    names = store.names()
    models = artefacts.read(store, names[-most:] if most else [], run, show)
    newest = artefacts.importance(store, names[-1]) if names else None
    return {
        "names": names,
        "pinned": RunFolder(parent(store.path)).describe_pin(),
        "models": models[::-1],
        "linked": {model.name for model in models},
        "importance": newest,
        "weights": list(weights(newest)),
    }


def template(classifies: bool = False) -> Any:
    """The page's template; what it is given is escaped, but for ``Markup``.

    Args:
        classifies: whether the run's target is a class.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["display"] = display_of(classifies)
    environment.filters.update(
        facts=list_facts,
        count=texts.count,
        figure=texts.figure,
        size=texts.size,
        when=when,
        common=artefacts.common,
        duration=format_duration,
        definition=lambda title: glossary.definition(title, classifies),
        delay=describe_delay,
    )
    return environment.get_template("page.html")


def list_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Titles and texts of what a model's card shows first, in the order of ``display.json``."""
    formats: dict[str, Callable[[Any], str]] = {
        "when": when,
        "count": texts.count,
        "figure": texts.figure,
        "text": str,
        "length": lambda values: texts.count(len(values)),
    }
    return [
        (title, formats[kind](attrgetter(field)(manifest)))
        for title, field, kind in display_of(manifest.task is not None)["model"]
    ]


def when(time: str) -> str:
    """ISO 8601 in UTC as a table shows it.

    Example:
        >>> when("2026-01-01T00:01:00Z")
        '2026-01-01 00:01:00'
    """
    return time.removesuffix("Z").partition(".")[0].replace("T", " ")


def over_time(run: History) -> Iterator[Shown]:
    """The pictures of error, skill and rows; nothing is drawn of nothing."""
    reports = run.reports
    if any(report.log_loss is not None for report in reports):
        later = "By label: of the labels that became known in each refresh. "
        later = later if run.settings.data_schema.has_later_labels else ""
        note = f"{later}By a model trained before; the baseline is the class shares of its window."
        yield show_picture("Log loss", pictures.log_loss(reports), note)
        note = "1 is exact, 0 no better than the class shares of the window, below 0 worse."
        note = f"By label. {note}" if later else note
        yield show_picture("Skill", pictures.skill(reports), note)
    if any(report.mae is not None for report in reports):
        note = "By a model trained before; the baseline is the mean target of its window."
        if run.settings.data_schema.has_later_labels:
            note = f"By label: of the labels that became known in each refresh. {note}"
        yield show_picture("Mean absolute error", pictures.error(reports), note)
        note = "1 is exact, 0 no better than the mean of the window, below 0 worse."
        if run.settings.data_schema.has_later_labels:
            note = f"By label. {note}"
        yield show_picture("Skill", pictures.skill(reports), note)
    yield from of_spread(run)
    if any(cohort.error is not None for cohort in run.cohorts):
        note = "By question: of the questions asked in each refresh, whenever their labels came."
        if run.still is not None:
            note = f"{note} {run.still.line().capitalize()}."
        yield show_picture("Error by question", pictures.cohorts(run.cohorts), note)
    yield from of_labels(run)
    if reports:
        note = "Late rows are scored, not trained on; rejected ones broke the schema."
        yield show_picture("Rows", pictures.rows(reports), note)
    if any(report.unlabelled for report in reports):
        note = "Rows without a target, percent; they are scored, not trained on."
        yield show_picture("Unlabelled rows", pictures.unlabelled(reports), note)


def of_spread(run: History) -> Iterator[Shown]:
    """The pictures of how the errors of numbers are spread."""
    reports, column = run.reports, run.settings.data_schema.figures.by
    if any(r.absolute_error is not None and r.absolute_error.p50 is not None for r in reports):
        note = "Half of the rows of each refresh, and nine tenths, have no greater error."
        yield show_picture("Half and nine tenths of the errors", pictures.quantiles(reports), note)
    if column is not None and any(r.groups is not None and r.groups.values for r in reports):
        note = "Of the values with the most rows, over the refreshes in which they were among ten."
        title = f"Mean absolute error by {printable(column)}"
        yield show_picture(title, pictures.by_value(reports, column), note)


def of_labels(run: History) -> Iterator[Shown]:
    """The pictures of what became of questions, and of the labels that came."""
    if run.labels is None:
        return
    if any(report.rows for report in run.reports):
        note = "By when they were asked. Those of final refreshes are answered or have expired."
        picture = pictures.questions(run.reports, run.cohorts, run.open)
        yield show_picture("Questions", picture, note)
    if any(cohort.delay is not None for cohort in run.cohorts):
        note = "How long after their questions the labels of each refresh's questions came, "
        picture, unit = pictures.delays(run.cohorts)
        yield show_picture("Delay of labels", picture, f"{note}in {unit}.")
    if any(run.labels.counts.get(name) for name in BESIDE):
        note = "What came beside the answers, when it was certain; of more kinds, the commonest."
        yield show_picture("Labels", pictures.labels(run.reports, BESIDE), note)


def predictions(points: Points, refreshes: Sequence[str]) -> Iterator[Shown]:
    """The pictures of single predictions."""
    if not len(points.target):
        return
    span = refreshes[0] if len(refreshes) == 1 else f"{refreshes[0]} to {refreshes[-1]}"
    note = f"{texts.count(len(points.target))} rows of the refreshes {span}."
    exact = f"{note} On the dashed line a prediction is exact."
    yield show_picture("Predicted against actual", pictures.predicted_against_actual(points), exact)
    low, high = (float(end) for end in np.percentile(points.residuals, (5, 95)))
    inner = f"Nine of ten lie between {texts.figure(low)} and {texts.figure(high)}."
    yield show_picture("Residuals", pictures.residuals(points), inner)
    below = "A slope or a funnel shows what the model has not learned."
    spread = pictures.residuals_against_predicted(points)
    yield show_picture("Residuals against predicted", spread, below)


def threshold_of(manifests: Mapping[str, Manifest]) -> float | None:
    """The threshold of the newest model, if there is one."""
    return list(manifests.values())[-1].threshold if manifests else None


def describe_threshold(threshold: float | None, costs: Costs | None) -> str:
    """Where the newest model's threshold is from.

    Example:
        >>> describe_threshold(0.05, Costs(fp=1, fn=19))
        " Dashed: 0.05, the newest model's: fp / (fp + fn) with fp 1 and fn 19."
    """
    if threshold is None:
        return ""
    shown = f" Dashed: {texts.figure(threshold)}, the newest model's"
    if costs is None:
        return f"{shown}."
    fp, fn = texts.figure(costs.fp), texts.figure(costs.fn)
    return f"{shown}: fp / (fp + fn) with fp {fp} and fn {fn}."


def class_pictures(run: History, threshold: float | None) -> Iterator[Shown]:
    """The pictures of classes and their probabilities, of all refreshes together."""
    found = [report for report in run.reports if report.confusion]
    if not found:
        return
    pooled = pool_classes(found)
    note = (
        "By probability: below the dashed line the class came more rarely than predicted, above it "
        "more often. The larger a point, the more rows."
    )
    yield show_picture("Reliability", pictures.reliability(*pooled.reliability), note)
    if pooled.scores is not None and pooled.scores[0].any() and pooled.scores[1].any():
        roc, precision = pictures.curves(*pooled.scores)
        note = "Dashed: what chance gives."
        yield show_picture("Receiver operating characteristic", roc, note)
        yield show_picture("Precision by recall", precision, "Dashed: the share of positives.")
        picture = pictures.threshold(*pooled.scores, threshold)
        note = f"What each threshold would have given for the class {found[-1].positive}."
        note += describe_threshold(threshold, run.settings.data_schema.costs)
        yield show_picture("Threshold", picture, note)
    note = "Each line is a class: which share of its rows was predicted as what."
    if len(pooled.confusion) > MOST_CLASSES:
        note += f" The {MOST_CLASSES} most frequent classes."
    yield show_picture("Confusion", pictures.confusion(pooled.confusion), note)


def features(run: History, described: Described) -> Iterator[Shown]:
    """A picture a column: the target first."""
    schema = run.settings.data_schema
    shares = columns.null_shares(described)
    if shares:
        note = "Percent of each column's values; the columns that have most."
        yield show_picture("Nulls", pictures.nulls(described.places, shares), note)
    for name in (schema.target, *schema.numeric, *schema.categorical)[:FEATURES]:
        places, numeric, categorical = columns.over_time(described, name)
        role = "The target" if name == schema.target else "A feature"
        if numeric:
            note = f"{role}: mean, in a band of one standard deviation"
            yield show_picture(name, pictures.numeric(name, places, numeric), note)
        elif categorical:
            note = f"{role}: its commonest values, percent of rows"
            yield show_picture(name, pictures.categorical(name, places, categorical), note)


def drifts(reports: Sequence[Metrics]) -> Iterator[Shown]:
    """The pictures of drift and of predicted classes, if the reports have them."""
    indices = drift.indices(reports)
    if indices:
        note = "Population stability index against the model's window; the most drifted columns."
        yield show_picture("Drift", pictures.drift(spans(reports), indices), note)
    shares = drift.list_shares(reports)
    if any(shares):
        picture = pictures.predicted(spans(reports), shares)
        yield show_picture("Predicted classes", picture, "The commonest, percent of the rows.")


def weights(importance: Importance | None) -> Iterator[Shown]:
    """The picture of feature importance by column, if the newest model has it."""
    if importance is None or not importance.weights:
        return
    note = f"Model {importance.model}: {importance.description}"
    if len(importance.weights) > len(importance.columns):
        ranked = sorted(importance.weights.items(), key=lambda item: (-item[1], item[0]))
        greatest = ", ".join(f"{name} {texts.figure(value)}" for name, value in ranked[:VALUES])
        note += f"; summed over each column's values. The greatest alone: {greatest}"
    picture = pictures.importance(importance.columns, importance.description)
    yield show_picture("Feature importance", picture, f"{note}.")


def costs(run: History, manifests: Mapping[str, Manifest]) -> Iterator[Shown]:
    """The pictures of what models cost: time to fit them, and room."""
    sizes = {name: manifest.bytes for name, manifest in manifests.items()}
    for name, title, caption, values in (
        ("fits", "Seconds a fit", "How long each window's fit took.", run.fits),
        ("sizes", "Bytes a model", "Of the models that are kept.", sizes),
    ):
        if values:
            places = [run.window(model) for model in values]
            picture = pictures.timeline(name, title, places, floats(values.values()))
            yield show_picture(title, picture, caption)


def show_picture(title: str, picture: str, note: str) -> Shown:
    """A picture of the page; its markup is our own."""
    return Shown(title, Markup(picture), note)
