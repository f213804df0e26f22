"""``python -m pipeline check``: which runners can carry a job here, and what the others lack.

The requirements are those by which a run is refused (``pipeline.runners``), so both say the same.
On one runner, named by ``--runner``, a small job is run too: only windows that come out prove
that windows fire there. It is a process of its own, since that can be ended on every runner.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model import files, learners
from model.runs import RunFolder
from model.wording import format_count
from monitor.console import consoles, show_status
from monitor.program import as_called
from pipeline import runners
from pipeline.arguments import parse
from pipeline.category_check import describe_categories
from pipeline.folder import RUNS, TRIAL, clear
from pipeline.label_check import check_labels
from pipeline.runners import requirements
from pipeline.runners.requirements import Requirement
from pipeline.settings import Settings
from pipeline.target_check import check_target_rows
from pipeline.topic_check import describe_topic
from pipeline.waiting import describe_wait, warn_of_wait

HELP = """\
usage: python -m pipeline check [options] [Beam options]

Show for each runner whether it can run this job here, what is missing and how to get it.
With --runner X: look at that one, and run two small windows of synthetic people on it.

The options are the job's: see python -m pipeline --help. The exit code is 0 if the runner
(without --runner: any) can, else 1.

examples:
  python -m pipeline check                              a table of all runners
  python -m pipeline check --live                       which can run it live?
  python -m pipeline check --runner flink               with a trial of two windows
"""
LIMIT = 120
"""Maximum number of seconds of a trial."""
WINDOW = 2
"""Length of a trial's windows, seconds."""
POLL = 0.2
CANCEL_SECONDS = 60.0
"""Maximum number of seconds in which a trial's job ends when it is cancelled.

A job on Flink may have to start first."""
TRIAL_OPTIONS = ("--learner", "ridge", "--rate", "100", "--window", str(WINDOW))
NOT_TRIED = ("--savepoint_path", "--job_name")
"""Options of Beam's that name one run: a trial is another."""
NO_TRIAL = "no trial: only Google's service can run it; --dry_run=True checks the job's graph"
REMARKS = {
    "direct": ("it shows windows only when its source ends", "--runner prism, if that matters"),
    "prism": ("it keeps all in memory: no crash is survived", "--resume goes on from the folder"),
    "flink": ("its workers are in the launcher, which stays", "--environment_type EXTERNAL"),
    "dataflow": ("only Google's service can try it", "--dry_run=True checks the job's graph"),
}
"""What to know of a runner that can, and what to do about it."""


class Row(NamedTuple):
    """A line of the table of all runners: whether a runner can, and one reason why (not)."""

    can: str
    why: str = ""
    remedy: str = ""


class Trial(NamedTuple):
    """How a trial ended.

    Attributes:
        fired: whether two windows came out, the second scored by the model of the first.
        message: how, in a line.
    """

    fired: bool
    message: str


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0 if the runner that is chosen, on the command line or in its ``--config`` file, can
        carry the job; without one, if any can. Else 1.

    Raises:
        UserError: for what is wrong on every runner: an option, the schema, the learner.
    """
    if {"-h", "--help"} & set(argv):
        print(as_called(HELP), end="")
        return 0
    settings, beam_options = parse(argv)
    assert settings.row_schema
    warning = learners.check(*settings.regressor, settings.width, settings.row_schema.task)
    chosen = "runner" in settings.model_fields_set
    out, err = consoles()
    if warning is not None:
        err.print(warning, soft_wrap=True)
    apart = settings.row_schema.labels is not None
    clock = settings.open_clock
    warnings: tuple[str, ...] = ()
    if apart and settings.reads_files:
        with show_status(err, "looking through the files") as show:
            found = check_labels(settings, beam_options, show)
        clock, warnings = found.settings.open_clock, found.warnings
    if clock is not None and clock.every:  # with --window auto it is not known yet
        out.print(describe_wait(clock, apart), soft_wrap=True)
        for warning in filter(None, (warn_of_wait(clock, apart), *warnings)):
            err.print(warning, soft_wrap=True)
    if settings.reads_topic:
        for line in describe_topic(settings):
            out.print(line, soft_wrap=True)
    if settings.reads_files:
        if not apart:  # else the files have been looked through
            warn = partial(err.print, soft_wrap=True, markup=False, highlight=False)
            check_target_rows(settings, warn)
        for line in describe_categories(settings):
            out.print(line, soft_wrap=True)
    return (show_one if chosen else show_all)(settings, beam_options, out, err)


def show_all(settings: Settings, beam_options: list[str], out: Console, err: Console) -> int:
    """Shows all runners."""
    table = _table("runner", "can it?", "what is missing, or to know", "what to do")
    able = False
    with show_status(err, "looking at the runners"):
        for name in runners.RUNNERS:
            found = list(rows(settings.model_copy(update={"runner": name}), beam_options))
            able |= found[0].can != "no"
            for number, row in enumerate(found):
                first = ("", "") if number else (name, _colour(row.can))
                table.add_row(*first, row.why, row.remedy)
    out.print(table)
    return 0 if able else 1


def rows(settings: Settings, beam_options: list[str]) -> Iterator[Row]:
    """The lines of a runner: what it lacks; or, if that is nothing, what to know of it."""
    unmet = [one for one in runners.requirements_of(settings, beam_options) if not one.met]
    for one in unmet:
        yield Row("no", one.problem, one.remedy)
    if unmet:
        return
    workers = requirements.option_value(beam_options, "--environment_type") or "LOOPBACK"
    if settings.runner == "flink" and workers.upper() != "LOOPBACK":
        yield Row("yes")
    else:
        yield Row("yes, but", *REMARKS[settings.runner])


def show_one(settings: Settings, beam_options: list[str], out: Console, err: Console) -> int:
    """Shows what one runner needs; if it has all, tries it."""
    with show_status(err, f"looking at {settings.runner}"):
        required = merge(runners.requirements_of(settings, beam_options))
    table = _table(f"{settings.runner} needs", "here?", "what is missing", "what to do")
    for one in required:
        table.add_row(one.what, _colour("yes" if one.met else "no"), one.problem, one.remedy)
    out.print(table)
    if not all(one.met for one in required):
        return 1
    if settings.runner == "dataflow":
        out.print(NO_TRIAL, soft_wrap=True)
        return 0
    began = time.monotonic()
    fired, message = trial(settings, beam_options, err)
    out.print(f"trial: {message} ({time.monotonic() - began:.0f} s)", soft_wrap=True)
    return 0 if fired else 1


def merge(requirements: Iterable[Requirement]) -> list[Requirement]:
    """Requirements by what they are of: all that are not met, or one that is."""
    by_thing: dict[str, list[Requirement]] = {}
    for one in requirements:
        by_thing.setdefault(one.what, []).append(one)
    return [
        one
        for found in by_thing.values()
        for one in ([unmet for unmet in found if not unmet.met] or found[:1])
    ]


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(titles[0])
    table.add_column(titles[1], no_wrap=True)
    for title in titles[2:]:
        table.add_column(title, overflow="fold")
    return table


def _colour(can: str) -> Text:
    return Text(can, style={"yes": "green", "no": "red"}.get(can, "yellow"))


def trial(settings: Settings, beam_options: list[str], err: Console) -> Trial:
    """Runs a small job on a runner, until two of its windows are reported.

    On a runner that streams it is a live one, whose source goes on for longer than ``LIMIT``:
    a window that is reported has fired while the source was running.
    """
    live = ("--live", "--refreshes", str(LIMIT // WINDOW + 2))
    stream = ("--refreshes", "2") if settings.runner == "direct" else live
    shared = ["--shared"] if settings.shared else []
    with trial_folder(settings) as folder, tempfile.TemporaryFile("w+") as output:
        place = ("--runner", settings.runner, "--output", folder.path)
        argv = (*TRIAL_OPTIONS, *stream, *shared, *place)
        err.print(f"trial: windows of {WINDOW} s of synthetic people on {settings.runner} ...")
        with process([*argv, *without(beam_options, *NOT_TRIED)], output) as running:
            ended = watch(running, folder, output, err)
    meanwhile = ", while the source went on" if ended.fired and stream is live else ""
    return Trial(ended.fired, ended.message + meanwhile)


def watch(
    running: subprocess.Popen[str], folder: RunFolder, output: IO[str], err: Console
) -> Trial:
    """Waits until two windows of a trial are reported, it has ended, or its time is up."""
    began = time.monotonic()
    with show_status(err, "waiting for its windows") as show:
        while time.monotonic() < began + LIMIT:
            over = running.poll() is not None  # before the look at what it wrote
            if has_fired(folder):
                return Trial(True, "two windows fired, the second scored by the first one's model")
            if over:
                return Trial(False, f"the job ended before two windows had fired: {last(output)}")
            number = len(folder.reported())
            show(f"{time.monotonic() - began:5.0f} s  {format_count(number, 'window')} reported")
            time.sleep(POLL)
    return Trial(False, f"no two windows fired within {LIMIT} s; the job is cancelled")


def has_fired(folder: RunFolder) -> bool:
    """Whether a window is reported that the model of the window before it has scored."""
    return any(
        after.scored and after.model == _name(before.refresh_end)
        for before, after in pairwise(folder.reports())
    )


def _name(moment: str) -> str:
    return moment.replace("-", "").replace(":", "")


@contextmanager
def process(argv: list[str], output: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The job in a process of its own; it is cancelled, as by Ctrl-C, when the context ends.

    Args:
        argv: the job's options.
        output: where its messages go.
    """
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        running = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *argv],
            # Beam leaves temporary folders of its own
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": temporary},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            text=True,
            start_new_session=True,  # Ctrl-C comes here, and reaches it once
        )
        try:
            yield running
        finally:
            end(running)


def end(running: subprocess.Popen[str]) -> None:
    """Ends a job's process: as by Ctrl-C, and if it goes on, at once."""
    if running.poll() is not None:
        return
    running.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        running.wait(CANCEL_SECONDS)
    if running.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)  # with what it started, as Prism
        running.wait()


@contextmanager
def trial_folder(settings: Settings) -> Iterator[RunFolder]:
    """An empty folder that the runner's workers reach; it is removed when the context ends.

    It stands beside the run's own, if that is where workers elsewhere reach it.
    """
    made = tempfile.mkdtemp(prefix=TRIAL)
    beside = settings.shared or not files.is_local(settings.output or "")
    stem = f"{settings.output.rstrip('/')}-" if settings.output else f"{RUNS}/"
    folder = RunFolder(stem + Path(made).name if beside else made)
    try:
        yield folder
    finally:
        clear(folder)
        for path in (made, folder.path):
            shutil.rmtree(path, ignore_errors=True)


def without(beam_options: list[str], *names: str) -> list[str]:
    """Beam's options without some.

    Example:
        >>> without(["--job_name", "a", "--parallelism=2"], "--job_name")
        ['--parallelism=2']
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in names:
        parser.add_argument(name, nargs="?")
    return parser.parse_known_args(beam_options)[1]


def last(output: IO[str]) -> str:
    """The last error among a job's messages, or its last message."""
    output.seek(0)
    lines = [line.strip() for line in output if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or ["no message"])[-1].removeprefix("error: ")
