"""The device that an attempt requests: an accelerator or the CPU. Pure."""

from __future__ import annotations

from trainingjob_api.reasons import Reason
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.parent import JSON, Parent
from trainingjob_operator.core.specification import read_specification


def requested_device(parent: Parent, configuration: Configuration, *, fell_back: bool) -> dict[str, str]:
    """The ``device`` in the status of a new attempt; it has a ``resourceName`` if the attempt requests an accelerator.

    Args:
        parent: The TrainingJob or TrainingFleet.
        configuration: The operator's configuration.
        fell_back: Whether the run has fallen back to the CPU, which holds for the rest of the run.
    """
    specification = read_specification(parent)
    policy = specification.accelerator.policy or configuration.policy(specification.model_type)
    if policy == "Preferred" and fell_back:
        return {"requested": policy, "reason": str(Reason.FELL_BACK_TO_CPU)}
    if policy == "Disabled":
        return {"requested": policy}
    return {"requested": policy, "resourceName": specification.accelerator.resource_name}


def has_fallen_back(status: JSON) -> bool:
    """Whether the current run has fallen back to the CPU."""
    return (status.get("device") or {}).get("reason") == Reason.FELL_BACK_TO_CPU
