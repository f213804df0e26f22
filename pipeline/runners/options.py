"""Beam's options, for a start that does not parse them again and again."""

from __future__ import annotations

from typing import TypeVar

from apache_beam.options.pipeline_options import PipelineOptions
from typing_extensions import override

View = TypeVar("View", bound=PipelineOptions)


class Options(PipelineOptions):
    """``PipelineOptions`` whose views are made once.

    Beam asks for 500 views while it builds the job's graph, and parses all options for each: a
    tenth of the time from the command to the first batch. What is set in one view shows in all.

    Example:
        >>> from apache_beam.options.pipeline_options import StandardOptions
        >>> options = Options(["--streaming"])
        >>> options.view_as(StandardOptions).streaming
        True
    """

    @override
    def view_as(self, cls: type[View]) -> View:
        """The view of that class; the same one each time."""
        views: dict[type, PipelineOptions] = vars(self).setdefault("views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view = views[cls]
        assert isinstance(view, cls)
        return view
