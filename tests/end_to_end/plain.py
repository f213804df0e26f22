"""Environments as ``make setup`` makes them: the locked packages, without the tests' tools.

Beam without its part for Google Cloud behaves otherwise: it logs while it is imported.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.job import ROOT

PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")


def packages() -> bytes:
    """The names of our packages, which an installation that follows the checkout lists."""
    return " ".join(sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))).encode()


def environment(lock: str) -> Path:
    """The ``bin`` of an environment with a lock's packages, and ours; built once for both.

    Args:
        lock: its name in ``requirements/``.
    """
    path = ROOT / "requirements" / f"{lock}.txt"
    digest = hashlib.sha256(path.read_bytes() + packages() + sys.version.encode()).hexdigest()[:12]
    made = ROOT / ".cache" / f"plain-{lock}-{digest}"
    made.parent.mkdir(exist_ok=True)
    with open(made.parent / "plain.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # tests run side by side
        if not (made / ".done").exists():
            build(made, path)
    return made / "bin"


def build(made: Path, lock: Path) -> None:
    """Builds an environment, whole or not at all."""
    shutil.rmtree(made, ignore_errors=True)
    python = made / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", made], check=True)
        subprocess.run([python, *PIP, "--require-hashes", "-r", lock], check=True)
        subprocess.run([python, *PIP, "--no-build-isolation", "-e", ROOT], check=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the locked packages cannot be installed here: {error}")
    (made / ".done").touch()


def variables() -> dict[str, str]:
    """The environment's variables without those that lead to the tests' own packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
