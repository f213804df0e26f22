"""``/promotions``: a model is pinned over HTTP, with a key alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.store import Store
from tests.kit.serve import client, problem_of

KEY = "a-key-of-enough-letters"
HEADERS = {"X-API-Key": KEY}


def test_a_model_is_pinned_and_unpinned_and_each_act_is_listed(mine: Path) -> None:
    newest, *_, oldest = reversed(Store(str(mine / "models")).names())
    with client(mine, key=KEY) as api:
        assert api.get("/promotions").status_code == 401
        assert api.post("/promotions", json={"what": "unpin"}).status_code == 401
        asked = {"what": "pin", "model": oldest, "why": "odd"}
        answer = api.post("/promotions", json=asked, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        assert answer.json()["message"].startswith(f"{oldest} serves from ")
        [act] = api.get("/promotions", headers=HEADERS).json()
        assert api.get("/promotions/pinned", headers=HEADERS).json() == act
        assert (act["what"], act["from"], act["to"], act["why"]) == ("pin", newest, oldest, "odd")
        assert api.post("/promotions", json={"what": "unpin"}, headers=HEADERS).status_code == 200
        listed = api.get("/promotions?limit=1", headers=HEADERS).json()
        assert [act["what"] for act in listed] == ["unpin"]
        assert api.get("/promotions/pinned", headers=HEADERS).json() is None
        problem_of(
            api.post("/promotions", json={"what": "unpin"}, headers=HEADERS), 422, "bad_rows"
        )
        bodies: list[Any] = [{"what": "pin"}, {"what": "drop"}, {"what": "unpin", "model": "x"}, []]
        for body in bodies:
            problem_of(api.post("/promotions", json=body, headers=HEADERS), 400, "bad_body")
        unknown = {"what": "pin", "model": "../../x"}
        problem_of(api.post("/promotions", json=unknown, headers=HEADERS), 422, "bad_rows")


def test_without_a_key_nothing_can_be_pinned(mine: Path) -> None:
    with client(mine) as api:
        assert api.get("/promotions").json() == []
        assert api.get("/promotions/pinned").json() is None
        assert api.post("/promotions", json={"what": "unpin"}).status_code == 405
