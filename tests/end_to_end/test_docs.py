"""Every block of the docs: commands and snippets run, files parse, options and targets exist."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from model.schema import Schema
from pipeline.__main__ import main
from pipeline.arguments import parse
from pipeline.program import COMMANDS
from pipeline.runners.flink import JOB_SERVERS
from tests.end_to_end.pages import PAGES, Block, Shell, blocks, matches
from tests.kit.job import ROOT, SMALL

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LANGUAGES = {"sh", "python", "toml", "json", "yaml", "csv", "text", ""}
COMMAND = re.compile(r"^(?:correnteza|make|python3?|pip|curl|kubectl|\S*bin/python)\s", re.M)
RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_of_a_language_that_is_known_and_none_hides_a_command(page: str) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page}:{block.line}"
        if block.language in ("", "text"):
            assert not COMMAND.search(block.text), f"{page}:{block.line}: must be ```sh"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_data_parses(page: str) -> None:
    for block in blocks(page):
        if block.language == "toml":
            values = tomllib.loads(block.text)
            if "target" in values and "features" in values:
                Schema.model_validate(values)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            list(yaml.safe_load_all(block.text))
        elif block.language == "python" and not block.text.startswith(" "):
            compile(block.text, f"{page}:{block.line}", "exec")


@cache
def options_of(command: str) -> set[str]:
    """The options that a command has; for an empty name those of the job, and Beam's own."""
    argv = [sys.executable, "-m", "pipeline", *command.split(), "--help"]
    text = subprocess.check_output(argv, cwd=ROOT, text=True)
    found = set(re.findall(r"--[a-z][a-z_-]*", text))
    if command in ("", "check"):
        beam = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
        for kind in PipelineOptions.__subclasses__():
            kind._add_argparse_args(beam)  # type: ignore[arg-type]
        found |= {*beam._option_string_actions, *(f"--{name}" for name in JOB_SERVERS)}
        found |= options_of("") if command else {"--windows"}
    return found


def commands(block: Block) -> Iterator[list[str]]:
    """The command lines of a block, without their comments."""
    for line in block.text.replace("\\\n", " ").splitlines():
        yield from (part for part in [shlex.split(line, comments=True)] if part)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_has_options_and_targets_that_there_are(page: str) -> None:
    for block in blocks(page):
        if block.language != "sh" or block.runs:
            continue
        for argv in commands(block):
            where = f"{page}:{block.line}"
            if argv[0] == "make":
                targets = [word for word in argv[1:] if "=" not in word]
                makefile = (ROOT / "Makefile").read_text()
                assert all(re.search(rf"^{name}:", makefile, re.M) for name in targets), where
            elif argv[0] == "correnteza":
                command = argv[1] if argv[1:2] and argv[1] in COMMANDS else ""
                command += " export" if argv[1:3] == ["models", "export"] else ""
                named = {word.split("=")[0] for word in argv if word.startswith("--")}
                assert named <= options_of(command), where


def test_the_options_of_the_service_are_options(tmp_path: Path) -> None:
    [block] = [one for one in blocks("docs/operations.md") if one.mark == "file: run.toml"]
    (tmp_path / "run.toml").write_text(block.text)
    settings, beam = parse(["--config", str(tmp_path / "run.toml"), "--output", "run"])
    assert settings.live and settings.on_interrupt == "drain" and not beam


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on people, for the pages that need one."""
    folder = tmp_path_factory.mktemp("docs") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_a_page_runs_from_its_top_to_its_end(page: str, shell: Shell, run: Path) -> None:
    if any(block.mark.startswith("after: a run") for block in blocks(page)):
        shutil.copytree(run, shell.folder / "runs/latest")
    printed = ""
    for block in blocks(page):
        if block.mark.startswith("file: "):
            shell.write(block)
        elif block.mark == "output":
            assert matches(block.text, printed), f"{page}:{block.line}: printed\n{printed}"
        elif block.runs:
            printed = shell.run(block)
