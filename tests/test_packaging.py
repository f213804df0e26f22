"""What the package says of itself: its parts, what they import, and where its version stands."""

from __future__ import annotations

import ast
import pkgutil
import re
import runpy
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement

import pipeline

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {"benchmarks", "deploy", "docs", "examples", "tests"}
SHIPPED = sorted(
    folder.parent.name
    for folder in ROOT.glob("*/__init__.py")
    if folder.parent.name not in NOT_SHIPPED
)
with pytest.MonkeyPatch.context() as patch:
    patch.setattr(setuptools, "setup", lambda **_: None)
    SETUP = runpy.run_path(str(ROOT / "setup.py"))
CORE = [Requirement(text) for text in SETUP["CORE"]]
DECLARED = [
    *CORE,
    *(
        Requirement(text)
        for name, extra in SETUP["EXTRAS"].items()
        if name != "test"
        for text in extra
    ),
]
OPTIONAL = {
    "confluent_kafka",
    "fastavro",
    "mlflow",
    "onnx",
    "onnxruntime",
    "pandas",
    "river",
    "skl2onnx",
}
"""What the job itself imports only where it is asked for by name, or brought by a user."""
BROUGHT = {"river"}
"""What no extra names, since a user's own learner brings it."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports_of(package: str) -> set[str]:
    """The top-level names that a package imports, ours and the standard library's apart."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    names = {name.split(".")[0] for name in found}
    return names - sys.stdlib_module_names - set(SHIPPED)


@pytest.mark.parametrize("package", SHIPPED)
def test_what_a_package_imports_is_declared(package: str) -> None:
    declared = {canonical(one.name) for one in DECLARED}
    distributions = packages_distributions()
    missing = {
        name
        for name in imports_of(package) - BROUGHT
        if not {canonical(one) for one in distributions.get(name, [name])} & declared
    }
    assert missing == set()


def test_model_reading_and_transforms_need_no_extra() -> None:
    core = {canonical(one.name) for one in CORE}
    distributions = packages_distributions()
    for name in imports_of("model") | imports_of("reading") | imports_of("transforms"):
        if name not in OPTIONAL:
            assert {canonical(one) for one in distributions.get(name, [name])} & core, name


@pytest.mark.parametrize("package", SHIPPED)
def test_a_package_shows_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_the_version_stands_in_one_place() -> None:
    version = re.compile(rf"\b{re.escape(pipeline.__version__)}\b.*correnteza|__version__ = ")
    places = [
        path.relative_to(ROOT)
        for package in (*SHIPPED, "deploy", "examples")
        for path in (ROOT / package).rglob("*.py")
        if version.search(path.read_text(encoding="utf-8"))
    ]
    assert places == [Path("pipeline/__init__.py")]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {pipeline.__version__} (" in changes


def test_the_licence_is_apaches_second() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_page_of_public_names_has_all_that_pipeline_gives_and_each_is_there() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: (\S+)$", page, re.M)
    assert {name.rpartition(".")[2] for name in names} >= set(pipeline._FUNCTIONS)
    for name in names:
        found = pkgutil.resolve_name(name)
        assert found.__doc__, name
