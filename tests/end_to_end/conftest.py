"""Command lines run in an empty folder, as in ``tests/pipeline``."""

from tests.pipeline.conftest import home, job

__all__ = ["home", "job"]
