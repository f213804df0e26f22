"""Where the launcher of a flex template begins: it runs this file in the image.

A template's parameters are names without a dash, and each has a value; our options have dashes,
and some are flags.
"""

from __future__ import annotations

import sys

from pipeline.__main__ import main
from pipeline.settings import Settings, option


def to_argv(given: list[str]) -> list[str]:
    """The command line for what the launcher gives; Beam's options stay as they are.

    Example:
        >>> to_argv(["--sample_rows=9", "--live=true", "--resume=false", "--region=r"])
        ['--sample-rows=9', '--live', '--region=r']
        >>> to_argv(["--schema=a.toml", "--learner_param=alpha=1 solver=svd"])
        ['--schema=a.toml', '--learner-param=alpha=1', '--learner-param=solver=svd']
    """
    return [argument for one in given for argument in _arguments(one)]


def _arguments(given: str) -> list[str]:
    name, _, value = given.removeprefix("--").partition("=")
    field = "schema_file" if name == "schema" else name
    known = Settings.model_fields.get(field)
    if known is None:
        return [given]
    if known.annotation is bool:
        return [option(field)] if value.lower() in ("true", "") else []
    values = value.split() if field == "learner_param" else [value]
    return [f"{option(field)}={one}" for one in values]


if __name__ == "__main__":
    sys.exit(main(to_argv(sys.argv[1:])))
