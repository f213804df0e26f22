"""Cuts the power of runs at random moments, and looks whether ``--resume`` mends what is left.

Two disks are tried. One is made from what a process has synced (``power_cut/sitecustomize.py``)
and forgets all else: the names too, or the bytes alone. The other is real: an ext4 file system
in a file, mounted on a loop device (as root), whose bytes are copied while the run works, and
mounted again. Copying them is what a power cut leaves: what the kernel had not written yet is
not there, and the journal is replayed. Many cuts, in the place of a test's few:

    python -m tests.end_to_end.power_cuts --cuts 100
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kit.job import ROOT, content

HOOK = Path(__file__).with_name("power_cut")
SIZE = 64 << 20
"""Bytes of the file system."""


def start(argv: Sequence[object], root: Path, kept: Path) -> subprocess.Popen[bytes]:
    """Starts a run whose folder is below ``root``; what it syncs is remembered in ``kept``."""
    kept.mkdir(parents=True, exist_ok=True)
    env = {
        **os.environ,
        "PYTHONPATH": f"{HOOK}:{ROOT}",
        "POWER_CUT_ROOT": str(root),
        "POWER_CUT_KEPT": str(kept),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *map(str, argv)],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(argv: Sequence[object]) -> None:
    """Runs a command line to its end, and raises if that is not 0."""
    command = [sys.executable, "-m", "pipeline", *map(str, argv)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)


def forget_names(root: Path, kept: Path, disk: Path) -> None:
    """Puts together what was synced of a folder: no name and no byte besides."""
    disk.mkdir()
    names = kept / ("names " + str(root).replace("/", "|"))
    for name, what in json.loads(names.read_text() if names.exists() else "{}").items():
        if what:
            (disk / name).write_bytes(_sync(kept / what))
        else:
            forget_names(root / name, kept, disk / name)


def forget_bytes(root: Path, kept: Path, disk: Path) -> None:
    """Puts together a folder as it stands, each file empty whose bytes were not synced."""
    disk.mkdir()
    for path in sorted(root.rglob("*")):
        there = disk / path.relative_to(root)
        if path.is_dir():
            there.mkdir()
        elif not path.is_symlink():
            about = path.stat()
            there.write_bytes(_sync(kept / f"bytes {about.st_ino} {about.st_mtime_ns}"))


def _sync(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


@contextmanager
def ext4(image: Path) -> Iterator[Path]:
    """An ext4 file system in a file, mounted; a new file is formatted first."""
    if not image.exists():
        with open(image, "wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    place = Path(tempfile.mkdtemp())
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


def can_mount(folder: Path) -> bool:
    """Whether this machine lets this user mount a file."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        return False
    try:
        with ext4(folder / "probe"):
            return True
    except subprocess.CalledProcessError:
        return False


def go_on(argv: Sequence[object], run: Path) -> dict[str, str]:
    """Resumes what a power cut left, or begins anew if that is nothing; gives the content."""
    begun = (run / "settings.json").exists()
    finish([*argv, "--output", run, *(["--resume"] if begun else ["--overwrite"])])
    return content(run)


def cut_synced(argv: Sequence[object], seconds: float | None, home: Path) -> list[dict[str, str]]:
    """Cuts a run's power after so many seconds, or when it has ended; resumes both disks.

    Returns:
        The content of the run's folder after that, for each way to forget.
    """
    root, kept = home / "root", home / "kept"
    root.mkdir(parents=True)
    running = start([*argv, "--output", root / "run"], root, kept)
    with _kill(running, seconds):
        pass
    found = []
    for number, forget in enumerate((forget_names, forget_bytes)):
        disk = home / f"disk{number}"
        forget(root, kept, disk)
        found.append(content(disk / "run") if seconds is None else go_on(argv, disk / "run"))
    return found


def cut_ext4(argv: Sequence[object], seconds: float | None, home: Path) -> dict[str, str]:
    """Cuts the power of a run on a real file system; resumes what its journal brings back."""
    home.mkdir(parents=True)
    with ext4(home / "image") as root:
        running = start([*argv, "--output", root / "run"], Path("/nowhere"), home / "kept")
        with _kill(running, seconds):
            shutil.copyfile(home / "image", home / "copy")
    with ext4(home / "copy") as root:
        return content(root / "run") if seconds is None else go_on(argv, root / "run")


@contextmanager
def _kill(running: subprocess.Popen[bytes], seconds: float | None) -> Iterator[None]:
    """A moment of a run: after so many seconds, or right after its end; then it is killed."""
    with suppress(subprocess.TimeoutExpired):
        running.wait(timeout=seconds)
    try:
        yield
    finally:
        running.kill()
        running.wait()


RUNS: dict[str, tuple[object, ...]] = {
    "ridge": ("--refreshes", 20, "--rate", 200, "--learner", "ridge", "--keep", 0),
    "forest": ("--refreshes", 6, "--rate", 50, "--learner-param", "n_estimators=10"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Cuts many runs; gives 1 if one of them did not end with the undisturbed run's files."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.power_cuts")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    choose, lost = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        mounts = can_mount(home)
        for kind, options in RUNS.items():
            began = time.monotonic()
            finish([*options, "--output", home / kind])
            length, whole = time.monotonic() - began, content(home / kind)
            for number in range(given.cuts // len(RUNS)):
                seconds, place = choose.uniform(0, 1.2 * length), home / f"{kind}{number}"
                found = cut_synced(options, seconds, place)
                found += [cut_ext4(options, seconds, place / "real")] if mounts else []
                lost += sum(each != whole for each in found)
                print(f"{kind} cut after {seconds:.2f} s: {[each == whole for each in found]}")
                shutil.rmtree(place)
    print(f"{given.cuts} cuts, {lost} folders that differ (real file system: {mounts})")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
