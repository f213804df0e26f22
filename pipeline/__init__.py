"""The job's wiring and its command line: settings, graph, runners, run folder."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.frames.backtesting import backtest as backtest
    from pipeline.frames.sweeping import sweep as sweep
    from pipeline.own import run_on as run_on

__version__ = "0.1.0"


_FUNCTIONS = {
    "backtest": "pipeline.frames.backtesting",
    "run_on": "pipeline.own",
    "sweep": "pipeline.frames.sweeping",
}
"""What is imported from here, and where it is; late, since most that import a part of this package
need neither that nor Beam."""


def __getattr__(name: str) -> object:
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
