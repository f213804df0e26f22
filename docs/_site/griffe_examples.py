"""Makes the heading ``Example:`` of our docstrings the ``Examples:`` that Griffe knows."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class ExampleSections(Extension):
    """Griffe calls it for each object that it has read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Renames the section."""
        if obj.docstring is not None:
            value = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", value, flags=re.M)
