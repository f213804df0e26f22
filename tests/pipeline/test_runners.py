"""Runners: what each is refused, and how Beam is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from model.errors import UserError
from pipeline import runners
from tests.pipeline.job import Job, made

FILES = {"input": "a.csv", "schema_file": "s.toml"}


@pytest.mark.parametrize(
    ("words", "way_out"),
    [(["--live"], "leave --live out"), (["--windows", "0"], "--windows N")],
)
def test_the_embedded_runner_refuses_what_never_ends_and_names_the_way_out(
    words: list[str], way_out: str, job: Job
) -> None:
    told = job.refused(*words, "--runner", "direct", "--output", "o")
    assert told.startswith(f"{' '.join(words)} needs a runner that streams")
    assert told.endswith(f"use --runner prism, or {way_out}")
    assert not Path("o").exists()


@pytest.mark.parametrize("runner", ["prism", "flink", "dataflow"])
def test_a_runner_that_streams_is_refused_nothing(runner: str) -> None:
    runners.preflight(made(runner=runner, live=True, windows=0), [])


def test_files_end_by_themselves_so_windows_0_is_no_matter() -> None:
    runners.preflight(made(**FILES, windows=0), [])
    runners.preflight(made(**FILES), [])
    with pytest.raises(UserError):
        runners.preflight(made(windows=0), [])


def test_the_embedded_runner_is_the_fn_api_runner_itself_and_does_not_stream() -> None:
    runner, options = runners.make(made(), ["--direct_num_workers=2"])
    assert type(runner) is FnApiRunner
    assert options.view_as(StandardOptions).streaming is False
    assert options.view_as(DirectOptions).direct_num_workers == 2


@pytest.mark.parametrize(
    ("name", "beams"),
    [("prism", "PrismRunner"), ("flink", "PortableRunner"), ("dataflow", "DataflowRunner")],
)
def test_other_runners_are_named_to_beam_and_stream(name: str, beams: str) -> None:
    runner, options = runners.make(made(runner=name), [])
    assert runner == beams
    assert options.view_as(StandardOptions).streaming is True
