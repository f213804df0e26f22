"""The job's wiring and its command line: settings, graph, runners, run folder, reports, server."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.frames.backtesting import backtest as backtest
    from pipeline.own import run_on as run_on

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # late: most that import a part of this package need no Beam
    if name == "run_on":
        from pipeline.own import run_on

        return run_on
    if name == "backtest":
        from pipeline.frames.backtesting import backtest

        return backtest
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
