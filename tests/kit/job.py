"""What the tests of the command line share: running it, and looking at what it wrote."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import psutil
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
SECONDS = 600
"""A process that is waited for has so long to end."""
SMALL = ("--refreshes", "3", "--rate", "20", "--learner", "ridge")
SCHEMA = """\
name = "s"
time = "t"
target = "y"
[features]
numeric = ["x"]
categorical = ["c"]
"""
HEADER = "t,y,x,c\n"
GOOD = "".join(
    f"2026-01-01T00:0{minute}:{second:02d}Z,{minute + second},{second},a\n"
    for minute in range(3)
    for second in range(0, 60, 20)
)
"""Nine rows of three minutes."""


def make_settings(**values: Any) -> Settings:
    """Settings with some options; the types are those that a command line or TOML gives."""
    return Settings.model_validate(values)


class Told(NamedTuple):
    """What a command line ended with, and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that tells of the error; there must be one, and no traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and "Traceback" not in self.err, self.err
        return lines[0]


def resume_options(result: Told) -> list[str]:
    """The command line, behind ``python -m pipeline``, with which a run says that it goes on."""
    lines = f"{result.err}\n{result.out}".splitlines()
    [command] = [after for line, after in pairwise(lines) if line.endswith("; go on with:")]
    words = shlex.split(command)
    return words[words.index("pipeline") + 1 :]


def error_lines(result: Told) -> list[str]:
    """The lines of standard error, but for that on Prism and those of a slow run's progress."""
    passing = re.compile(r"--runner prism shows|^ *\d+ s  ")
    return [line for line in result.err.splitlines() if not passing.search(line)]


class Job:
    """Runs command lines in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *argv: object) -> Told:
        self.capsys.readouterr()
        code = main([str(word) for word in argv])
        return Told(code, *self.capsys.readouterr())

    def refused(self, *argv: object) -> str:
        """The one line with which a command line is refused; nothing else may be said."""
        result = self(*argv)
        assert (result.code, result.out) == (2, "")
        assert result.err == result.error + "\n"
        return result.error.removeprefix("error: ")

    def ran(self, *argv: object) -> Told:
        """What a command line told that did its work."""
        result = self(*argv)
        assert result.code == 0, result.err
        return result


def process(
    *argv: object, seed: str = "0", longest: int = -1, own_session: bool = False
) -> subprocess.Popen[str]:
    """``python -m pipeline`` in a process of its own, in the current folder.

    Args:
        words: the command line.
        seed: of its hashes.
        longest: no file that it writes may have more bytes; -1: as many as there is room for.
        own_session: whether it leads a session, so that a signal can be sent to all of it.
    """
    paths = {
        **{"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
        "PYTHONFAULTHANDLER": "1",  # see finished()
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *map(str, argv)],
        env={**os.environ, **paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=own_session,
        preexec_fn=partial(_begin, longest),
    )


def _begin(longest: int) -> None:
    """As from a terminal: where tests run in the background, Ctrl-C may be ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, -1))


def finish(running: subprocess.Popen[str]) -> Told:
    """What a process told in the end; one that does not end tells where it stands instead."""
    try:
        out, err = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        below = psutil.Process(running.pid).children(recursive=True)
        lived = [f"{child.pid} {child.status()}: {child.cmdline()}" for child in below]
        running.send_signal(signal.SIGABRT)  # its faulthandler writes all threads' tracebacks
        _, err = running.communicate()
        for child in below:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        pytest.fail("\n".join([f"it did not end within {SECONDS} s", err, *lived]))
    return Told(running.returncode, out, err)


def run_on(folder: Path, rows: str, schema: str) -> Path:
    """The folder of a run, a ridge a minute, on rows (CSV) of a schema (TOML)."""
    (folder / "rows.csv").write_text(rows, encoding="utf-8")
    (folder / "schema.toml").write_text(schema, encoding="utf-8")
    argv = ["--input", str(folder / "rows.csv"), "--schema", str(folder / "schema.toml")]
    argv += ["--learner", "ridge", "--window", "60", "--min-rows", "1"]
    out = folder / "run"
    assert main([*argv, "--output", str(out)]) == 0
    return out


def content(folder: Path | str) -> dict[str, str]:
    """The SHA-256 of each file of a run by its name, but for timing/, status.json and a lock."""
    names = {path: path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file()}
    return {
        str(name): hashlib.sha256(path.read_bytes()).hexdigest()
        for path, name in names.items()
        if name.parts[0] not in ("timing", "status.json", "lock.json")
    }


def assert_whole(folder: Path | str) -> None:
    """Asserts that each file of a run that can be seen is whole."""
    for path in Path(folder).rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".json":
            assert json.loads(path.read_text())["format"] == 1
        elif path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".ndjson":
            assert [json.loads(line) for line in path.read_text().splitlines()]
        else:
            assert path.name == "model.joblib"
            assert joblib.load(path).schema
    for path in Path(folder).glob("models/*/manifest.json"):
        model = path.with_name("model.joblib").read_bytes()
        assert json.loads(path.read_text())["sha256"] == hashlib.sha256(model).hexdigest()


def metrics(folder: Path | str) -> list[dict[str, Any]]:
    """The reports of a run, in their order."""
    return [json.loads(path.read_text()) for path in sorted(Path(folder).glob("metrics/*.json"))]


def models(folder: Path | str) -> dict[str, dict[str, Any]]:
    """The manifests of a run's models by name, in their order."""
    paths = sorted(Path(folder).glob("models/*/manifest.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def rejects(folder: Path | str) -> dict[str, list[dict[str, Any]]]:
    """The rejects of a run by refresh, in the order of where they were read."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(Path(folder).glob("rejected/*/*.ndjson")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found.setdefault(path.parent.name, []).extend(lines)
    return found


def status(folder: Path | str) -> dict[str, Any]:
    """The status of a run."""
    found: dict[str, Any] = json.loads(Path(folder, "status.json").read_text())
    return found
