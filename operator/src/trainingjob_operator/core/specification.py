"""The parts of a spec that shape a Job, with defaults resolved, for both kinds.

The JSON of the API is not validated here, so that unknown fields of another version of the CRD do no harm. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainingjob_api.defaults import DEFAULTS, FLEET_DEFAULTS
from trainingjob_operator.core.parent import Parent, TrainingFleet


@dataclass(frozen=True)
class Accelerator:
    """What an attempt that asks for an accelerator needs; ``policy`` None is the operator's configuration."""

    policy: str | None
    resource_name: str
    fallback_after_seconds: int
    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, Any], ...]
    runtime_class_name: str | None


@dataclass(frozen=True)
class Scheduling:
    """Where and when the pod of any attempt may run."""

    node_selector: Mapping[str, str]
    tolerations: tuple[Mapping[str, Any], ...]
    priority_class_name: str | None
    queue_name: str | None


@dataclass(frozen=True)
class RunPolicy:
    """How long and how often a run is tried; seconds, None is for ever."""

    suspend: bool
    backoff_limit: int
    active_deadline_seconds: int
    scheduling_timeout_seconds: int | None
    stall_timeout_seconds: int
    job_ttl_seconds_after_finished: int


@dataclass(frozen=True)
class Specification:
    """The parts of a spec that the operator acts on, with defaults resolved.

    Attributes:
        model_type: ``gru``, ``xgb``, or a type of a newer version.
        may_adopt: Whether an equal registered model may be taken instead of training.
        database_secret_name: None is the operator's configuration.
        store_secret_name: None is the operator's configuration.
        resources: As in a container; None is the operator's configuration.
        accelerator: For attempts that ask for one.
        scheduling: For every attempt.
        run_policy: How long and how often.
        workers: Pods of a TrainingFleet's Job; None for a TrainingJob.
    """

    model_type: str
    may_adopt: bool
    database_secret_name: str | None
    store_secret_name: str | None
    resources: Mapping[str, Any] | None
    accelerator: Accelerator
    scheduling: Scheduling
    run_policy: RunPolicy
    workers: int | None


def read_specification(parent: Parent) -> Specification:
    """Read a spec that the API server accepted."""
    spec, training = parent.spec, parent.training
    accelerator = _resolved(spec, "accelerator")
    scheduling = _resolved(spec, "scheduling")
    policy = _resolved(spec, "runPolicy")
    return Specification(
        model_type=parent.model_type,
        may_adopt=training.get("reuse", DEFAULTS["reuse"]) == "Equal",
        database_secret_name=_resolved(training, "data").get("databaseSecretName"),
        store_secret_name=_resolved(training, "artifacts").get("secretName"),
        resources=spec.get("resources"),
        accelerator=Accelerator(
            policy=accelerator.get("policy"),
            resource_name=accelerator["resourceName"],
            fallback_after_seconds=accelerator["fallbackAfterSeconds"],
            node_selector=accelerator["nodeSelector"],
            tolerations=tuple(accelerator["tolerations"]),
            runtime_class_name=accelerator.get("runtimeClassName"),
        ),
        scheduling=Scheduling(
            node_selector=scheduling["nodeSelector"],
            tolerations=tuple(scheduling["tolerations"]),
            priority_class_name=scheduling.get("priorityClassName"),
            queue_name=scheduling.get("queueName"),
        ),
        run_policy=RunPolicy(
            suspend=policy["suspend"],
            backoff_limit=policy["backoffLimit"],
            active_deadline_seconds=policy["activeDeadlineSeconds"],
            scheduling_timeout_seconds=policy.get("schedulingTimeoutSeconds"),
            stall_timeout_seconds=policy["stallTimeoutSeconds"],
            job_ttl_seconds_after_finished=policy["jobTTLSecondsAfterFinished"],
        ),
        workers=spec.get("workers", FLEET_DEFAULTS["workers"]) if isinstance(parent, TrainingFleet) else None,
    )


def _resolved(spec: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return {**DEFAULTS[part], **(spec.get(part) or {})}
