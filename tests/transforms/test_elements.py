"""What each transform takes and gives is said by its types, and each type means one thing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import transforms
from transforms import elements

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("transforms/**/*.py"), *ROOT.glob("pipeline/**/*.py")])
CLASSES = [
    (path.relative_to(ROOT).as_posix(), found)
    for path in FILES
    for found in ast.walk(ast.parse(path.read_text()))
    if isinstance(found, ast.ClassDef)
]


def base_of(found: ast.ClassDef) -> str:
    """The bases of a class, as they are written."""
    return " ".join(map(ast.unparse, found.bases))


TRANSFORMS = [(path, found) for path, found in CLASSES if "PTransform" in base_of(found)]
FNS = [(path, found) for path, found in CLASSES if base_of(found).endswith("Fn")]


def names_in_signatures(found: ast.ClassDef) -> set[str]:
    """The names in the bases of a class and in the annotations of its methods."""
    notes: list[ast.expr | None] = [*found.bases]
    for method in found.body:
        if isinstance(method, ast.FunctionDef):
            arguments = [*method.args.args, *method.args.kwonlyargs]
            notes += [*(each.annotation for each in arguments), method.returns]
    parts = [part for note in notes if note is not None for part in ast.walk(note)]
    return {part.id for part in parts if isinstance(part, ast.Name)}


@pytest.mark.parametrize(("path", "found"), TRANSFORMS, ids=[found.name for _, found in TRANSFORMS])
def test_a_transform_says_what_it_takes_and_gives(path: str, found: ast.ClassDef) -> None:
    assert "PTransform[" in base_of(found), f"{path}: {found.name} has no types"
    assert "Any" not in names_in_signatures(found), f"{path}: {found.name}"


@pytest.mark.parametrize(("path", "found"), FNS, ids=[found.name for _, found in FNS])
def test_a_function_of_beams_is_called_so(path: str, found: ast.ClassDef) -> None:
    if "CombineFn" not in base_of(found) and not found.name.startswith("_"):
        assert found.name.endswith("Fn"), f"{path}: {found.name}"


def test_every_element_is_explained_in_the_table() -> None:
    text = elements.__doc__ or ""
    mine = [
        name
        for name, value in vars(elements).items()
        if isinstance(value, type) and value.__module__ == elements.__name__
    ]
    parts = {"Tagged", "Trained", "ScoringTask", "Inference", "RowReference", "ModelReference"}
    assert [name for name in mine if f"``{name}``" not in text and name not in parts] == []


def test_every_file_and_transform_stands_in_the_packages_table() -> None:
    text = transforms.__doc__ or ""
    files = {path.stem for path in ROOT.glob("transforms/*.py")} - {"__init__"}
    assert [name for name in sorted(files) if f"``{name}``" not in text] == []
    steps = [found.name for path, found in TRANSFORMS if path.startswith("transforms/")]
    kit = {"FromBatches", "Gather", "WriteStreamEnd"}
    named = [name for name in steps if not name.startswith("Write") and name not in kit]
    assert [name for name in named if f"``{name}``" not in text] == []
