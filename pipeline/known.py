"""What Beam says and nobody can act on: it is kept from the user.

The command line listens to Beam's log through ``Known``. Beam's threads for a connection, which
end with it, and its workers, which print what they log too, are quieted beside it.
"""

from __future__ import annotations

import logging
import threading
import warnings

import grpc
from apache_beam.runners.worker import sdk_worker

from model.errors import UserError

QUIET = (
    *("apitools not found", "Could not import torch", "Resource module is not available"),
    *("Unparseable argument", "Job was cancelled", "not in a finalizable state"),
    "Channel closed prematurely",  # a bundle whose connection ended
    "transforms.coders.OtherVersion: ",  # told of in one line
)


class Known(logging.Filter):
    """Leaves out what Beam says at every start and nobody can act on.

    And the traceback of what is told of in one line (a full disk, a file that has changed), or
    of a connection that ended: a job on Flink is restarted then, which is told of too.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        error = record.exc_info[1] if record.exc_info else None
        told = isinstance(error, OSError | UserError | grpc.RpcError)
        return not told and not any(text in record.getMessage() for text in QUIET)


def listen() -> None:
    """Shows warnings and errors on standard error from now on, without what is known."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().handlers[0].addFilter(Known())
    warnings.filterwarnings("ignore", module="apache_beam")
    threading.excepthook = ended
    vars(sdk_worker)["print"] = unsaid


def ended(thread: threading.ExceptHookArgs) -> None:
    """Tells of an error that ended a thread; of a connection that ended only the log."""
    if isinstance(thread.exc_value, grpc.RpcError):
        logging.getLogger(__name__).debug("a connection ended: %s", thread.exc_value)
    else:
        threading.__excepthook__(thread)


def unsaid(*text: object, file: object = None) -> None:
    """Prints nothing: what a worker prints, the traceback of a bundle that failed, it logs too."""
