"""The defaults of the spec as JSON, derived from its models, for code that reads a spec without validating it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from trainingjob_api.spec import TrainingJobSpec


def defaults_of(model: type[BaseModel]) -> dict[str, Any]:
    """The default of each field by API name; fields that are absent by default are left out.

    Args:
        model: A part of the spec. A required field is left out too, unless it is a part with defaults of its own.
    """
    defaults: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            defaults[field.alias or name] = defaults_of(field.annotation)
        elif not field.is_required() and default is not None:
            defaults[field.alias or name] = TypeAdapter(Any).dump_python(default, mode="json")
    return defaults


DEFAULTS: Mapping[str, Any] = defaults_of(TrainingJobSpec)
"""Every default of the spec. A field that is not in it is absent by default, which has a meaning of its own."""
