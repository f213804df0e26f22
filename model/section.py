"""A part of a schema, which is written without the keys that were added later and not set."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Section(BaseModel):
    """A part of a schema, which is written without the keys in ``SPARSE`` that have their default.

    A schema's JSON stands in settings.json and in every artefact, and is hashed. A key that was
    added later must not change the bytes of schemas that do not use it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    SPARSE: ClassVar[frozenset[str]] = frozenset()
    """The keys that were added after the first release."""

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields, written = type(self).model_fields, serialize(self)
        for name in self.SPARSE:
            if getattr(self, name) == fields[name].get_default(call_default_factory=True):
                written.pop(name, None)
        return dict(written)
