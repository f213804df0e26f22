"""River's regressors as learners: they learn a window's rows one at a time, in the order of time.

``--learner model.online:river --learner-param model=tree.HoeffdingAdaptiveTreeRegressor`` needs
the package river. Every window begins with a new regressor, as for any other learner.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from model.errors import UserError

SEED = 42


def river(model: str = "linear_model.LinearRegression", **parameters: Any) -> Any:
    """A River regressor behind scikit-learn's ``fit`` and ``predict`` (``river.compat``).

    Args:
        model: its class, by its path below ``river``.
        parameters: for its constructor; ``seed`` is 42 where there is one.

    Raises:
        UserError: if river is not installed or has no such regressor.
    """
    try:
        from river import base, compat
    except ImportError as error:
        raise UserError(f"--learner model.online:river: pip install river ({error})") from error
    module, _, name = model.rpartition(".")
    try:
        kind = getattr(importlib.import_module(f"river.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"--learner-param model={model}: river has none: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, base.Regressor)):
        raise UserError(f"--learner-param model={model}: must be a regressor of river")
    if "seed" in inspect.signature(kind).parameters:
        parameters.setdefault("seed", SEED)
    return compat.River2SKLRegressor(kind(**parameters))
