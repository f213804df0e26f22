"""What the tests of watching share: terminals that keep what they show, files to change."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from model.alerts import Alert, as_ndjson
from model.files import write_whole
from model.runs import RunFolder
from monitor.watch.watched import WatchedRun


def console(width: int, height: int = 30, **more: Any) -> Console:
    """A terminal that keeps what it shows."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=more.pop("encoding", "utf-8"))
    given = {"force_terminal": True, "markup": False, **more}
    return Console(file=file, width=width, height=height, **given)


def plain(width: int, height: int = 30, **more: Any) -> Console:
    """The same without colours."""
    return console(width, height, color_system=None, no_color=True, **more)


def to_plain(result: Console) -> str:
    """All that it has shown."""
    result.file.flush()
    assert isinstance(result.file, io.TextIOWrapper)
    return result.file.buffer.getvalue().decode(result.encoding)


def picture(folder: Path, result: Console) -> list[str]:
    """The lines of a run's picture, without colours unless they are asked for."""
    watched = WatchedRun(RunFolder(str(folder)))
    watched.look()
    result.print(watched.view())
    return to_plain(result).splitlines()


def change(path: Path, **values: Any) -> None:
    """Changes values of a JSON file, whole, as a run does: who watches sees no half."""
    write_whole(str(path), json.dumps({**json.loads(path.read_text()), **values}).encode())


ALERT = {
    **{"refresh_start": "2026-01-01T00:03:00Z", "model": "m", "what": "psi"},
    **{"value": 0.31, "threshold": 0.25},
}


def alert(folder: Path, *columns: str) -> list[Alert]:
    """Writes alerts of the refresh at 00:03 for some columns; gives them."""
    raised = [Alert.model_validate({**ALERT, "column": column}) for column in columns]
    (folder / "alerts").mkdir()
    (folder / "alerts" / "20260101T000300Z.ndjson").write_bytes(as_ndjson(raised))
    return raised


def now(seconds: float = 0.0) -> str:
    """The time in so many seconds."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()
