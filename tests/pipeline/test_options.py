"""Beam's options, whose views are made once."""

from __future__ import annotations

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, StandardOptions

from pipeline.runners.options import Options

WORDS = ["--job_name", "a", "--streaming", "--experiments", "x", "--of_nobody", "1"]


def test_a_view_says_what_beams_own_view_says() -> None:
    ours, beams = Options(WORDS), PipelineOptions(WORDS)
    for kind in (*PipelineOptions.__subclasses__(), PipelineOptions):
        mine = ours.view_as(kind).get_all_options()
        assert mine == beams.view_as(kind).get_all_options()
        assert ours.view_as(kind) is ours.view_as(kind)


def test_what_is_set_in_a_view_shows_in_all_and_in_the_whole() -> None:
    options = Options([])
    options.view_as(SetupOptions)
    options.view_as(StandardOptions).streaming = True
    assert options.view_as(StandardOptions).streaming
    assert options.view_as(SetupOptions).view_as(StandardOptions).streaming
    assert options.get_all_options()["streaming"]


def test_two_options_share_no_view() -> None:
    assert Options(["--streaming"]).view_as(StandardOptions).streaming
    assert not Options([]).view_as(StandardOptions).streaming
