"""What a schema may say of its classes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model.schema import Features, Schema


def schema(**more: Any) -> Schema:
    keys = {"name": "s", "time": "t", "target": "y", "features": Features(numeric=("x",))}
    return Schema.model_validate({**keys, **more})


def test_without_a_key_of_classes_the_json_is_as_before() -> None:
    written = schema().model_dump_json()
    assert "task" not in written and "calibration" not in written and "classes" not in written


def test_classes_are_the_canonical_texts_of_their_values() -> None:
    made = schema(task="classification", classes=[False, True], positive=True)
    assert made.classes == ("false", "true") and made.positive == "true"
    assert schema(task="classification", classes=[1, 2.0, " a "]).classes == ("1", "2", "a")


WRONG: dict[str, dict[str, Any]] = {
    "classes goes with": {"classes": ["a", "b"]},
    "calibration goes with": {"calibration": "isotonic"},
    "2 or more": {"task": "classification", "classes": ["a"]},
    "named twice": {"task": "classification", "classes": ["1", 1]},
    "positive goes with 2 classes": {
        **{"task": "classification", "classes": ["a", "b", "c"], "positive": "a"}
    },
    "positive must be one of a, b": {
        **{"task": "classification", "classes": ["a", "b"], "positive": "c"}
    },
    "costs needs positive": {"task": "classification", "costs": {"fp": 1, "fn": 2}},
    "costs needs calibration": {
        **{"task": "classification", "costs": {"fp": 1, "fn": 2}, "positive": "a"}
    },
    "greater than 0": {
        **{"task": "classification", "costs": {"fp": 0, "fn": 2}, "positive": "a"},
        "calibration": "sigmoid",
    },
    "own of that name": {"task": "classification", "keep": ["score"]},
}


@pytest.mark.parametrize("message", WRONG)
def test_keys_that_contradict_each_other_are_refused(message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        schema(**WRONG[message])
