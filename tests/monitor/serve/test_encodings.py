"""Bodies that are compressed: unpacked within bounds, or refused."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from monitor.serve.encodings import UNPACK, unpack
from monitor.serve.problems import Problem
from tests.kit.serve import ARROW, JSON, PEOPLE, arrow, problem_of, rows


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}
BODY = json.dumps(rows()).encode()


def post(api: TestClient, body: bytes, encoding: str, media: str = JSON) -> Any:
    headers = {"content-type": media, "content-encoding": encoding}
    return api.post("/predict", content=body, headers=headers)


@pytest.mark.parametrize("encoding", [*PACK, "identity", "GZIP", " gzip "])
def test_a_compressed_body_is_answered_as_the_plain_one(encoding: str, api: TestClient) -> None:
    pack = PACK.get(encoding.strip().lower(), bytes)
    plain = api.post("/predict", content=BODY).json()
    assert post(api, pack(BODY), encoding).json() == plain
    table = arrow(pa.table(PEOPLE))
    assert post(api, pack(table), encoding, ARROW).json() == plain


def test_encodings_are_undone_last_first(api: TestClient) -> None:
    packed = zstandard.compress(gzip.compress(BODY))
    assert post(api, packed, "gzip, zstd").status_code == 200
    problem_of(post(api, packed, "zstd, gzip"), 400, "bad_body")


@pytest.mark.parametrize("encoding", ["br", "gzip, br", "compress", "gzip, gzip, gzip, gzip"])
def test_an_encoding_that_is_not_taken_is_refused(encoding: str, api: TestClient) -> None:
    answer = post(api, BODY, encoding)
    assert (
        "must be one of gzip, deflate, zstd"
        in problem_of(answer, 415, "unsupported_encoding")["detail"]
    )
    assert answer.headers["accept-encoding"] == "gzip, deflate, zstd"


@pytest.mark.parametrize("encoding", PACK)
def test_what_unpacks_to_too_much_is_refused_and_never_held(encoding: str, api: TestClient) -> None:
    bomb = PACK[encoding](bytes(200 << 20))
    tracemalloc.start()
    problem_of(post(api, bomb, encoding), 413, "body_too_large")  # 1 MiB is allowed
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20
    inner = PACK[encoding](bomb)
    problem_of(post(api, inner, f"{encoding}, {encoding}"), 413, "body_too_large")


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("cut", [0, 1, 10, -1, -5])
def test_what_is_cut_off_is_refused(encoding: str, cut: int, api: TestClient) -> None:
    problem_of(post(api, PACK[encoding](BODY)[:cut], encoding), 400, "bad_body")


@pytest.mark.parametrize("encoding", PACK)
def test_what_is_not_packed_so_is_refused(encoding: str, api: TestClient) -> None:
    problem_of(post(api, BODY, encoding), 400, "bad_body")


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_members_that_follow_each_other_are_one_body(parts: list[bytes]) -> None:
    for encoding in ("gzip", "zstd"):
        packed = b"".join(map(PACK[encoding], parts))
        assert unpack(packed, [encoding], 1000) == b"".join(parts)
    assert unpack(bare_deflate(parts[0]), ["deflate"], 1000) == parts[0]


@given(data=st.binary(max_size=200), most=st.integers(0, 200))
def test_a_body_is_unpacked_whole_or_refused(data: bytes, most: int) -> None:
    for encoding in UNPACK:
        packed = PACK[encoding](data)
        if len(data) <= most:
            assert unpack(packed, [encoding], most) == data
        else:
            with pytest.raises(Problem) as caught:
                unpack(packed, [encoding], most)
            assert caught.value.code == "body_too_large"


def test_json_with_a_byte_order_mark_is_read(api: TestClient) -> None:
    plain = api.post("/predict", content=BODY).json()
    assert api.post("/predict", content=b"\xef\xbb\xbf" + BODY).json() == plain
