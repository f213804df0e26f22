"""The command line where only the locked packages are: standard error has our lines alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.runners.prism import find_prism
from tests.end_to_end.plain import environment, variables
from tests.kit.job import ROOT, SMALL, Told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PRISM = "windows show when the source has ended; --runner prism shows them as they close"


def correnteza(lock: str, *argv: object) -> Told:
    """What the console command of an environment tells."""
    command = [str(environment(lock) / "correnteza"), *map(str, argv)]
    here = environment(lock).parent  # not in the checkout
    ended = subprocess.run(
        command, env=variables(), cwd=here, capture_output=True, text=True, check=False
    )
    return Told(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was made with the core packages alone."""
    folder = tmp_path_factory.mktemp("plain") / "o"
    result = correnteza("core", *SMALL, "--output", folder)
    assert result.code == 0
    lines = [f"people -> {folder} (direct runner)", *([PRISM] if find_prism() else [])]
    assert [line for line in result.err.splitlines() if not line.startswith(" ")] == lines
    return folder


def test_beams_part_for_google_is_not_there() -> None:
    look = [str(environment("core") / "python"), "-c", "import apitools"]
    assert subprocess.run(look, env=variables(), stderr=subprocess.DEVNULL, check=False).returncode


@pytest.mark.parametrize(
    "argv",
    [
        ("--help",),
        ("models", "--help"),
        ("models", "RUN"),
        ("models", "RUN", "--verify"),
        ("watch", "RUN"),
        ("check",),
    ],
)
def test_a_command_writes_nothing_to_standard_error(argv: tuple[str, ...], run: Path) -> None:
    result = correnteza("core", *(run if word == "RUN" else word for word in argv))
    assert (result.code, result.err) == (0, "") and result.out


def test_the_version_is_printed(run: Path) -> None:
    assert correnteza("core", "--version") == (0, f"correnteza {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("report", "RUN"), r"the report needs \w+, which is not installed: make -C ROOT setup"),
        (("serve", "RUN"), r"serve needs \w+, which is not installed: make -C ROOT setup"),
        (("ask", "http://127.0.0.1:1"), "http://127.0.0.1:1: does not answer: Connection refused"),
        (("--learnr", "x"), r"unknown option --learnr: do you mean --learner\?"),
        (("models", "nowhere"), "nowhere: is not a folder; must be a run's folder"),
    ],
)
def test_a_refusal_is_the_only_line(argv: tuple[str, ...], line: str, run: Path) -> None:
    result = correnteza("core", *(run if word == "RUN" else word for word in argv))
    assert (result.code, result.out) == (2, "")
    assert re.fullmatch(line.replace("ROOT", str(ROOT)), result.error.removeprefix("error: "))
    assert result.err == result.error + "\n"


def test_a_failed_job_is_logged_in_our_format(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "class Bad:\n"
        "    fitted_here = False\n"
        "    def fit(self, matrix, target): self.fitted_here = True; return self\n"
        "    def __getstate__(self): return {}\n"
        "    def predict(self, matrix):\n"
        "        if not self.fitted_here: raise ArithmeticError('broken')\n"
        "        return matrix[:, 0] * 0.0\n"
    )
    argv = (*SMALL[:4], "--learner", "bad:Bad", "--output", "o")
    command = [str(environment("core") / "correnteza"), *argv]
    ended = subprocess.run(
        command, env=variables(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1 and "WARNING:root:" not in ended.stderr
    assert re.search(r"^ERROR apache_beam[.\w]*: ", ended.stderr, re.MULTILINE), ended.stderr


def test_what_make_setup_installs_reports_and_serves(run: Path, tmp_path: Path) -> None:
    report = correnteza("serve", "report", run, "--to", tmp_path / "r.html")
    assert (report.code, report.err) == (0, "") and (tmp_path / "r.html").stat().st_size > 10_000
    command = [str(environment("serve") / "correnteza"), "serve", str(run), "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=variables(), stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdout is not None
        url = re.findall(r"http://\S+", server.stdout.readline())[0]
        asked = correnteza("serve", "ask", url, "--count", "3", "--pace", "0")
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=300)
    assert (asked.code, asked.err) == (0, "") and len(asked.out.splitlines()) == 5
    lines = [json.loads(line) for line in err.splitlines()]
    assert {"time", "level", "event"} <= set(lines[0])


@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_a_run_on_prism_logs_nothing_either(tmp_path: Path) -> None:
    result = correnteza("core", *SMALL, "--runner", "prism", "--output", tmp_path / "o")
    lines = [line for line in result.err.splitlines() if not line.startswith(" ")]
    assert (result.code, lines) == (0, [f"people -> {tmp_path / 'o'} (prism runner)"])
