"""What an attempt asks for: an accelerator, or the CPU. Pure."""

from __future__ import annotations

from trainingjob_api.reasons import Reason
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.objects import JSON
from trainingjob_operator.core.specification import read_specification


def requested_device(spec: JSON, configuration: Configuration, *, fell_back: bool) -> dict[str, str]:
    """The status' ``device`` of an attempt that is about to be claimed; ``resourceName`` is there if it asks for one.

    Args:
        spec: The spec of the TrainingJob.
        configuration: What the operator was deployed with.
        fell_back: Whether the run has given up on the accelerator, which stays for the run.
    """
    specification = read_specification(spec)
    policy = specification.accelerator.policy or configuration.policy(specification.model_type)
    if policy == "Preferred" and fell_back:
        return {"requested": policy, "reason": str(Reason.FELL_BACK_TO_CPU)}
    if policy == "Disabled":
        return {"requested": policy}
    return {"requested": policy, "resourceName": specification.accelerator.resource_name}


def has_fallen_back(status: JSON) -> bool:
    """Whether the claimed run has given up on the accelerator."""
    return (status.get("device") or {}).get("reason") == Reason.FELL_BACK_TO_CPU
