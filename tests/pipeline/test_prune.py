"""Old refreshes lose their large files, their figures stay, and a resumed run makes none again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.kit.job import ROOT, SMALL

REFRESHES = [f"20260101T000{minute}00Z" for minute in range(3)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prune") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def held(run: Path) -> dict[str, bytes]:
    """All files but those in which two runs may differ."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name != "status.json" and path.parent.name != "timing"
    }


def test_refreshes_before_the_time_that_is_kept_lose_their_files(run: Path) -> None:
    before = held(run)
    assert main(["prune", str(run), "--keep", "2m"]) == 0
    after = held(run)
    gone = before.keys() - after.keys()
    assert gone and all(REFRESHES[0] in path for path in gone)
    assert not [path for path in gone if path.startswith(("metrics", "models"))]
    assert json.loads(after.pop("pruned.json")) == {"format": 1, "before": "2026-01-01T00:01:00Z"}
    assert after.items() <= before.items()
    assert not (run / "predictions" / REFRESHES[0]).exists()


def test_a_resumed_run_makes_nothing_again_that_was_pruned(
    run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", str(run), "--keep", "2m"]) == 0
    before = held(run)
    assert main(["--resume", "--output", str(run)]) == 0
    assert held(run) == before
    assert "not whole" not in capfd.readouterr().err


def test_a_file_that_is_lost_behind_what_was_pruned_is_made_again(
    run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", str(run), "--keep", "2m"]) == 0
    before = held(run)
    shutil.rmtree(run / "predictions" / REFRESHES[2])
    assert main(["--resume", "--output", str(run)]) == 0
    assert held(run) == before
    assert "not whole, made again" in capfd.readouterr().err


def test_a_dry_run_removes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = held(run)
    assert main(["prune", str(run), "--keep", "2m", "--dry-run"]) == 0
    assert held(run) == before
    assert "of refreshes before 2026-01-01T00:01:00Z would be removed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("keep", "line"),
    [
        ("1m", "--keep 1m: must be >= 120s, two refreshes and as long as labels are waited for"),
        ("soon", "--keep soon: must be"),
    ],
)
def test_too_short_a_time_is_refused(
    run: Path, keep: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = held(run)
    assert main(["prune", str(run), "--keep", keep]) == 2
    assert capsys.readouterr().err.startswith(f"error: {line}")
    assert held(run) == before


def test_the_contract_names_the_file() -> None:
    assert "pruned.json" in (ROOT / "docs/design.md").read_text(encoding="utf-8")
