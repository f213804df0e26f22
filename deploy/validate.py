"""Holds the manifests of this folder against the schemas of what reads them.

``make schemas`` brings the schemas (Kubernetes' and Compose's are in packages, that of Flink's
operator in its jar) and an environment that has them::

    .tools/schemas/bin/python -m deploy.validate

It prints a line a document, and ends with 1 if one does not fit. Unknown fields do not fit either.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
MANIFESTS = (*sorted((HERE / "kubernetes").glob("*.yaml")), HERE / "flink/session.yaml")
VERSIONS = ("1.30", "1.37")
"""Of Kubernetes."""
OPERATOR = Path(".tools/schemas/flinkdeployments.flink.apache.org-v1.yml")
"""The definition of the kind FlinkDeployment, from the operator's jar."""


def faults(document: dict[str, Any]) -> list[str]:
    """What does not fit the schema of a manifest's kind."""
    if document["apiVersion"].startswith("flink.apache.org/"):
        return flink_faults(document)
    import kubernetes_validate

    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"Kubernetes {version}: {error.message}")
    return found


def flink_faults(document: dict[str, Any]) -> list[str]:
    """What does not fit the schema of Flink's operator."""
    import jsonschema

    definition = yaml.safe_load(OPERATOR.read_text(encoding="utf-8"))
    name = document["apiVersion"].partition("/")[2]
    [version] = [one for one in definition["spec"]["versions"] if one["name"] == name]
    schema = version["schema"]["openAPIV3Schema"]
    wrong = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)]
    return wrong + list(unknown(document, schema, ""))


def unknown(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """The fields that a schema does not have; Kubernetes would drop them in silence.

    Example:
        >>> schema = {"properties": {"a": {"type": "string"}}}
        >>> list(unknown({"a": "x", "b": 1}, schema, ""))
        ['.b: there is no such field']
    """
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from unknown(one, schema.get("items", {}), f"{path}[{index}]")
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, one in value.items():
        if name in known:
            yield from unknown(one, known[name], f"{path}.{name}")
        elif isinstance(others, dict):
            yield from unknown(one, others, f"{path}.{name}")
        elif known and path + name not in ("apiVersion", "kind", "metadata"):
            yield f"{path}.{name}: there is no such field"


def main() -> int:
    """Holds all manifests against their schemas; 0 if all fit."""
    wrong = 0
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found = faults(document)
            wrong += len(found)
            name = f"{path.relative_to(HERE)} {document['kind']} {document['metadata']['name']}"
            print("\n".join(f"{name}: {text}" for text in found or ["fits"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
