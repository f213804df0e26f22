"""The API, fuzzed from its own description: no 5xx, and every error in the one shape."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from monitor.serve.problems import ProblemDetails
from pipeline.__main__ import main
from tests.kit.job import SMALL
from tests.kit.serve import ARROW, JSON, PARQUET, Served, arrow, parquet, serve

pytestmark = pytest.mark.slow

KEY = "fuzzing-needs-a-key-too"
OPERATIONS = [
    ("post", "/predict"),
    *(("get", f"/{name}") for name in ("health", "status", "models", "models/{name}")),
    *(("get", f"/{name}") for name in ("refreshes", "windows", "data", "normalized")),
    *(("get", f"/{name}") for name in ("metrics", "skipped", "promotions", "questions")),
    *(("post", "/promotions"), ("get", "/promotions/pinned")),
    *(("get", f"/{name}") for name in ("alerts", "form", "pictures/{group}")),
]


def tables() -> st.SearchStrategy[pa.Table]:
    """Rows of people as Arrow holds them; some of them do not fit the schema."""
    finite = st.floats(-1e150, 1e150)
    numbers = st.lists(st.one_of(st.none(), finite), min_size=3, max_size=3)
    numbers = st.one_of(numbers, st.lists(st.floats(), min_size=3, max_size=3))
    texts = st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=3, max_size=3)
    columns = {"idade": numbers, "idh": numbers, "estado": texts, "cargo": texts}
    return st.fixed_dictionaries(columns).map(pa.table)


@st.composite
def damage(draw: Any, bodies: st.SearchStrategy[bytes]) -> bytes:
    """Bodies, of which some bytes are others."""
    body = bytearray(draw(bodies))
    for at in draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[at] = draw(st.integers(0, 255))
    return bytes(body)


for media, written in ((ARROW, arrow), (PARQUET, parquet)):
    bodies = tables().map(written)
    schemathesis.openapi.media_type(media, st.one_of(bodies, damage(bodies)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of a small run, with an API key."""
    folder = tmp_path_factory.mktemp("fuzz")
    assert main([*SMALL, "--output", str(folder / "run")]) == 0
    Path(folder / "key").write_text(KEY)
    with serve(folder / "run", "--api-key-file", folder / "key", "--max-rows", 50) as made:
        yield made


@pytest.fixture(scope="module")
def api(server: Served) -> Any:
    """The API, as the server describes it."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers={"X-API-Key": KEY})


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_makes_a_5xx_and_every_error_has_the_one_shape(
    method: str, path: str, mode: GenerationMode, api: Any
) -> None:
    seen: Counter[tuple[str, bool]] = Counter()

    @settings(max_examples=200 if path == "/predict" else 30, deadline=None, database=None)
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def fuzz(case: Any) -> None:
        answer = case.call(headers={"X-API-Key": KEY})
        seen[case.media_type or "", answer.status_code == 200] += 1
        case.validate_response(answer, excluded_checks=excluded(case))
        if answer.status_code != 200:
            assert answer.headers["content-type"] == ["application/problem+json"]
            ProblemDetails.model_validate(answer.json())

    try:
        fuzz()
    except Unsatisfiable:  # nothing of it can be wrong
        assert mode is GenerationMode.NEGATIVE
    if path == "/predict" and mode is GenerationMode.POSITIVE:
        assert all(seen[media, True] for media in (JSON, ARROW, PARQUET)), seen
        assert all(seen[media, False] for media in (ARROW, PARQUET)), seen


def test_all_of_the_api_is_fuzzed(api: Any) -> None:
    described = {(m, path) for path, ms in api.raw_schema["paths"].items() for m in ms}
    assert described == {*OPERATIONS, ("get", "/events")}


def excluded(case: Any) -> list[Any]:
    """Checks that go by a body's schema: one of bytes tells nothing of them."""
    if case.path == "/promotions":  # which model there is to pin, no schema says
        return [checks.positive_data_acceptance]
    binary = case.media_type in (ARROW, PARQUET)
    return [checks.positive_data_acceptance, checks.negative_data_rejection] if binary else []


def test_the_description_itself_is_valid(server: Served, api: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(
        api.raw_schema["components"]["schemas"]["ProblemDetails"]
    )
    assert api.raw_schema["openapi"].startswith("3.1")
    assert len(json.dumps(api.raw_schema)) < 100_000
