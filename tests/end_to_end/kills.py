"""Kills runs at random moments, and starts runs in pairs: do all end with the same files?

Each run is killed (``kill -9``) after a random time and resumed; now and then the resumed run is
killed too. What it ends with must be what a run that nobody disturbs ends with, to the byte. Then
runs are started two at a time: each must have a folder of its own, or the second is refused in one
line. A test has a few of these; here are many:

    python -m tests.end_to_end.kills --kills 100 --pairs 20
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet  # noqa: F401  so that a forked run need not
import sklearn.ensemble
import sklearn.linear_model  # noqa: F401

import pipeline.run  # noqa: F401
from pipeline.__main__ import main as run_job
from tests.kit.job import HEADER, SCHEMA, SMALL, content

Argv = tuple[object, ...]
FOREST: Argv = ("--learner-param", "n_estimators=10")
RIDGE: Argv = ("--learner", "ridge")
FILES: Argv = ("--input", "part*.csv", "--schema", "s.toml", "--window", "1m", "--batch-rows", 400)
PEOPLE: Argv = ("--refreshes", 12, "--rate", 100, "--batch-rows", 700, "--disorder", "9s")
RUNS: dict[str, Argv] = {
    "people, ridge": (*PEOPLE, *RIDGE),
    "people, forest": (*PEOPLE, *FOREST),
    "files, ridge": (*FILES, *RIDGE, "--lag", 2, "--keep", 0),
    "files, forest": (*FILES, *FOREST),
}
TWICE = 0.25
"""Share of the resumed runs that are killed too."""
PAIRS: dict[str, Argv] = {"no --output": (), "one --output": ("--output", "same")}


def write_files(folder: Path) -> None:
    """Writes four files of one stream: 12,000 rows out of order, with gaps and rejects."""
    rng = np.random.default_rng(5)
    minutes = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14], 12_000)
    lines = []
    for minute, second, y in zip(  # noqa: B905
        minutes, rng.integers(0, 60, 12_000), rng.normal(size=12_000)
    ):
        cells = [f"2026-01-01T00:{minute:02d}:{second:02d}Z", f"{y:.6f}", f"{2 * y:.3f}", "a"]
        kind = rng.integers(0, 100)
        if kind < 4:
            cells[kind] = ["soon", "", "inf", "b"][kind]
        lines.append(",".join(cells))
    (folder / "s.toml").write_text(SCHEMA)
    for part in range(4):
        (folder / f"part{part}.csv").write_text(HEADER + "\n".join(lines[part::4]))


class Run:
    """A run in a process of its own, forked from this one, which has imported all that it needs.

    Attributes:
        code: with what it ended, as ``subprocess`` has it; None while it runs.
    """

    def __init__(self, argv: Sequence[object], folder: Path) -> None:
        self.code: int | None = None
        self.errors = Path(tempfile.mkstemp()[1])
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.chdir(folder)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(os.open(self.errors, os.O_WRONLY), 2)
                code = run_job(list(map(str, argv)))
            finally:
                os._exit(code)

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        if self.code is None and (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.code = os.waitstatus_to_exitcode(ended[1])
        return self.code is None

    def wait(self, until: float = math.inf) -> None:
        """Waits for its end, or a moment."""
        while self.runs() and time.monotonic() < until:
            time.sleep(0.005)

    def kill(self) -> None:
        """Kills it, if it still runs."""
        if self.runs():
            os.kill(self.pid, signal.SIGKILL)
        self.wait()
        self.errors.unlink()

    def finish(self) -> str:
        """Waits for its end, and gives what it wrote to standard error."""
        self.wait()
        text = self.errors.read_text()
        self.errors.unlink()
        return text


def finish(argv: Sequence[object], folder: Path) -> float:
    """Runs a command line to its end, and gives the seconds since there were settings.

    Raises:
        AssertionError: if that does not end with 0.
    """
    run = Run(argv, folder)
    began = wait_for_settings(run, argv, folder)
    errors = run.finish()
    if run.code:
        raise AssertionError(errors)
    return time.monotonic() - began


def kill(argv: Sequence[object], folder: Path, seconds: float) -> None:
    """Starts a run and kills it some seconds after there were settings, if it still runs."""
    run = Run(argv, folder)
    run.wait(wait_for_settings(run, argv, folder) + seconds)
    run.kill()


def wait_for_settings(run: Run, argv: Sequence[object], folder: Path) -> float:
    """Waits until a run has written its settings, or has ended; gives that moment.

    A run to resume has them already: then the moment is that of its start.
    """
    output = folder / str(argv[list(argv).index("--output") + 1])
    while not (output / "settings.json").exists() and run.runs():
        time.sleep(0.002)
    return time.monotonic()


def resume(argv: Sequence[object], folder: Path, output: str) -> list[object]:
    """The command line that goes on with a run, or begins it, if nothing is there to go on with."""
    begun = (folder / output / "settings.json").exists()
    return [*argv, "--output", output, "--resume" if begun else "--overwrite"]


def kill_runs(number: int, home: Path, choose: random.Random) -> int:
    """Kills runs, resumes them, and prints each; gives how many ended with other files."""
    lost = 0
    for kind, argv in RUNS.items():
        length = finish([*argv, "--output", "whole"], home)
        whole = content(home / "whole")
        for _ in range(number // len(RUNS)):
            moments = [choose.uniform(0, 1.1 * length)]
            kill([*argv, "--output", "cut"], home, moments[0])
            if choose.random() < TWICE:
                moments.append(choose.uniform(0, 1.1 * length))
                kill(resume(argv, home, "cut"), home, moments[1])
            finish(resume(argv, home, "cut"), home)
            same = content(home / "cut") == whole
            lost += not same
            at = ", ".join(f"{moment:.2f} s" for moment in moments)
            print(f"{kind}: killed after {at} of {length:.2f} s: {same}", flush=True)
            shutil.rmtree(home / "cut")
        shutil.rmtree(home / "whole")
    return lost


def start_pairs(number: int, home: Path, choose: random.Random) -> int:
    """Starts runs two at a time, and prints each pair; gives how many disturbed each other."""
    finish([*SMALL, "--output", "whole"], home)
    whole, disturbed = content(home / "whole"), 0
    for kind, options in PAIRS.items():
        for pair in range(number // len(PAIRS)):
            place = home / f"pair{pair}"
            place.mkdir()
            runs = [Run([*SMALL, *options], place)]
            time.sleep(choose.choice((0, 0, 0.01, 0.2)))
            runs.append(Run([*SMALL, *options], place))
            ended = [(run.finish(), run.code) for run in runs]
            fine = all(content(run) == whole for run in runs_in(place))
            refused = [err for err, code in ended if code == 2]
            codes = sorted(-1 if code is None else code for _, code in ended)
            if options:
                fine &= codes == [0, 2] and len(runs_in(place)) == 1
                fine &= all(err.startswith("error: --output same") for err in refused)
                fine &= all(err.count("\n") == 1 for err in refused)
            else:
                fine &= codes == [0, 0] and len(runs_in(place)) == 2
            disturbed += not fine
            print(f"{kind}: ended with {codes}: {fine}", flush=True)
            shutil.rmtree(place)
    return disturbed


def runs_in(place: Path) -> list[Path]:
    """The folders of runs in a folder."""
    return [path.parent for path in place.rglob("settings.json") if "latest" not in path.parts]


def main(argv: Sequence[str] | None = None) -> int:
    """Kills many runs, starts many pairs; gives 1 if one did not end as an undisturbed run."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.kills")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    choose = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        write_files(home)
        lost = kill_runs(given.kills, home, choose)
        print(f"{given.kills} kills, {lost} folders that differ")
        disturbed = start_pairs(given.pairs, home, choose)
        print(f"{given.pairs} pairs, {disturbed} that disturbed each other")
    return 1 if lost or disturbed else 0


if __name__ == "__main__":
    sys.exit(main())
