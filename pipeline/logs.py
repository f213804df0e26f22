"""The program's log: warnings and errors on standard error, without Beam's known noise.

It must be set up before anything of Beam is imported, since Beam logs while it is imported, and
the first record gives the root logger a handler of its own if it has none.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import UserError

NOISE = (
    *("apitools not found", "Could not import torch", "Resource module is not available"),
    *("Unparseable argument", "Job was cancelled", "not in a finalizable state"),
    "Channel closed prematurely",  # a bundle whose connection ended
    *("Really starting service", "Really destroying service"),  # Prism, begun and ended
    "Retrying (Retry(",  # a request to Flink; if it fails in the end, that is reported
    "empty transform, with payload",  # Prism, of steps that Beam's runners leave out
    "transforms.versions.OtherVersion: ",  # the command line reports it in one line
)
"""Parts of messages that Beam logs in runs without any fault."""


LOGGERS = ("apache_beam", "PrismRunner", "root", "urllib3")
"""The loggers of Beam and of the client of Flink; what another one logs is shown."""
JAVA_FRAME = "\n\tat "


class NoiseFilter(logging.Filter):
    """Leaves out what Beam logs at every start and nobody can act on.

    And the traceback of what the command line reports in one line: a full disk, a file that has
    changed, no memory; a connection that ended, upon which Flink restarts the job; the error that a
    job server sends, a Java stack trace, as of a job that somebody cancelled on Flink's page.
    """

    muted = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        logger = record.name.partition(".")[0]
        if logger not in LOGGERS:
            return True
        if self.muted and logger in ("apache_beam", "PrismRunner"):
            return False
        if record.name == "PrismRunner" and record.levelno < logging.WARNING:
            return False  # Beam sets this logger's own level to Prism's
        message = record.getMessage()
        if logger == "root" and record.levelno >= logging.ERROR and JAVA_FRAME in message:
            return False
        error = record.exc_info[1] if record.exc_info else None
        reported = isinstance(error, OSError | UserError | MemoryError) or _is_connection_error(
            error
        )
        return not reported and not any(text in message for text in NOISE)


def configure_logging() -> None:
    """Shows warnings and errors on standard error from now on, without the known noise."""
    NoiseFilter.muted = False
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().handlers[0].addFilter(NoiseFilter())
    for category in (FutureWarning, SyntaxWarning):  # of Beam's own code: nobody here can act on it
        warnings.filterwarnings("ignore", category=category, module="apache_beam")
    threading.excepthook = report_thread_error


def report_thread_error(thread: threading.ExceptHookArgs) -> None:
    """Prints an error that ended a thread.

    Only the log has that of a connection that ended, or of a job that is cancelled.
    """
    if NoiseFilter.muted or _is_connection_error(thread.exc_value):
        logging.getLogger(__name__).debug("a thread ended: %s", thread.exc_value)
    else:
        threading.__excepthook__(thread)


@contextmanager
def without_noise() -> Iterator[None]:
    """The context in which the root logger leaves out the known noise: a run begun in Python."""
    noise, root = NoiseFilter(), logging.getLogger()
    root.addFilter(noise)
    try:
        yield
    finally:
        root.removeFilter(noise)
        NoiseFilter.muted = False


def mute() -> None:
    """Keeps what Beam and Prism log from the user from now on: a job that is cancelled fails."""
    NoiseFilter.muted = True


def _is_connection_error(error: BaseException | None) -> bool:
    grpc = sys.modules.get("grpc")  # without it there is no connection to lose
    return grpc is not None and isinstance(error, grpc.RpcError)
