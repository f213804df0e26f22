"""The wheel and the sdist: what is in them, and that a wheel alone does what the README shows."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from pipeline import __version__
from tests.end_to_end.plain import environment, variables
from tests.kit.job import ROOT, Told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PACKAGES = ("model", "monitor", "pipeline", "reading", "transforms")
NAME = f"correnteza-{__version__}"
HOOK = "import setuptools.build_meta as hooks, sys; hooks.build_{}(sys.argv[1])"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the checkout, and the wheel that is made from that sdist alone."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    build(checkout, "sdist", out)
    unpacked = tmp_path_factory.mktemp("sdist")
    with tarfile.open(out / f"{NAME}.tar.gz") as sdist:
        sdist.extractall(unpacked, filter="data")
    build(unpacked / NAME, "wheel", out)
    return out


def build(folder: Path, what: str, out: Path) -> None:
    command = [sys.executable, "-c", HOOK.format(what), str(out)]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the wheel, and the locked packages of ``serve``."""
    made = tmp_path_factory.mktemp("installed") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    [locked] = (environment("serve").parent / "lib").glob("python*/site-packages")
    [own] = (made / "lib").glob("python*/site-packages")
    (own / "locked.pth").write_text(f"{locked}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(made), "--disable-pip-version-check"]
    [wheel] = built.glob("*.whl")
    subprocess.run([*pip, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    # The checkout is installed beside the locked packages, too: the wheel must stand before it.
    subprocess.run([*pip, "check"], check=True)
    return made / "bin"


def run(installed: Path, home: Path, *argv: str) -> Told:
    """What the installed command prints, in a folder and a home that are its own."""
    env = {**variables(), "HOME": str(home)}
    command = [str(installed / "correnteza"), *argv]
    ended = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    return Told(ended.returncode, ended.stdout, ended.stderr)


def test_the_wheel_has_the_packages_and_all_that_belongs_to_them(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"{NAME}.dist-info"}
    for package in PACKAGES:
        files = (path for path in (ROOT / package).rglob("*") if path.is_file())
        own = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
        assert own <= names


def test_the_sdist_has_what_a_reader_wants_and_no_tests(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as sdist:
        names = {name.removeprefix(f"{NAME}/") for name in sdist.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


def test_the_installed_packages_are_the_wheels(installed: Path, tmp_path: Path) -> None:
    look = "import model, pipeline; print(model.__file__, pipeline.__file__)"
    found = subprocess.check_output(
        [str(installed / "python"), "-c", look], env=variables(), cwd=tmp_path, text=True
    )
    assert all(path.startswith(str(installed.parent)) for path in found.split())


def test_the_readmes_commands_work_in_a_fresh_home(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "--version").out == f"correnteza {__version__}\n"
    job = run(installed, tmp_path)  # as the README shows it: twelve windows, by a forest
    assert job.code == 0, job.err
    assert re.search(r"^180,000 rows read in", job.out, re.M)
    assert re.search(r"^2026-01-01 00:11:00  15,000  20260101T001100Z ", job.out, re.M)
    report = run(installed, tmp_path, "report", "runs/latest")
    assert report.code == 0 and (tmp_path / "report.html").stat().st_size > 10_000
    models = run(installed, tmp_path, "models", "runs/latest", "--verify")
    assert models.code == 0, models.err
    page = served(installed, tmp_path)
    assert "<title>" in page


def served(installed: Path, home: Path) -> str:
    """The page of a server of the newest run."""
    command = [str(installed / "correnteza"), "serve", "runs/latest", "--port", "0"]
    env, pipe = {**variables(), "HOME": str(home)}, subprocess.PIPE
    with subprocess.Popen(command, env=env, cwd=home, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        url = re.findall(r"http://\S+?:\d+", server.stdout.readline())[0]
        with urllib.request.urlopen(url) as answer:
            page: str = answer.read().decode()
        server.send_signal(signal.SIGINT)
    return page


def test_what_the_image_copies_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    recipe = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    for names in re.findall(r"^COPY (.*) \S+$", recipe, re.M):
        for name in names.split():
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, tmp_path)
    build(tmp_path, "wheel", tmp_path / "out")
    [wheel], [image] = built.glob("*.whl"), (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(image) as other:
        assert set(one.namelist()) == set(other.namelist())
