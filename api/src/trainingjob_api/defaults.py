"""The defaults of the spec as JSON, derived from its models, for code that reads a spec without validating it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from trainingjob_api.fleet_spec import TrainingFleetSpec
from trainingjob_api.spec import TrainingJobSpec


def defaults_of(model: type[BaseModel]) -> dict[str, Any]:
    """The default of each field by API name; fields without a default are omitted.

    Args:
        model: A part of the spec. A required field is omitted too, unless its type is a part that has defaults.
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
"""Every default of a TrainingJob's spec. A field that is not in it has no default: its absence is meaningful."""

FLEET_DEFAULTS: Mapping[str, Any] = defaults_of(TrainingFleetSpec)
"""The same of a TrainingFleet."""
