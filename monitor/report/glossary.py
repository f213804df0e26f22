"""The glossary of the report and of the page, for readers who see them for the first time."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from model.display import PSI_LARGE, PSI_MODERATE


class Term(NamedTuple):
    """A term and its definition.

    Attributes:
        name: the term.
        definition: a sentence or two.
        titles: headings of tables that it explains as well.
        task: the only task in whose runs there is such a thing; None: in those of all.
    """

    name: str
    definition: str
    titles: tuple[str, ...] = ()
    task: str | None = None


TERMS = (
    Term(
        "Window",
        "The stretch of event time whose labelled rows one model is trained on.",
        ("Window to (UTC)", "Window from (UTC)"),
    ),
    Term(
        "Refresh",
        "The stretch of event time that one model serves. Its rows are scored by a model of an "
        "earlier window, and then trained on.",
        ("Refresh (UTC)",),
    ),
    Term(
        "MAE",
        "Mean absolute error: by how much predictions missed the target on average, in the "
        "target's own unit.",
        ("MAE", "Training MAE", "MAE by label", "MAE by question"),
        "regression",
    ),
    Term(
        "RMSE",
        "Root mean squared error: as MAE, but large misses count more.",
        ("RMSE",),
        "regression",
    ),
    Term(
        "Log loss",
        "The mean of -ln of the probability that the class had that came. 0 is sure and right, "
        "0.69 (ln 2) a coin's.",
        ("Log loss", "Training log loss", "Log loss by label", "Log loss by question"),
        "classification",
    ),
    Term("Accuracy", "The share of right predictions.", ("Accuracy",), "classification"),
    Term(
        "AUC",
        "Of two classes: how often a positive has a greater probability than a negative. 1 is "
        "exact, 0.5 no better than chance.",
        ("AUC", "Training AUC"),
        "classification",
    ),
    Term(
        "Calibration",
        "How near predicted probabilities are to how often the class comes.",
        task="classification",
    ),
    Term(
        "Threshold",
        "The probability above which the positive of two classes is predicted: 0.5, or what the "
        "costs in the schema give.",
        ("Threshold",),
        "classification",
    ),
    Term(
        "Baseline",
        "The error of predicting the mean target of the model's window for every row; of classes, "
        "the log loss of the class shares of that window.",
        ("Baseline",),
    ),
    Term(
        "Skill",
        "1 - error / baseline. 1 is exact, 0 no better than the baseline, below 0 worse.",
        ("Skill",),
    ),
    Term(
        "R\N{SUPERSCRIPT TWO}",
        "The share of the target's variance within the refresh that the predictions explain.",
        ("R\N{SUPERSCRIPT TWO}", "Training R\N{SUPERSCRIPT TWO}"),
        "regression",
    ),
    Term(
        "PSI",
        "Population stability index: how far the values of a column have moved from those that "
        f"the model was trained on. Over {PSI_MODERATE} is moderate, over {PSI_LARGE} large.",
        ("PSI", "Drift"),
    ),
    Term(
        "Mean shift",
        "How many standard deviations of the training window the mean of a column has moved.",
        ("Shift, SD",),
    ),
    Term(
        "Alert",
        "A figure that is news beside its own past: of the error, or of a column.",
        ("Allowed",),
    ),
    Term(
        "Unlabelled", "A row without a target. It is scored, and not trained on.", ("Unlabelled",)
    ),
    Term(
        "Late",
        "A row that came behind the watermark. It is scored, and not trained on.",
        ("Late",),
    ),
    Term(
        "Rejected", "A row that breaks the schema. It is left out, and written down.", ("Rejected",)
    ),
    Term(
        "Question",
        "A row whose label comes later. It is open until its label comes, or until the wait is "
        "over: then it has expired.",
        ("Answered", "Expired", "Open"),
    ),
    Term(
        "Orphan",
        "A label of no question. Duplicates and conflicts are further labels of an answered one, "
        "with the same target and with another.",
        ("Orphans", "Duplicates", "Conflicts"),
    ),
    Term("Watermark", "Up to this event time all rows are taken to have come."),
)


def terms_of(classifies: bool | None) -> list[Term]:
    """The terms of one task, or of both (None)."""
    if classifies is None:
        return list(TERMS)
    task = "classification" if classifies else "regression"
    return [term for term in TERMS if term.task in (None, task)]


def as_html(classifies: bool | None = None) -> str:
    """The glossary as a list of definitions.

    Args:
        classifies: whether a run's target is a class; None: that is not known.

    Example:
        >>> as_html()[:44]
        '<dl class="glossary"><div><dt data-titles="W'
    """
    terms = (
        f'<div><dt data-titles="{escape("|".join(term.titles))}">{escape(term.name)}</dt>'
        f"<dd>{escape(term.definition)}</dd></div>"
        for term in terms_of(classifies)
    )
    return f'<dl class="glossary">{"".join(terms)}</dl>'


def definition(title: str, classifies: bool | None = None) -> str:
    """The definition of a heading of a task; empty if the glossary has none.

    Example:
        >>> definition("Late")
        'A row that came behind the watermark. It is scored, and not trained on.'
    """
    return next((term.definition for term in terms_of(classifies) if title in term.titles), "")
