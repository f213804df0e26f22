"""Dataflow: Google's service for Beam jobs (``deploy/dataflow/README.md``).

Runner v2 and the streaming engine need no words here: Beam 2.77 asks for both with every
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
from pipeline.runners.needs import Need, value_of, with_defaults
from pipeline.settings import Settings

ASKED = "--runner dataflow"
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


def is_dry(words: list[str]) -> bool:
    """Whether Beam's words only describe the job; any value of ``--dry_run`` does, to Beam."""
    return value_of(words, "--dry_run") is not None


def told_at_launch(words: list[str]) -> str | None:
    """What is told of a job that is not waited for; None of one that is.

    There is none to wait for after a dry run or with a template, or it shall go on by itself.
    """
    template = value_of(words, "--template_location")
    if is_dry(words):
        return "dry run: the job can be made; nothing runs, the run folder was not touched"
    if template is not None:
        return f"template: {template}"
    if value_of(words, "--no_wait_until_finish") is not None:
        return "the job goes on by itself"
    return None


def needs(settings: Settings, words: list[str]) -> Iterator[Need]:
    """What Dataflow needs for a job; the same for a dry run and a template of it."""
    yield _beam_for_google()
    for name, way_out in REQUIRED:
        yield _given(name, words, way_out)
    yield from _folders(words)
    yield _names(words_for(settings, words))
    yield _shared("--output", settings.output, "gs://my-bucket/runs/a")
    if settings.reads_files:
        yield _shared("--input", settings.input, "'gs://my-bucket/in/*.parquet'")
    yield _package(words)


def words_for(settings: Settings, words: list[str]) -> list[str]:
    """Beam's options for a job on it: those that are given, and our defaults for the rest.

    That is a name that the run's folder decides, so that an update finds its job and two jobs
    do not write into one folder; and this project's code.
    """
    defaults = {}
    if settings.output is not None:
        defaults["--job_name"] = job_name(settings.output)
    if value_of(words, "--save_main_session") is None:
        defaults["--no_save_main_session"] = ""  # here Beam would, and all is in modules
    if not _brings_package(words) and (path := setup_file()) is not None:
        defaults["--setup_file"] = path
    return with_defaults(words, defaults)


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


def _beam_for_google() -> Need:
    what = "Beam's part for Google Cloud"
    try:
        there = find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:  # google.cloud itself is not there
        there = False
    if there:
        return Need(what)
    python = shlex.quote(sys.executable)
    lacks = f"{ASKED}: Beam's part for Google Cloud is not installed"
    return Need(what, lacks, f"{python} -m pip install 'apache-beam[gcp]=={version.__version__}'")


def _given(name: str, words: list[str], way_out: str) -> Need:
    if value_of(words, name) is None:
        return Need(name, f"{ASKED}: {name} is missing", way_out)
    return Need(name)


def _folders(words: list[str]) -> Iterator[Need]:
    options = PipelineOptions(words).view_as(GoogleCloudOptions)
    validator = PipelineOptionsValidator(options, runner=None)
    for name in ("temp_location", "staging_location"):
        what = f"--{name} in a bucket"
        if getattr(options, name) is None:
            continue
        errors = validator.validate_gcs_path(options, name)
        way_out = f"a folder in a bucket is allowed, as --{name} gs://my-bucket/tmp"
        yield Need(what, f"{ASKED}: {errors[0].rstrip('.')}", way_out) if errors else Need(what)


def _names(words: list[str]) -> Need:
    """Beam checks the same, but after the run's folder has been written."""
    what = "names that Dataflow takes"
    options = PipelineOptions(words, streaming=True).view_as(GoogleCloudOptions)
    errors = PipelineOptionsValidator(options, runner=None).validate_cloud_options(options)
    if not errors:
        return Need(what)
    way_out = "deploy/dataflow/README.md shows what it takes"
    return Need(what, f"{ASKED}: {errors[0].rstrip('.')}", way_out)


def _shared(name: str, path: str | None, example: str) -> Need:
    what = f"{name} where its workers reach it"
    if path is not None and not files.is_local(path):
        return Need(what)
    lacks = f"{ASKED}: {name} is missing"
    if path is not None:
        lacks = f"{name} {path}: is on this machine, where Dataflow's workers do not reach it"
    return Need(what, lacks, f"give a place in a bucket, as {name} {example}")


def _brings_package(words: list[str]) -> bool:
    return any(value_of(words, name) is not None for name in BRINGS_PACKAGE)


def _package(words: list[str]) -> Need:
    what = "this project's code for its workers"
    if _brings_package(words) or setup_file() is not None:
        return Need(what)
    return Need(
        what,
        f"{ASKED}: there is no setup.py beside the package to build it from for the workers",
        "give an image that has it, as --sdk_container_image IMAGE, or --setup_file PATH/setup.py",
    )
