"""Elements that are passed by reference are the same elements, and never leave their process."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from model.batch import Key, Tag
from pipeline.__main__ import main
from pipeline.runners import execution
from transforms.coders import RecordBatchCoder, TaggedCoder
from transforms.elements import QuestionRows
from transforms.object_store import MARK, in_process_references

BATCH = pa.record_batch({"x": [1.0, 2.0]}).replace_schema_metadata({"key": "0/0/0"})


def test_a_batch_passed_by_reference_is_sixteen_bytes_and_comes_back_itself() -> None:
    coder = RecordBatchCoder()
    with in_process_references():
        encoded = coder.encode(BATCH)
        assert len(encoded) == 16 and coder.decode(encoded) is BATCH


def test_rows_on_the_way_to_their_file_are_kept_until_they_are_read() -> None:
    rows = QuestionRows(Tag(Key(0, 0, 0), 0, "", 0), BATCH)
    coder = TaggedCoder(QuestionRows)
    with in_process_references():
        encoded = coder.encode(rows)
        assert coder.decode(encoded) is rows
        with pytest.raises(RuntimeError, match="left the process"):
            coder.decode(encoded)


def test_a_batch_in_bytes_is_read_where_others_pass_by_reference_too() -> None:
    coder = RecordBatchCoder()
    encoded = coder.encode(BATCH)
    assert not encoded.startswith(MARK)
    with in_process_references():
        assert coder.decode(encoded).equals(BATCH, check_metadata=True)


def test_a_reference_that_has_left_its_process_is_an_error() -> None:
    coder = RecordBatchCoder()
    with in_process_references():
        encoded = coder.encode(BATCH)
    with pytest.raises(RuntimeError, match="left the process"):
        coder.decode(encoded)


def test_the_context_is_not_entered_twice() -> None:
    with in_process_references(), pytest.raises(RuntimeError, match="already"):
        in_process_references().__enter__()


def test_a_run_has_the_same_files_by_reference_and_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--refreshes", "3", "--rate", "50", "--learner", "ridge", "--output"]
    assert main([*options, str(tmp_path / "hand")]) == 0
    monkeypatch.setattr(execution, "pass_references", lambda pipeline: nullcontext())
    assert main([*options, str(tmp_path / "bytes")]) == 0
    by = {name: files(tmp_path / name) for name in ("hand", "bytes")}
    assert by["hand"] == by["bytes"] and len(by["hand"]) > 10


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "timing" not in path.parts and path.name != "status.json"
    }
