"""What works around Beam: one place, each piece with its reason, its version and its canary.

Each piece is for the Beam versions in ``VERSIONS``; with another one a warning is logged when this
module is imported. For each there is a *canary* in ``tests/pipeline/test_beam_compat.py``: a test
that runs Beam without the piece, and fails with "delete ..." as soon as Beam does not need it.

| piece | upstream |
|---|---|
| ``group_by_window`` | none found; the trigger driver came with apache/beam#13985 |
| ``CachedOptions`` | none found; apache/beam#26034 is near |
| ``outside_ipython`` | none found; the look for IPython came with apache/beam#10276 |
| ``silence_worker_prints`` | apache/beam#5020, closed without a change |
| ``programs_in_own_session`` | none found; apache/beam#34748 is near |
| ``_one_worker`` in ``direct.py``: a refusal | apache/beam#19842 |
| ``transforms/object_store.py``: references on the embedded runner | none found |
"""

from __future__ import annotations

import argparse
import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.worker import sdk_worker
from apache_beam.transforms.trigger import GeneralTriggerDriver
from apache_beam.utils import interactive_utils, subprocess_server
from typing_extensions import override

from model.errors import UserError

VERSIONS = ("2.77",)
"""The Beam versions for which these pieces are written, and with which they are tested."""

View = TypeVar("View", bound=PipelineOptions)


def describe_unsupported(version: str) -> str | None:
    """What to log where this version of Beam is installed; None if all is written for it.

    Example:
        >>> describe_unsupported("2.77.0"), describe_unsupported("2.78.0.dev0")[:24]
        (None, 'Beam 2.78.0.dev0 is inst')
    """
    if ".".join(version.split(".")[:2]) in VERSIONS:
        return None
    return (
        f"Beam {version} is installed, but this program is tested with {', '.join(VERSIONS)} only: "
        f"install it with: pip install 'apache-beam=={VERSIONS[-1]}.*'"
    )


if (_problem := describe_unsupported(beam.__version__)) is not None:
    logging.getLogger(__name__).warning(_problem)


@contextmanager
def group_by_window() -> Iterator[None]:
    """Has the embedded runner group in time that is linear in the windows, not quadratic.

    Beam 2.77 groups there as if all windows might merge (``GeneralTriggerDriver.is_merging`` is
    true, whatever the window function says): for each window that ends it goes through all windows
    of the key. 10,000 windows took 234 seconds so, and 48 without.
    """
    plain = GeneralTriggerDriver.__init__

    def init(self: Any, windowing: Any, clock: Any) -> None:
        plain(self, windowing, clock)
        self.is_merging = windowing.windowfn.is_merging()

    GeneralTriggerDriver.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        GeneralTriggerDriver.__init__ = plain  # type: ignore[method-assign]


class CachedOptions(PipelineOptions):
    """``PipelineOptions`` whose views are made once.

    Beam asks for 500 views while it builds the job's graph, and parses all options for each: a
    tenth of the time from the command to the first batch. What is set in one view shows in all.

    Example:
        >>> from apache_beam.options.pipeline_options import StandardOptions
        >>> options = CachedOptions(["--streaming"])
        >>> options.view_as(StandardOptions).streaming
        True
    """

    @override
    def view_as(self, cls: type[View]) -> View:
        """The view of that class; the same one each time."""
        # By vars(): __setattr__ of PipelineOptions takes every attribute for an option.
        views: dict[type, PipelineOptions] = vars(self).setdefault("views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view = views[cls]
        assert isinstance(view, cls)
        return view


@contextmanager
def outside_ipython() -> Iterator[None]:
    """Has Beam take this for no IPython session.

    At each step that is applied it tries to import IPython: where that is not installed Python
    searches all of its path again, 3.5 ms each time. In a session it imports its dataframes, for
    the steps' labels, which fails with pandas 3 (``pandas.DataFrame`` has no ``first`` any more;
    Beam 2.77 asks for pandas < 2.4).
    """
    before = interactive_utils.is_in_ipython, beam.pipeline.is_in_ipython
    interactive_utils.is_in_ipython = beam.pipeline.is_in_ipython = lambda: False
    try:
        yield
    finally:
        interactive_utils.is_in_ipython, beam.pipeline.is_in_ipython = before


def silence_worker_prints() -> None:
    """Keeps Beam's worker from printing the traceback of a failed bundle: it logs it as well.

    For good: after an interrupt a worker's thread may fail later than the run has ended.
    """
    vars(sdk_worker)["print"] = _print_nothing


def _print_nothing(*text: object, file: object = None) -> None:
    """Stands in for ``print``."""


@contextmanager
def programs_in_own_session() -> Iterator[None]:
    """Has Beam start programs, as Prism, out of reach of the terminal's Ctrl-C.

    The terminal sends it to all processes of this one's group: Prism would end at once, and
    nothing could be drained, or cancelled without a traceback. Prism ends with this process, by
    the pipe between them, however that ends.
    """
    before = vars(subprocess_server)["subprocess"]
    names = {name: getattr(subprocess, name) for name in subprocess.__all__}
    names["Popen"] = partial(subprocess.Popen, start_new_session=True)
    vars(subprocess_server)["subprocess"] = SimpleNamespace(**names)
    try:
        yield
    finally:
        vars(subprocess_server)["subprocess"] = before


class BeamParser(argparse.ArgumentParser):
    """A parser of all of Beam's options, which Beam itself parses class by class.

    Its errors are ``UserError``.

    Attributes:
        names: all options, as ``--job_name``.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        super().__init__(add_help=False, allow_abbrev=False)
        for kind in PipelineOptions.__subclasses__():
            try:
                kind._add_argparse_args(self)  # type: ignore[arg-type]  # as Beam's own parser does
            except argparse.ArgumentError:
                continue  # two of Beam's classes may name the same option

    @override
    def add_argument(self, *names: Any, **given: Any) -> argparse.Action:
        action = super().add_argument(*names, **given)
        self.names += action.option_strings
        return action

    @override
    def error(self, message: str) -> NoReturn:
        raise UserError(message)
