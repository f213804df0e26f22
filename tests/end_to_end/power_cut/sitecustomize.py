"""Remembers what a process has synced, so that a test can take everything else away.

Python imports this at its start where this folder is on the path. Each ``os.fsync`` of a file
below ``POWER_CUT_ROOT`` copies its bytes to ``POWER_CUT_KEPT``; one of a folder copies its names.
``tests.end_to_end.power_cuts`` puts the disk together from that.
"""

from __future__ import annotations

import json
import os
import stat
import threading

_ROOT, _KEPT = os.environ.get("POWER_CUT_ROOT"), os.environ.get("POWER_CUT_KEPT", "")
_sync = os.fsync


def _remember(descriptor: int) -> None:
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if path != _ROOT and not path.startswith(f"{_ROOT}/"):
        return
    about = os.fstat(descriptor)
    if stat.S_ISDIR(about.st_mode):
        name, data = "names " + path.replace("/", "|"), json.dumps(_names(path)).encode()
    else:
        name, data = _name(about), os.pread(descriptor, about.st_size, 0)
    part = os.path.join(_KEPT, f".{os.getpid()}.{threading.get_ident()}")
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, os.path.join(_KEPT, name))


def _name(about: os.stat_result) -> str:
    return f"bytes {about.st_ino} {about.st_mtime_ns}"


def _names(path: str) -> dict[str, str]:
    """What each entry of a folder is: "" for a folder, what names its bytes for a file."""
    found = {}
    for entry in os.scandir(path):
        try:
            about = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        found[entry.name] = "" if stat.S_ISDIR(about.st_mode) else _name(about)
    return found


def _fsync(descriptor: int) -> None:
    _sync(descriptor)
    _remember(descriptor)


if _ROOT:
    os.fsync = _fsync  # type: ignore[assignment]
