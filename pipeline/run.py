"""Runs the job: settings, folder, source, graph, runner; progress meanwhile, a summary after."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from typing import Any, NamedTuple

import apache_beam as beam
from rich.console import Console

from model import files, learners
from model.asof import format_iso
from model.errors import UserError
from model.latest import default_latest
from model.reach import prepare_file_systems
from model.runs import RunFolder
from model.store import Store
from model.wording import format_count
from monitor.alerts import AlertWatch
from monitor.console import consoles, show_status
from pipeline import runners
from pipeline.arguments import parse
from pipeline.closing import (
    count_rejected,
    count_rejected_labels,
    print_closing,
    rejection_lines,
)
from pipeline.folder import find_folder, lock_folder, open_folder
from pipeline.graph import build
from pipeline.inputs import KnownFile, files_before, files_setting
from pipeline.integrity import check_whole
from pipeline.kafka_source import TopicRun, kafka_source, open_journal
from pipeline.label_ids import explain_orphans
from pipeline.own_source import OwnSource, call_factory, own_source
from pipeline.program import resume_command
from pipeline.progress import Progress, print_summary
from pipeline.runners import dataflow, execution, requirements
from pipeline.runners.beam_compat import outside_ipython
from pipeline.runners.cluster import root_cause
from pipeline.runners.controllers import RunController
from pipeline.runners.prism import find_prism
from pipeline.settings import OWN, Settings
from pipeline.signals import exit_code, interruptible
from pipeline.source import Span, file_source, people_source, plan_files
from pipeline.target_check import warn_of_target
from pipeline.window import Choice, choose, describe_offset
from reading import Plan
from transforms import counters
from transforms.join import drop_all_questions
from transforms.sinks.reports import retain
from transforms.sources.topic_state import STATE

Resume = Callable[[list[str]], str]
"""Gives the command with which a run goes on, of the options for that."""


def run(argv: list[str]) -> int:
    """Runs the job that a command line asks for.

    Args:
        argv: options, ours and Beam's.

    Returns:
        The exit code: 0, 1 if the job failed, 130 after Ctrl-C or 143 after SIGTERM.

    Raises:
        UserError: for what the user can put right; nothing has run then.
        KeyboardInterrupt: if it was interrupted before anything ran.
    """
    with interruptible():
        settings, beam_options = parse(argv)
        if settings.source == OWN:
            raise UserError(
                f"--source {OWN}: is the source of a run begun by run_on (docs/python.md); must be "
                "people, files, or package.module:factory of a Beam transform"
            )
        ended = run_settings(settings, beam_options, partial(resume_command, argv))
    if ended.embedded and ended.code > 128:
        exit_at_once(ended.code)
    return ended.code  # what Beam started for the job, as Prism, it ends at exit


class RunResult(NamedTuple):
    """How a run has ended.

    Attributes:
        code: its exit code.
        folder: where it has written.
        embedded: whether the job may still work in this process, if it was interrupted.
        error: why it failed, in one line, if it did.
    """

    code: int
    folder: RunFolder
    embedded: bool
    error: str | None = None


def run_settings(
    settings: Settings, beam_options: list[str], resume: Resume, own: Any = None
) -> RunResult:
    """Runs the job that settings ask for.

    Args:
        settings: all options.
        beam_options: what is passed through to Beam, as on a command line.
        resume: gives the command with which the run goes on, of the options for that.
        own: the user's source; None: the settings name it.

    Raises:
        UserError: for what the user can put right; nothing has run then.
        KeyboardInterrupt: if it was interrupted before anything ran.
    """
    dry = settings.runner == "dataflow" and dataflow.is_dry(beam_options)
    prepare_file_systems([settings.input, settings.labels, settings.output], beam_options)
    settings = at_launch(settings.model_copy(update={"resume": settings.resume and not dry}))
    runners.preflight(settings, beam_options)
    warning = learners.check(*settings.regressor, settings.width, settings.row_schema.task)
    out, err = consoles()
    show = partial(err.print, soft_wrap=True)
    # A dry run looks at no folder and writes nothing.
    folder = RunFolder(str(settings.output)) if dry else find_folder(settings)
    with ExitStack() as stack:
        if not dry:
            folder, lock = lock_folder(folder, settings)
            stack.enter_context(lock)
        counters.reset()
        STATE.begin()
        known = files_before(folder) if settings.resume else []
        planned, choice = plan_input(settings, err, known)
        settings = choice.settings
        as_given = for_source(settings, beam_options)
        source, span, topic = make_source(as_given, folder, err, planned, own, known)
        for line in span.lost:
            show(line)
        placed = settings.model_copy(update={"output": folder.path})
        runner, options = runners.make(placed, beam_options)
        stack.enter_context(outside_ipython())
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline, source, settings, folder, span)
        if isinstance(source, OwnSource) and source.latest is not None:
            settings = settings.model_copy(update={"latest": format_iso(source.latest)})
        if not dry:
            open_folder(folder, settings, files_setting(source))
            if topic is not None:
                open_journal(folder, settings, topic)
            catch_up(settings, folder, span)
        show(f"{settings.row_schema.name} -> {folder.path} ({settings.runner} runner)")
        for message in filter(None, (describe_offset(settings), warning, *choice.messages)):
            show(message)
        if settings.runner == "direct" and find_prism() is not None:
            show("windows show when the source has ended; --runner prism shows them as they close")
        launched = dataflow.launch_message(beam_options) if settings.runner == "dataflow" else None
        if launched is not None:
            if settings.webhook is not None:
                show("--webhook: nothing here waits for the job, so no alerts are posted")
            return RunResult(launch(pipeline, launched, out, err), folder, False)
        controller = runners.make_controller(settings, beam_options, folder, show)
        progress = Progress(folder, err, choice.refreshes, settings.open_clock)
        code = execute(pipeline, controller, progress, resume, out, source)
        return RunResult(code, folder, execution.is_embedded(pipeline), controller.error)


def for_source(settings: Settings, beam_options: list[str]) -> Settings:
    """The settings as the source has them.

    What a savepoint, or a job to update, holds of a stream is the whole run's, not what a
    resumed one has left.
    """
    goes_on = ("--savepoint_path", "--update")
    whole = any(requirements.option_value(beam_options, name) is not None for name in goes_on)
    return settings.model_copy(update={"resume": settings.resume and not whole})


def launch(pipeline: Any, message: str, out: Console, err: Console) -> int:
    """Launches a job that is not waited for: a template, or one that goes on by itself."""
    try:
        pipeline.run()
    except Exception as error:
        logging.getLogger(__name__).debug("the launch failed", exc_info=True)
        err.print(f"error: the job was not launched: {explain_failure(error)}", soft_wrap=True)
        return 1
    out.print(message, soft_wrap=True)
    return 0


def at_launch(settings: Settings) -> Settings:
    """The settings with what the moment of the launch decides, if nothing else has.

    A live run's people begin now. The rows of a new run on files may be at most a day ahead of its
    launch; a run of an older version that is resumed may have no such bound.
    """
    update: dict[str, Any] = {}
    if settings.live and settings.start is None:
        update["start"] = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    bounded = settings.latest is not None or (settings.resume and settings.has("latest"))
    if settings.reads_files and not bounded:
        update["latest"] = format_iso(default_latest(time.time()))
    return settings.model_copy(update=update)


def catch_up(settings: Settings, folder: RunFolder, span: Span) -> None:
    """Removes the old models of a run to resume that was ended before it came to that."""
    if span.report_from is not None:
        prune(settings, folder, before=span.report_from)


def prune(settings: Settings, folder: RunFolder, before: int | None = None) -> None:
    """Removes models that are too old to serve after the refreshes that are reported.

    When all is reported, the files of questions go, too.

    The job does so itself; one that is cancelled as soon as all is written may not come to it.

    Args:
        settings: all options.
        folder: the run's folder.
        before: only refreshes that start before count, microseconds; None: all.
    """
    if before is None and settings.row_schema.labels is not None:  # a resumed run reads them again
        drop_all_questions((folder.questions, folder.labels))
    starts = [start for start in folder.reported() if before is None or start < before]
    if settings.keep and starts:
        retain(
            *(Store(folder.models), starts, settings.keep, settings.lag),
            refused=Store(folder.refused),
        )
        files.flush()


def plan_input(
    settings: Settings, err: Console, known: Sequence[KnownFile] = ()
) -> tuple[Plan | None, Choice]:
    """Looks through the files, if there are any, with progress, and chooses the window."""
    if not settings.reads_files:
        refreshes = 0 if settings.brings_source else settings.refresh_count
        return None, Choice(settings, refreshes, ())
    with show_status(err, "looking through the files") as show:
        warn = partial(err.print, soft_wrap=True, markup=False, highlight=False)
        planned = plan_files(settings, show, known, warn)
        return planned, choose(planned, settings)


def make_source(
    settings: Settings,
    folder: RunFolder,
    err: Console,
    planned: Plan | None,
    own: Any = None,
    known: Sequence[KnownFile] = (),
) -> tuple[Any, Span, TopicRun | None]:
    """The source and what of it is read; of a topic, what was decided of it."""
    warn = partial(err.print, soft_wrap=True, markup=False, highlight=False)
    if settings.reads_topic:
        return kafka_source(settings, folder, warn)
    if settings.brings_source:
        made = own or call_factory(str(settings.source), settings.source_param, settings)
        return *own_source(made, settings, folder), None
    if planned is None:
        return *people_source(settings, folder, warn), None
    with show_status(err, "looking through the files of labels") as show:
        return *file_source(settings, folder, show, planned, known, warn), None


def execute(
    pipeline: Any,
    controller: RunController,
    progress: Progress,
    resume: Resume,
    out: Console,
    source: Any = None,
) -> int:
    """Runs a pipeline to its end, and reports how it ended; gives the exit code.

    Args:
        pipeline: the job.
        controller: how it is run.
        progress: shows how it gets on.
        resume: gives the command with which it goes on.
        out: where its last lines go.
        source: of its rows, by which orphans among labels are explained; None: they are not.
    """
    folder = controller.folder
    enable_garbage_collection()
    hook = controller.settings.webhook
    show = partial(progress.console.print, soft_wrap=True)
    watch = AlertWatch(folder, show, None if hook is None else hook.get_secret_value())
    controller.on_abandon = progress.abandon
    stopped: BaseException | None = None
    with watch:
        try:
            with progress:
                execution.run_to_end(pipeline, controller)
                check_whole(folder)
                progress.state = "drained" if controller.draining else "done"
        except KeyboardInterrupt as error:
            stopped = error
            controller.on_give_up()
            progress.end(error)  # which may not have begun, or not ended
        except Exception as error:
            stopped = error
            progress.end(error)
            logging.getLogger(__name__).debug("the job failed", exc_info=True)
    if progress.state == "failed":
        assert stopped is not None
        controller.error = f"the job failed: {explain_failure(stopped)}"
        show(f"error: {controller.error}")
        show(f"what was complete stays in {folder.path}; go on with:")
        show(resume(controller.resume_options))
        return 1
    print_summary(folder, out, controller.settings.open_clock)
    if progress.state == "interrupted":
        reported = len(folder.reported())
        are = f"{format_count(reported, 'refresh')} {'is' if reported == 1 else 'are'}"
        show(f"interrupted: {are} complete in {folder.path}; go on with:")
        show(resume(controller.resume_options))
        return exit_code(stopped)
    prune(controller.settings, folder)
    rejected = count_rejected(folder, progress, controller.settings.resume)
    labels = count_rejected_labels(folder)
    print_closing(folder, progress, out, rejected, labels)
    if controller.draining:
        out.print("drained; go on with:")
        out.print(resume(controller.resume_options), soft_wrap=True)
    most, code = controller.settings.max_rejected, 0
    for each in (rejected, labels):
        lines = list(rejection_lines(each, most))
        for line in lines:
            show(line)
        if each.share > most and not code:
            controller.error = lines[0].removeprefix("error: ").removesuffix(":")
            code = 1
    schema, clock = controller.settings.row_schema, controller.settings.open_clock
    if controller.settings.brings_source:
        for line in warn_of_target(folder, schema):
            show(line)
    for line in explain_orphans(folder, source, schema, clock):
        show(line)
    return code


GARBAGE = 100_000
"""How many objects are made before garbage is collected."""


def enable_garbage_collection() -> None:
    """Collects garbage from here on, if ``__main__`` has put that off.

    What is there now is Beam and the graph, which stay: it is never looked through.
    """
    if not gc.isenabled():
        gc.freeze()
        # Of 10,000 records read at once none is garbage: by Python's 700 they were looked through
        # dozens of times, which took half of the time in which a topic is read.
        gc.set_threshold(GARBAGE, 20, 20)
        gc.enable()


def explain_failure(error: BaseException) -> str:
    """Why a job failed, in one line: the first error that was raised in it."""
    while error.__cause__ is not None:
        error = error.__cause__
    message = root_cause(str(error))  # Flink's is a stack trace
    # Beam's own RuntimeError repeats the error with its name
    return message if type(error) is RuntimeError else f"{type(error).__name__}: {message}"


def exit_at_once(code: int) -> None:
    """Ends this process at once: a runner's threads would go on to the end of their work.

    Every file of the run is written whole or not at all, so nothing is left half done.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
