"""``python -m pipeline report OUTPUT``: a run as one HTML file, whole in itself.

``command`` is the command line; ``history``, ``points``, ``rejects``, ``columns`` and
``artefacts`` read the run's folder; ``pictures`` draw; ``page`` puts it together.
"""

from monitor.report.command import main

__all__ = ["main"]
