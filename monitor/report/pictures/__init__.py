"""The pictures: figures go in, SVG comes out; the report and the server's dashboard show them."""

from monitor.report.pictures.classes import confusion, curves, reliability, threshold
from monitor.report.pictures.errors import by_value, quantiles
from monitor.report.pictures.features import categorical, importance, numeric, predicted
from monitor.report.pictures.overtime import (
    drift,
    error,
    log_loss,
    nulls,
    rows,
    skill,
    timeline,
    unlabelled,
)
from monitor.report.pictures.points import (
    predicted_against_actual,
    residuals,
    residuals_against_predicted,
)
from monitor.report.pictures.questions import cohorts, delays, labels, questions

__all__ = [
    "by_value",
    "categorical",
    "cohorts",
    "confusion",
    "curves",
    "delays",
    "drift",
    "error",
    "importance",
    "labels",
    "log_loss",
    "nulls",
    "numeric",
    "predicted",
    "predicted_against_actual",
    "quantiles",
    "questions",
    "reliability",
    "residuals",
    "residuals_against_predicted",
    "rows",
    "skill",
    "threshold",
    "timeline",
    "unlabelled",
]
