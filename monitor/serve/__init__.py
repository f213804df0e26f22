"""``python -m pipeline serve``: predictions of a run's models, over HTTP, while it runs and after.

Everything comes from the run's folder. A thread looks at it about once a second
(``watching``): a new model is opened beside the one that serves and then takes its place
(``serving``), so no request waits and each is answered by one model. A request's way: its size,
time and key are looked at (``middleware``, ``reading``); its rows are read (``bodies``; Arrow and
Parquet in a process of its own, ``decoders``), checked as the job checks them, and predicted in a
thread (``predicting``). Every error has one shape (``problems``).
"""

from __future__ import annotations

EXTRA = ("fastapi", "h11", "prometheus_client", "starlette", "uvicorn", "zstandard")


def main(argv: list[str]) -> int:
    """Runs the command until it is stopped, by Ctrl-C or SIGTERM.

    Returns:
        0.

    Raises:
        UserError: for an option, a folder that holds no run, or packages that are missing.
    """
    from model.errors import UserError  # here, since a decoder's process imports this module
    from monitor.serve.options import options_from

    options = options_from(argv)
    try:
        from monitor.serve.server import run
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        from monitor.program import remedy

        raise UserError(
            f"serve needs {error.name}, which is not installed: {remedy('serve')}"
        ) from error
    return run(options)
