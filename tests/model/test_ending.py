from __future__ import annotations

from pathlib import Path

import pytest

from model.ending import read_end, write_end


def test_an_end_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = str(tmp_path / "until.json")
    assert read_end(path) is None
    write_end(path, 1_795_417_260_000_000)
    assert read_end(path) == 1_795_417_260_000_000


@pytest.mark.parametrize(
    "data",
    ["", "{", "[]", "{}", "null", '{"until": 5}', '{"until": "soon"}', '{"until": "2024-01-01"}'],
)
def test_a_damaged_end_is_as_if_there_were_none(data: str, tmp_path: Path) -> None:
    (tmp_path / "until.json").write_text(data)
    assert read_end(str(tmp_path / "until.json")) is None
