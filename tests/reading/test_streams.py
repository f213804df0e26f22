"""Compression, archives and encodings: the same rows as of the plain file, or an error."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model.errors import UserError
from model.schema import Csv, Schema
from reading import plan, streams, text
from reading.streams import decompress
from tests.kit.reading import SCHEMA, columns_of, rows_of

HEADER = "t,y,x,k\n"
ROWS = "".join(f"{n},{n}.5,{n},São{n}\n" for n in range(20))
CONTENT = HEADER + ROWS
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
NAMES = {"gz": "gzip", "bz2": "bz2", "xz": "xz"}


def write(tmp_path: Path, content: bytes, name: str) -> str:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def schema_of(encoding: str) -> Schema:
    return SCHEMA.model_copy(update={"csv": Csv(encoding=encoding)})


def refusal(path: str, schema: Schema = SCHEMA) -> str:
    with pytest.raises(UserError) as caught:
        plan(path, schema)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def plain(tmp_path: Path) -> list[list[object]]:
    return columns_of(write(tmp_path, CONTENT.encode(), "plain.csv"))


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("case", ["whole", "parts", "empty first", "empty last", "a part a byte"])
def test_a_file_of_several_streams_has_the_rows_of_all(
    tmp_path: Path, suffix: str, case: str, plain: list[list[object]]
) -> None:
    compress, data = COMPRESS[suffix], CONTENT.encode()
    content = {
        "whole": compress(data),
        "parts": compress(data[:33]) + compress(data[33:]),
        "empty first": compress(b"") + compress(data),
        "empty last": compress(data) + compress(b""),
        "a part a byte": b"".join(compress(data[n : n + 1]) for n in range(len(data))),
    }[case]
    assert columns_of(write(tmp_path, content, f"in.csv.{suffix}")) == plain


@pytest.mark.parametrize("suffix", NAMES)
def test_zeros_behind_a_stream_are_padding(
    tmp_path: Path, suffix: str, plain: list[list[object]]
) -> None:
    compress, data = COMPRESS[suffix], CONTENT.encode()
    content = compress(data[:50]) + bytes(8) + compress(data[50:]) + bytes(2_000_000)
    assert columns_of(write(tmp_path, content, f"in.csv.{suffix}")) == plain


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("case", ["garbage", "cut", "cut in a second stream", "damaged", "plain"])
def test_a_damaged_file_is_refused_and_loses_nothing_in_silence(
    tmp_path: Path, suffix: str, case: str
) -> None:
    compress, data = COMPRESS[suffix], CONTENT.encode()
    whole = compress(data)
    middle = len(whole) // 2
    content = {
        "garbage": whole + b"garbage that is not a stream",
        "cut": whole[:-9],
        "cut in a second stream": whole + whole[:20],
        "damaged": whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :],
        "plain": data,
    }[case]
    if suffix == "zst" and case == "damaged":  # a frame without a checksum need not notice
        return
    path = write(tmp_path, content, f"in.csv.{suffix}")
    assert refusal(path).startswith(f"{path}: cannot be read: ")


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 40), st.sampled_from("gbx"))
@settings(max_examples=100, deadline=None)
def test_streams_are_decompressed_whatever_the_pieces(
    parts: list[bytes], piece: int, kind: str
) -> None:
    suffix = {"g": "gz", "b": "bz2", "x": "xz"}[kind]
    data = b"".join(COMPRESS[suffix](part) for part in parts)
    pieces = iter([data[n : n + piece] for n in range(0, len(data), piece)])
    assert b"".join(decompress(pieces, NAMES[suffix])) == b"".join(parts)


def zip_files(*files: tuple[str, bytes], **how: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_all_members_of_a_zip_archive_are_files(tmp_path: Path, plain: list[list[object]]) -> None:
    content = zip_files(
        ("d/b.csv", CONTENT.encode()),
        ("a.ndjson", b'{"t": 1, "y": 2, "x": 3, "k": "a"}\n'),
        ("__MACOSX/d/._b.csv", b"x"),
        ("d/", b""),
        ("d/empty.csv", b""),
    )
    path = write(tmp_path, content, "in.zip")
    planned = plan(path, SCHEMA)
    assert [file.path for file in planned.files] == [f"{path}/a.ndjson", f"{path}/d/b.csv"]
    rows = rows_of(planned)
    assert [[row[name] for name in SCHEMA.columns] for row in rows[1:]] == plain
    assert rows[5]["path"] == f"{path}/d/b.csv" and rows[5]["line"] == 6
    assert planned.notes == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 but no archive", "cannot be read: is not a zip archive, or is cut off"),
        (zip_files(("a.csv", CONTENT.encode()))[:-30], "cannot be read: is not a zip archive, or"),
        (zip_files(("a.parquet", b"PAR1")), "a zip archive must hold plain CSV or NDJSON"),
        (zip_files(("README", b"x")), "a zip archive must hold plain CSV or NDJSON"),
        (zip_files((".a.csv", b"x")), "holds no file with data"),
    ],
)
def test_a_zip_archive_that_cannot_serve_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = write(tmp_path, content, "in.zip")
    assert message in refusal(path) and refusal(path).startswith(path)


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_files(("a.csv", CONTENT.encode())))
    content[60] ^= 0xFF
    path = write(tmp_path, bytes(content), "in.zip")
    assert refusal(path).startswith(f"{path}/a.csv: cannot be read: is damaged: ")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_byte_order_mark_shows_the_encoding(
    tmp_path: Path, encoding: str, suffix: str, plain: list[list[object]]
) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    content = (mark + CONTENT).encode(encoding)
    content = gzip.compress(content) if suffix else content
    path = write(tmp_path, content, f"in.csv{suffix}")
    assert columns_of(path) == plain
    assert columns_of(path, schema_of("cp1252")) == plain


def test_a_mark_that_contradicts_the_schema_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT.encode("utf-8-sig"), "in.csv")
    assert plan(path, schema_of("cp1252")).messages == (
        f"{path}: is utf-8, by its byte order mark, and not cp1252",
    )


@pytest.mark.parametrize(
    "encoding", ["cp1252", "latin-1", "utf-16-le", "utf-16-be", "utf8", "mac-roman", "cp850"]
)
@pytest.mark.parametrize("name", ["in.csv", "in.ndjson", "in.csv.gz"])
def test_the_schema_names_an_encoding(
    tmp_path: Path, encoding: str, name: str, plain: list[list[object]]
) -> None:
    content = CONTENT
    if "ndjson" in name:
        content = "".join(
            f'{{"t":{t},"y":{y},"x":{x},"k":"{k}"}}\n'
            for t, y, x, k in (line.split(",") for line in ROWS.splitlines())
        )
    data = content.encode(encoding)
    path = write(tmp_path, gzip.compress(data) if name.endswith("gz") else data, name)
    planned = plan(path, schema_of(encoding))
    rows = rows_of(planned)
    assert [row["k"] for row in rows] == [row[3] for row in plain]
    assert [row["y"] for row in rows] == [row[1] for row in plain]
    first = 1 if "ndjson" in name else 2
    assert [row["line"] for row in rows] == list(range(first, first + 20))


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.text(st.sampled_from("aé ü€ñ\x80ÿ"), max_size=5)),
    st.integers(1, 9),
    st.sampled_from(["cp1252", "utf-16", "utf-8"]),
)
def test_text_is_decoded_whatever_the_pieces(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    piece: int,
    encoding: str,
) -> None:
    monkeypatch.setattr(streams, "_PIECE", piece)
    monkeypatch.setattr(text, "BLOCK", piece * 3)
    words = [word.encode("cp1252", "ignore").decode("cp1252").strip() for word in words]
    content = HEADER + "".join(f"{n},1,2,{word}\n" for n, word in enumerate(["a", *words]))
    path = write(tmp_path, content.encode(encoding), "in.csv")
    found = [row[3] for row in columns_of(path, schema_of(encoding))]
    assert found == ["a", *(word or None for word in words)]


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (CONTENT.encode("cp1252"), "utf-8", 'is it [csv] encoding = "cp1252"?'),
        (CONTENT.encode("utf-16-le"), "utf-8", 'holds zero bytes: is it [csv] encoding = "utf-16-'),
        (CONTENT.encode("utf-16-be"), "utf-8", 'is it [csv] encoding = "utf-16-be"?'),
        ((CONTENT * 9).encode() + b"0,1,2,\xe3\n", "utf-8", "repair the byte, or name"),
        (CONTENT.encode() + b"0,1,2,\x81\n", "cp1252", "is not cp1252 text: byte 334: character"),
        (CONTENT.encode(), "ascii", "is not ascii text: byte 17: ordinal not in range"),
    ],
)
def test_text_of_another_encoding_is_refused_with_a_proposal(
    tmp_path: Path, content: bytes, encoding: str, message: str
) -> None:
    path = write(tmp_path, content, "in.csv")
    assert message in refusal(path, schema_of(encoding))


def test_the_offset_of_a_wrong_byte_is_that_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_PIECE", 7)
    content = (CONTENT * 3).replace("ã", "a").encode() + b"\xff"
    path = write(tmp_path, content, "in.csv")
    assert f"byte {len(content) - 1}: " in refusal(path, schema_of("ascii"))


@pytest.mark.parametrize("encoding", ["none", "zip", "", "hex", "rot13"])
def test_an_encoding_that_is_none_is_refused(encoding: str) -> None:
    with pytest.raises(ValidationError, match="must be an encoding such as"):
        Csv(encoding=encoding)


@pytest.mark.parametrize("lead", ["", "\n", "\ufeff"])
def test_text_files_are_distinguished_by_their_first_character(tmp_path: Path, lead: str) -> None:
    object_ = '{"t": 1, "y": 2, "x": 3, "k": "a"}\n'
    for name, content in {"a.txt": HEADER + "1,2,3,a\n", "b.txt": object_}.items():
        path = write(tmp_path, (lead + content).encode(), name)
        assert columns_of(path) == [[1, 2.0, 3.0, "a"]] or columns_of(path) == [["1", 2, 3, "a"]]


def test_a_checksum_of_a_stream_is_checked(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(CONTENT.encode()))
    whole[-8:-4] = zlib.crc32(b"other").to_bytes(4, "little")
    path = write(tmp_path, bytes(whole), "in.csv.gz")
    assert "incorrect data check" in refusal(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_file_without_text_is_noted_and_alone_it_is_refused(
    tmp_path: Path, suffix: str, plain: list[list[object]]
) -> None:
    empty = write(tmp_path / "d", COMPRESS[suffix](b""), f"a.csv.{suffix}")
    assert refusal(empty) == f"{empty}: has no text in it"
    write(tmp_path / "d", CONTENT.encode(), "b.csv")
    assert columns_of(str(tmp_path / "d")) == plain
    assert plan(str(tmp_path / "d"), SCHEMA).messages == (f"{empty}: has no text in it",)


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        *((COMPRESS[name](CONTENT.encode()), f".{name}") for name in COMPRESS),
        (zip_files(("a.csv", b"x")), ".zip, or save the spreadsheet as CSV"),
        (b"PAR1 and more", ".parquet"),
    ],
)
@pytest.mark.parametrize("name", ["in.csv", "in.json", "in.txt"])
def test_what_is_no_text_by_its_content_shows_how_to_name_it(
    tmp_path: Path, content: bytes, suffix: str, name: str
) -> None:
    path = write(tmp_path, content, name)
    assert refusal(path).endswith(f"by its content: rename it so that its name ends with {suffix}")
