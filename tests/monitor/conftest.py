"""Command lines run in an empty folder, as in the pipeline's tests."""

from tests.pipeline.conftest import home, job

__all__ = ["home", "job"]
