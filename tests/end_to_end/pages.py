"""The docs' fenced blocks: what each is, and a shell in which those of a page run in order.

A comment before a block says what to do with it: ``<!-- not run: why -->``, ``<!-- file: NAME -->``
(the block is that file), ``<!-- after: a run -->`` (``runs/latest`` is there), ``<!-- output -->``
(what the block before printed, ``...`` standing for any text).
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.kit.job import ROOT

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (
        *ROOT.glob("docs/*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    )
)
BLOCK = re.compile(r"(?:<!-- ([^>]*) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
SECONDS = 300
"""A block has so long to end."""


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        mark: what the comment before it says; empty without one.
        language: of the fence; empty without one.
        text: what is in it.
        line: where it begins, from 1 on.
    """

    mark: str
    language: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        """Whether the tests run it."""
        return self.language in ("sh", "python") and not self.mark.startswith(("not run", "file"))


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, a path in the repository."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found[1] or "", found[2], found[3], line)


def matches(shown: str, printed: str) -> bool:
    """Whether a program printed what a page shows, spaces apart, where ``...`` is any text.

    Example:
        >>> matches("seen ... of 3 rows", "seen 2  of 3 rows")
        True
    """
    return doctest.OutputChecker().check_output(
        shown.strip(), printed.strip(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )


class Shell:
    """A shell in a folder of its own, in which the blocks of a page run one after the other.

    Args:
        folder: an empty folder; ``examples`` and ``deploy`` are put there, as in a checkout.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 8000
        for name in ("examples", "deploy"):
            (folder / name).symlink_to(ROOT / name)
        self._programs = Path(tempfile.mkdtemp())
        program = self._programs / "correnteza"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom pipeline.__main__ import console\n"
            "sys.exit(console())\n"
        )
        program.chmod(0o755)
        python = self._programs / "python3"  # no link, which would not find its environment
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        path = os.pathsep.join([str(self._programs), os.environ["PATH"]])
        env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        pipe = subprocess.PIPE
        self._shell = subprocess.Popen(
            ["bash", "-e"], cwd=folder, env=env, stdin=pipe, stdout=pipe, text=True
        )

    def close(self) -> None:
        """Ends the shell and what it has started."""
        assert self._shell.stdin is not None and self._shell.stdout is not None
        with suppress(BrokenPipeError):
            self._shell.stdin.write("kill $(jobs -p) 2>/dev/null; wait; exit\n")
            self._shell.stdin.close()
        self._shell.stdout.close()
        self._shell.wait(300)
        shutil.rmtree(self._programs)

    def write(self, block: Block) -> None:
        """Writes the file that a block is."""
        (self.folder / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")

    def run(self, block: Block) -> str:
        """Runs a block of shell or Python; gives what it printed.

        Raises:
            AssertionError: if a command of it failed.
        """
        text = block.text
        if block.language == "python":
            text = f"python3 - <<'END OF BLOCK'\n{text}END OF BLOCK\n"
        serves = "correnteza serve" in text
        text = re.sub(r"(correnteza serve \S+)", r"\1 --port 0 > serve.log", text)
        text = re.sub(r"(correnteza ask)\b", rf"\1 http://127.0.0.1:{self.port}", text)
        text = text.replace("localhost:8000", f"localhost:{self.port}")
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(f"{text}\necho; echo END OF BLOCK\n")
        self._shell.stdin.flush()
        printed = ""
        for line in self._shell.stdout:
            if line == "END OF BLOCK\n":
                if serves:
                    self._wait()
                return printed.removesuffix("\n")
            printed += line
        raise AssertionError(f"line {block.line}: a command failed; it printed:\n{printed}")

    def _wait(self) -> None:
        """Waits until the server has printed its address, whose port takes 8000's place."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError):
                found = re.search(
                    r"http://127.0.0.1:(\d+)", (self.folder / "serve.log").read_text()
                )
                if found:
                    self.port = int(found[1])
                    return
            time.sleep(0.2)
        raise AssertionError("the server does not answer")
