"""kill -9 of the launcher of a job on Prism, at any moment: no half file, nothing left behind.

Prism itself survives no crash; it ends with its launcher, and ``--resume`` goes on from the folder.
"""

from __future__ import annotations

import glob
import random
import time
from pathlib import Path

import psutil
import pytest

from pipeline.runners.prism import find_prism
from tests.end_to_end import chaos
from tests.kit.job import assert_whole, content, finish, process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
]
REPLAY = (
    *("--learner", "forest", "--learner-param", "n_estimators=8", "--window", "2s"),
    *("--refreshes", "20", "--rate", "100", "--batch-rows", "170", "--disorder", "1s"),
)
LIVE = (*chaos.LIVE, "--live", "--refreshes", "5")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a replay that nobody disturbs, on the embedded runner."""
    folder = tmp_path_factory.mktemp("undisturbed") / "o"
    assert finish(process(*REPLAY, "--output", folder)).code == 0
    return content(folder)


def written(run: Path) -> int:
    """How many files a run has written, so far."""
    return len(glob.glob("**/*.*", root_dir=run, recursive=True))


def kill(argv: tuple[str, ...], run: Path, moments: random.Random, files: int) -> None:
    """Kills a run on Prism at a random moment, and looks at what it left.

    Args:
        argv: its options.
        run: its folder.
        moments: chooses the moment.
        files: the run is killed when it has written so many, or up to half a second later.
    """
    running = process(*argv, "--runner", "prism", "--output", run)
    while written(run) < files and running.poll() is None:
        time.sleep(0.01)
    started = psutil.Process(running.pid).children(recursive=True)
    time.sleep(moments.uniform(0, 0.5))
    running.kill()
    result = finish(running)
    assert result.code in (-9, 0), result.err  # 0: it was quicker than we
    assert started or result.code == 0
    assert psutil.wait_procs(started, timeout=120)[1] == []
    assert_whole(run)


def resume(argv: tuple[str, ...], run: Path) -> None:
    """Goes on with a run, to its end."""
    result = finish(process(*argv, "--runner", "prism", "--output", run, "--resume"))
    assert result.code == 0, result.err


@pytest.mark.parametrize("seed", range(3))
def test_a_replay_that_is_killed_is_resumed_to_the_same_files(
    seed: int, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    moments = random.Random(seed)
    run = tmp_path / "run"
    kill(REPLAY, run, moments, moments.randrange(3, len(undisturbed) * 3 // 4))
    resume(REPLAY, run)
    assert content(run) == undisturbed


def test_a_live_run_that_is_killed_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    moments = random.Random(0)
    run = tmp_path / "run"
    kill(LIVE, run, moments, moments.randrange(8, 20))
    resume(LIVE, run)
    chaos.assert_nothing_shows(run, chaos.undisturbed(run, tmp_path / "undisturbed"))
