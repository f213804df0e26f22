"""``python -m pipeline watch OUTPUT``: a run's live table, in a terminal.

All of it comes from the run's folder, so it shows a run on any runner, while it goes on and
afterwards. ``follower`` reads what is new, ``status`` the run's state; ``watched`` puts
both together. ``figures`` makes text, ``table`` and ``view`` the picture, at any
width and height. ``command`` is the command line. ``python -m pipeline`` shows the same picture
while it works (``pipeline.progress``).
"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0, 1 if the run did not end well, or 130 after Ctrl-C.

    Raises:
        UserError: for a folder that holds no run, or a file of it that is not what a run writes.
    """
    from monitor.watch.command import run  # here, since pipeline.progress needs the picture alone

    return run(argv)
