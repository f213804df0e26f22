"""The promise: the same files to the byte embedded, on Prism and on Flink, and none of it wrong.

Each case runs once embedded, where its files are held against what must be true of them, and
then on the other runners, whose files must be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from model.batch import SECOND
from model.people import People
from pipeline.runners.prism import find_prism
from pipeline.settings import START, micros_of
from tests.end_to_end.exactness import Cadence, assert_exact
from tests.end_to_end.flink import WORDS, needs_flink
from tests.end_to_end.streams import MADE, make_stream, parquet_files, schema_file
from tests.kit.job import content, finish, process

RIDGE = ("--learner", "ridge", "--keep", "0")
REFRESHES = 80
SLIDING = ("--window", "3m", "--every", "1m", "--latency", "20s", "--lag", "2")
RUNNERS = {"prism": ("--runner", "prism"), "flink": WORDS}
ON = [
    pytest.param(
        "prism",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
        ],
    ),
    pytest.param("flink", marks=needs_flink),
]


class Case(NamedTuple):
    """A run: its options, how time is cut, and how many rows its source has."""

    words: tuple[str, ...]
    cadence: Cadence
    read: int


def late_people(folder: Path) -> Case:
    """Refreshes of sliding windows, with rows out of order and late."""
    argv = (*RIDGE, *SLIDING, "--refreshes", str(REFRESHES), "--rate", "25", "--batch-rows", "400")
    # some arrive after the end that count before it, and some at first count before the start:
    # the people's own table says how many are within
    people = People("learnable", 42, 25, micros_of(START), 20 * SECOND)
    _, stamps = people.arrivals(0, (REFRESHES + 20) * 60 * 25, ())
    within = (stamps >= people.start) & (stamps < people.start + REFRESHES * 60 * SECOND)
    return Case((*argv, "--disorder", "20"), Cadence(60, lag=2), int(within.sum()))


def files_with_gaps(folder: Path) -> Case:
    """Many minutes in five files, unsorted, with gaps of some minutes, nulls and rejects."""
    rows = make_stream(windows=REFRESHES, rows_a_window=150, seed=5)
    rows.loc[::50, "x"] = float("inf")
    given = parquet_files(rows, folder / "in", pieces=5, group=997)
    schema = schema_file(MADE, folder / "made.toml")
    argv = ("--input", given, "--schema", str(schema), *RIDGE, *SLIDING)
    return Case(argv, Cadence(60, lag=2), len(rows))


def forests(folder: Path) -> Case:
    """A few forests, and models that retention removes: only the newest stay."""
    return Case(("--rate", "20", "--refreshes", "6"), Cadence(60), 6 * 60 * 20)


CASES: dict[str, Callable[[Path], Case]] = {
    "late people": late_people,
    "files with gaps": files_with_gaps,
    "forests": forests,
}


class Embedded(NamedTuple):
    """A case that has run embedded, and its folder."""

    case: Case
    folder: Path


@pytest.fixture(scope="module", params=list(CASES))
def embedded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    folder = tmp_path_factory.mktemp("embedded")
    case = CASES[request.param](folder)
    result = finish(process(*case.words, "--output", folder / "run"))
    assert result.code == 0, result.err
    return Embedded(case, folder / "run")


@pytest.mark.slow
def test_no_row_is_lost_or_scored_by_another_model_than_the_as_of_rule_names(
    embedded: Embedded,
) -> None:
    if "--keep" not in embedded.case.words:
        embedded = embedded._replace(folder=kept(embedded))
    assert_exact(embedded.folder, embedded.case.cadence, embedded.case.read)


def kept(embedded: Embedded) -> Path:
    """The folder of the same run with all its models."""
    folder = embedded.folder.with_name("kept")
    assert finish(process(*embedded.case.words, "--keep", "0", "--output", folder)).code == 0
    return folder


@pytest.mark.parametrize("runner", ON)
def test_another_runner_writes_the_same_files_to_the_byte(
    embedded: Embedded, runner: str, tmp_path: Path
) -> None:
    result = finish(process(*embedded.case.words, *RUNNERS[runner], "--output", tmp_path / "run"))
    assert result.code == 0, result.err
    assert content(tmp_path / "run") == content(embedded.folder)


def test_the_made_files_have_gaps_of_several_windows() -> None:
    minutes = np.unique(
        make_stream(windows=REFRESHES, rows_a_window=150, seed=5)["at"].dt.floor("min")
    )
    assert max(np.diff(minutes)) >= np.timedelta64(4, "m")
