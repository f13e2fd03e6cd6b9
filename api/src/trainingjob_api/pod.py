"""The parts of a spec that configure the pods of a TrainingJob."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainingjob_api.values import (
    LABEL_KEY,
    LABEL_VALUE,
    QUEUE_NAME,
    RESOURCE_NAME,
    AcceleratorPolicy,
    Labels,
    Name,
    Part,
    Quantity,
    Seconds,
    amount,
)


class Toleration(Part):
    """A toleration of the pod, as in the core API."""

    key: Annotated[str, Field(pattern=LABEL_KEY, min_length=1, max_length=317)] | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)] | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = Field(default=None, ge=0, le=31_536_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.key is None and self.operator != "Exists":
            raise ValueError("a toleration must have a key unless its operator is Exists")
        if self.value is not None and self.operator == "Exists":
            raise ValueError("a toleration must not have a value when its operator is Exists")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("a toleration must have the effect NoExecute when tolerationSeconds is set")
        return self


Tolerations = Annotated[tuple[Toleration, ...], Field(strict=False, max_length=16)]


class Accelerator(Part):
    """Whether and how to request an accelerator. ``TrainingRun.accelerator`` has the result."""

    policy: AcceleratorPolicy | None = None
    resource_name: str = Field(
        default="nvidia.com/gpu",
        pattern=RESOURCE_NAME,
        min_length=3,
        max_length=317,
    )
    fallback_after_seconds: Seconds = 300
    node_selector: Labels = Field(default_factory=dict)
    tolerations: Tolerations = ()
    runtime_class_name: Name | None = None


class ResourceQuantities(Part):
    """Quantities of the resources that a container may request, without the accelerator."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    ephemeral_storage: Quantity | None = Field(default=None, alias="ephemeral-storage")


class Resources(Part):
    """Resources of the trainer's container."""

    requests: ResourceQuantities = Field(default_factory=ResourceQuantities)
    limits: ResourceQuantities = Field(default_factory=ResourceQuantities)

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        for name, field in ResourceQuantities.model_fields.items():
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request is not None and limit is not None and amount(request) > amount(limit):
                raise ValueError(f"requests.{field.alias} must not be above limits.{field.alias}")
        return self


class Scheduling(Part):
    """Where and when the pod is scheduled."""

    node_selector: Labels = Field(default_factory=dict)
    tolerations: Tolerations = ()
    priority_class_name: Name | None = None
    queue_name: Annotated[str, Field(pattern=QUEUE_NAME, min_length=1, max_length=63)] | None = None


class RunPolicy(Part):
    """Limits of time and retries of a run."""

    suspend: bool = False
    backoff_limit: int = Field(default=3, ge=0, le=20)
    active_deadline_seconds: Seconds = 86_400
    scheduling_timeout_seconds: Seconds | None = None
    stall_timeout_seconds: Seconds = 1800
    job_ttl_seconds_after_finished: int = Field(default=86_400, ge=0, le=31_536_000, alias="jobTTLSecondsAfterFinished")
