"""The program's name, its version, its commands, completion, and folders whose files hide ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import program
from monitor.program import call, remedy
from pipeline import __version__
from pipeline.completion import SHELLS, script
from pipeline.program import COMMANDS
from tests.kit.job import ROOT, Job


def ran(*argv: str, module: bool = True) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, in the current folder."""
    start = "from pipeline.__main__ import console; raise SystemExit(console())"
    how = ["-m", "pipeline"] if module else ["-c", f"import sys; sys.path.pop(0); {start}"]
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *how, *argv], env=paths, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *(("model.py", True), ("model/__init__.py", True), ("transforms.py", True)),
        ("monitor.py", True),
        *(("model.py", False), ("pipeline.py", False), ("pipeline/__init__.py", False)),
    ],
)
def test_a_folder_with_a_file_that_hides_ours_is_refused_by_its_name(
    name: str, module: bool, home: Path
) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("raise ImportError('not ours')")
    result = ran("models", "runs/latest", module=module)
    assert (result.returncode, result.stdout) == (2, "")
    package = name.split("/")[0].removesuffix(".py")
    assert result.stderr.splitlines() == [
        f"error: {home / name}: its name hides the package '{package}' of this program: "
        "rename it, or run the command in another folder"
    ]


def test_a_folder_that_is_only_named_like_a_package_is_no_hindrance(home: Path) -> None:
    Path("model").mkdir()
    Path("model/notes.txt").touch()
    assert ran("--version").stdout == f"correnteza {__version__}\n"


def test_the_version_is_printed_wherever_it_is_asked_for(home: Path) -> None:
    for argv in (["--version"], ["--live", "--version"]):
        result = ran(*argv)
        assert (result.returncode, result.stdout) == (0, f"correnteza {__version__}\n")


def test_help_names_every_command_with_a_line_of_its_own(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        job("--help")
    lines = capsys.readouterr().out.splitlines()
    for name, line in COMMANDS.items():
        assert [shown for shown in lines if shown.split()[:1] == [name] and line in shown]


@pytest.mark.parametrize(
    ("argv", "original", "called"),
    [
        ("/a/pipeline/__main__.py", "python -m pipeline --live", "python -m pipeline"),
        ("x", "/a/b/python -X dev -m pipeline", "/a/b/python -X dev -m pipeline"),
        ("x", "python -m pytest -m pipeline_tests", "python -m pipeline"),
        ("/nowhere/correnteza", "/nowhere/python /nowhere/correnteza", "/nowhere/correnteza"),
    ],
)
def test_the_program_has_the_name_by_which_it_was_called(
    argv: str, original: str, called: str
) -> None:
    assert call([argv], original.split()) == called


def test_a_script_on_the_path_has_its_bare_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = home / "correnteza"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(home))
    assert call([str(script)], ["python", str(script)]) == "correnteza"
    monkeypatch.setenv("PATH", "")
    assert call([str(script)], ["python", str(script)]) == str(script)


def test_messages_and_help_have_that_name(
    job: Job, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "pipeline", "x"])
    assert job.refused("--qwxyz").endswith("see .venv/bin/python -m pipeline --help")
    for argv in (["--help"], *([name, "--help"] for name in COMMANDS)):
        with pytest.raises(SystemExit) if argv != ["check", "--help"] else _nothing():
            job(*argv)
            capsys.readouterr()
        output = capsys.readouterr().out
        assert output.count("python -m pipeline") == output.count(".venv/bin/python -m pipeline")


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


def test_a_missing_package_is_remedied_by_make_in_a_checkout_and_by_pip_elsewhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remedy("serve") == f"make -C {ROOT} setup"
    monkeypatch.chdir(ROOT)
    assert remedy("serve") == "make setup"
    monkeypatch.setattr(program, "ROOT", home)
    assert remedy("serve") == "pip install 'correnteza[serve]'"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_given_every_command_and_the_jobs_options(shell: str) -> None:
    written = script(shell)
    assert [name for name in COMMANDS if name not in written] == []
    assert "sample-rows" in written and "correnteza" in written


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not there")
def test_bash_completes_a_command_and_an_option(home: Path) -> None:
    Path("c.sh").write_text(script("bash"))
    for argv, completed in ((["correnteza", "mod"], "models"), (["correnteza", "--lea"], None)):
        tried = (
            "source c.sh; COMP_WORDS=(" + " ".join(argv) + "); COMP_CWORD=1; "
            "$(complete -p correnteza | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[@]}"
        )
        result = subprocess.run(["bash", "-c", tried], capture_output=True, text=True, check=True)
        assert result.stdout.split() == (
            [completed] if completed else ["--learner", "--learner-param"]
        )


def test_an_unknown_shell_is_refused_with_those_that_are_known(job: Job) -> None:
    assert all(shell in job.refused("completion", "csh") for shell in SHELLS)
