"""Dataflow: Google's service for Beam jobs (``deploy/dataflow/README.md``).

Runner v2 and the streaming engine need no option here: Beam 2.77 asks for both with every
streaming job.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path, PurePath

from apache_beam import version
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from model import files
from pipeline.runners.requirements import Requirement, add_defaults, option_value
from pipeline.settings import Settings

OPTION = "--runner dataflow"
REQUIRED = (
    ("--project", "the project that pays, as --project my-project"),
    ("--region", "where the workers are, as --region europe-west1"),
    ("--temp_location", "a folder in a bucket, as --temp_location gs://my-bucket/tmp"),
)
BRINGS_PACKAGE = ("--setup_file", "--sdk_container_image", "--worker_harness_container_image")
"""Options that bring this project's code to the workers."""


def setup_file() -> str | None:
    """The ``setup.py`` beside this package, from which Beam builds it; None without one."""
    found = Path(__file__).parents[2] / "setup.py"
    return str(found) if found.is_file() else None


def is_dry(beam_options: list[str]) -> bool:
    """Whether the job is only described: Beam takes any value of ``--dry_run`` for that."""
    return option_value(beam_options, "--dry_run") is not None


def launch_message(beam_options: list[str]) -> str | None:
    """The message at the launch of a job that is not waited for; None for one that is.

    Nothing is waited for after a dry run, with a template, or with ``--no_wait_until_finish``.
    """
    template = option_value(beam_options, "--template_location")
    if is_dry(beam_options):
        return "dry run: the job can be made; nothing runs, the run folder was not touched"
    if template is not None:
        return f"template: {template}"
    if option_value(beam_options, "--no_wait_until_finish") is not None:
        return "the job goes on by itself"
    return None


def requirements(settings: Settings, beam_options: list[str]) -> Iterator[Requirement]:
    """What Dataflow requires; the same for a dry run and a template."""
    yield _beam_for_google()
    for name, remedy in REQUIRED:
        yield _require_option(name, beam_options, remedy)
    yield from _folders(beam_options)
    yield _names(beam_options_for(settings, beam_options))
    yield _require_shared("--output", settings.output, "gs://my-bucket/runs/a")
    if settings.reads_files:
        yield _require_shared("--input", settings.input, "'gs://my-bucket/in/*.parquet'")
    yield _package(beam_options)


def beam_options_for(settings: Settings, beam_options: list[str]) -> list[str]:
    """Beam's options for a job on it: those that are given, and our defaults for the rest.

    That is a name that the run's folder decides, so that an update finds its job and two jobs
    do not write into one folder; and this project's code.
    """
    defaults = {}
    if settings.output is not None:
        defaults["--job_name"] = job_name(settings.output)
    if option_value(beam_options, "--save_main_session") is None:
        defaults["--no_save_main_session"] = ""  # here Beam would, and all is in modules
    if not _brings_package(beam_options) and (path := setup_file()) is not None:
        defaults["--setup_file"] = path
    return add_defaults(beam_options, defaults)


def job_name(output: str) -> str:
    """The name of the job that writes into a folder.

    Example:
        >>> job_name("gs://my-bucket/runs/A_1")
        'correnteza-a-1-42b218d0'
    """
    path = output.rstrip("/")
    last = re.sub("[^a-z0-9]+", "-", PurePath(path).name.lower()).strip("-")
    digest = hashlib.sha256(path.encode()).hexdigest()[:8]
    return "-".join(part for part in ("correnteza", last, digest) if part)


def _beam_for_google() -> Requirement:
    what = "Beam's part for Google Cloud"
    try:
        there = find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:  # google.cloud itself is not there
        there = False
    if there:
        return Requirement(what)
    python = shlex.quote(sys.executable)
    problem = f"{OPTION}: Beam's part for Google Cloud is not installed"
    return Requirement(
        what, problem, f"{python} -m pip install 'apache-beam[gcp]=={version.__version__}'"
    )


def _require_option(name: str, beam_options: list[str], remedy: str) -> Requirement:
    if option_value(beam_options, name) is None:
        return Requirement(name, f"{OPTION}: {name} is missing", remedy)
    return Requirement(name)


def _folders(beam_options: list[str]) -> Iterator[Requirement]:
    options = PipelineOptions(beam_options).view_as(GoogleCloudOptions)
    validator = PipelineOptionsValidator(options, runner=None)
    for name in ("temp_location", "staging_location"):
        what = f"--{name} in a bucket"
        if getattr(options, name) is None:
            continue
        errors = validator.validate_gcs_path(options, name)
        remedy = f"must be a folder in a bucket, as --{name} gs://my-bucket/tmp"
        yield (
            Requirement(what, f"{OPTION}: {errors[0].rstrip('.')}", remedy)
            if errors
            else Requirement(what)
        )


def _names(beam_options: list[str]) -> Requirement:
    """Beam checks the same, but after the run's folder has been written."""
    what = "names that Dataflow takes"
    options = PipelineOptions(beam_options, streaming=True).view_as(GoogleCloudOptions)
    errors = PipelineOptionsValidator(options, runner=None).validate_cloud_options(options)
    if not errors:
        return Requirement(what)
    remedy = "deploy/dataflow/README.md shows what it takes"
    return Requirement(what, f"{OPTION}: {errors[0].rstrip('.')}", remedy)


def _require_shared(name: str, path: str | None, example: str) -> Requirement:
    what = f"{name} where its workers reach it"
    if path is not None and not files.is_local(path):
        return Requirement(what)
    problem = f"{OPTION}: {name} is missing"
    if path is not None:
        problem = f"{name} {path}: is on this machine, where Dataflow's workers do not reach it"
    return Requirement(what, problem, f"give a place in a bucket, as {name} {example}")


def _brings_package(beam_options: list[str]) -> bool:
    return any(option_value(beam_options, name) is not None for name in BRINGS_PACKAGE)


def _package(beam_options: list[str]) -> Requirement:
    what = "this project's code for its workers"
    if _brings_package(beam_options) or setup_file() is not None:
        return Requirement(what)
    return Requirement(
        what,
        f"{OPTION}: there is no setup.py beside the package to build it from for the workers",
        "give an image that has it, as --sdk_container_image IMAGE, or --setup_file PATH/setup.py",
    )
