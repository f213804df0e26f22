"""A run goes on with ``--resume --output FOLDER`` alone: its options are in the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from model.runs import RunFolder
from pipeline.arguments import parse
from pipeline.folder import settings_content
from pipeline.resuming import complete
from pipeline.settings import Settings, settings_from
from tests.kit.job import GOOD, HEADER, SCHEMA, SMALL, Job, content, metrics

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "window": st.sampled_from(["2m", "10m", 240]),
        "every": st.sampled_from(["60", "30s"]),
        "latency": st.sampled_from(["10", "15s", "500ms"]),  # of 10m, and that is the most
        "refreshes": st.integers(0, 99),
        "rate": st.sampled_from([0.5, 100]),
        "start": st.sampled_from(["2026-03-01", "2026-03-01T01:00:00+01:00"]),
        "people": st.just("original"),
        "live": st.just(True),
        "learner": st.sampled_from(["ridge", "boosting"]),
        "learner_param": st.just({"alpha": 2.5, "name": "a"}),
        "drift_psi": st.sampled_from(["none", "0.1"]),
        "min_rows": st.integers(1, 99),
        "gate": st.sampled_from(["auto", "none"]),
        "latest": st.just("2027-01-01"),
        "lag": st.integers(1, 9),
        "keep": st.integers(0, 9),
        "seed": st.integers(0, 99),
        "people_delay": st.just("0..5m"),
        "offset": st.sampled_from([0, 10]),
    },
)


@examples(max_examples=50, deadline=None)
@given(options=OPTIONS)
def test_the_options_of_the_run_before_are_those_of_the_run_that_goes_on(
    options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("run"))
    before = settings_from(options)
    folder = RunFolder(path)
    folder.write_json(folder.settings, settings_content(before))
    after = settings_from(*complete({"resume": True, "output": path}))
    assert settings_content(after) == settings_content(before)


def test_a_run_on_files_goes_on_with_its_folder_alone(job: Job) -> None:
    Path("rows.csv").write_text(HEADER + GOOD)
    Path("schema.toml").write_text(SCHEMA)
    argv = ("--input", "rows.csv", "--schema", "schema.toml", "--learner", "ridge", "--window")
    job.ran(*argv, "1m", "--min-rows", "1", "--output", "o")
    whole = content("o")
    for name in ("20260101T000100Z", "20260101T000200Z"):
        Path(f"o/metrics/{name}.json").unlink()
    Path("schema.toml").unlink()
    job.ran("--resume", "--output", "o")
    assert content("o") == whole and len(metrics("o")) == 3


def test_a_changed_option_is_refused_by_name(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    refused = job.refused("--resume", "--output", "o", "--learner", "forest", "--window", "5m")
    assert refused == (
        "--resume o: its run had other settings: --window was 60, is 300; "
        "--learner was 'ridge', is 'forest'"
    )
    again = job.refused("--resume", "--output", "o", "--refreshes", "4")
    assert again.endswith("other settings: --refreshes was 3, is 4")


def test_what_may_change_is_not_taken_from_the_folder(job: Job) -> None:
    job.ran(*SMALL, "--strict", "--output", "o")
    assert not parse(["--resume", "--output", "o"])[0].strict
    assert parse(["--resume", "--output", "o"])[0].learner == "ridge"


def test_a_live_run_goes_on_from_the_start_that_it_had(home: Path) -> None:
    Path("o").mkdir()
    text = json.dumps({"format": 1, "live": True, "start": "2026-05-01T00:00:00Z"})
    Path("o/settings.json").write_text(text)
    assert parse(["--resume", "--output", "o"])[0].start == "2026-05-01T00:00:00Z"


@pytest.mark.parametrize("text", [None, "", "[]", '{"schema": 7}'])
def test_without_settings_that_can_be_read_the_options_are_those_given(
    text: str | None, home: Path
) -> None:
    Path("o").mkdir()
    if text is not None:
        Path("o/settings.json").write_text(text)
    values, schema = complete({"resume": True, "output": "o", "lag": 2})
    assert schema is None
    assert settings_from(values).lag == 2
    assert isinstance(settings_from(values), Settings)
