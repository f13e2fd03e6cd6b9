"""The spec of a TrainingJob as the operator reads it: its defaults, the parts that shape a Job, and what is equal.

The API's JSON comes in as it is. Pure. The CRD is the source of truth; a test keeps the defaults and the hash equal to
the CRD's and the trainer's.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Policy = Literal["Required", "Preferred", "Disabled"]

DEFAULTS: Mapping[str, Any] = {
    "model": {
        "gru": {
            "sequenceLength": 60,
            "units": [64, 32],
            "dropout": 0.2,
            "epochs": 100,
            "batchSize": 32,
            "learningRate": 0.001,
            "validationFraction": 0.1,
            "earlyStoppingPatience": 15,
            "reduceLROnPlateauPatience": 5,
            "features": [],
            "missingIndicators": "Refuse",
            "healthRanges": {},
            "output": "Residual",
        },
        "xgb": {
            "preFailureWindowMinutes": 30,
            "rpmDropPercent": -70,
            "search": {
                "nEstimators": [100, 200],
                "maxDepth": [4, 6, 8],
                "learningRate": [0.05, 0.1, 0.2],
                "subsample": [0.8, 1.0],
                "scoring": "recall",
            },
            "folds": 3,
            "targetRecall": 0.8,
        },
        "seed": 42,
    },
    "data": {"table": "processed_data", "columns": {}, "limits": {}, "minRows": 1000, "testFraction": 0.2},
    "artifacts": {"bucket": "models"},
    "gates": [],
    "reuse": "Equal",
    "accelerator": {
        "resourceName": "nvidia.com/gpu",
        "fallbackAfterSeconds": 300,
        "nodeSelector": {},
        "tolerations": [],
    },
    "scheduling": {"nodeSelector": {}, "tolerations": []},
    "runPolicy": {
        "suspend": False,
        "backoffLimit": 3,
        "activeDeadlineSeconds": 86_400,
        "stallTimeoutSeconds": 1800,
        "jobTTLSecondsAfterFinished": 86_400,
    },
}
"""Every default of the spec. What is not here is absent by default, and absence means something of its own."""


@dataclass(frozen=True)
class Accelerator:
    """What an attempt that asks for an accelerator needs; ``policy`` None is the operator's configuration."""

    policy: Policy | None
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
        machine: Name of the machine.
        model_type: ``gru`` or ``xgb``.
        may_adopt: Whether an equal registered model may be taken instead of training.
        database_secret_name: None is the operator's configuration.
        store_secret_name: None is the operator's configuration.
        resources: As in a container; None is the operator's configuration.
        accelerator: For attempts that ask for one.
        scheduling: For every attempt.
        run_policy: How long and how often.
    """

    machine: str
    model_type: Literal["gru", "xgb"]
    may_adopt: bool
    database_secret_name: str | None
    store_secret_name: str | None
    resources: Mapping[str, Any] | None
    accelerator: Accelerator
    scheduling: Scheduling
    run_policy: RunPolicy


@dataclass(frozen=True)
class Window:
    """The resolved window of the data, half open: ``end`` is excluded. ``start`` None is from the first row."""

    start: datetime | None
    end: datetime


def read_specification(spec: Mapping[str, Any]) -> Specification:
    """Read the spec of a TrainingJob that the API server accepted."""
    accelerator = _resolved(spec, "accelerator")
    scheduling = _resolved(spec, "scheduling")
    policy = _resolved(spec, "runPolicy")
    return Specification(
        machine=spec["machine"],
        model_type=spec["model"]["type"],
        may_adopt=spec.get("reuse", DEFAULTS["reuse"]) == "Equal",
        database_secret_name=_resolved(spec, "data").get("databaseSecretName"),
        store_secret_name=_resolved(spec, "artifacts").get("secretName"),
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
    )


def resolve_window(spec: Mapping[str, Any], now: datetime) -> Window:
    """Fix the window of the data at the moment the run is accepted.

    An end date is included whole, an end instant is excluded; lookbackDays are the last whole UTC days before ``now``.
    The end is never later than ``now``, so that telemetry which keeps coming in changes no attempt of the run.

    Args:
        spec: The spec of the TrainingJob.
        now: The moment of acceptance, with a time zone.
    """
    data = spec.get("data") or {}
    now = now.astimezone(UTC).replace(microsecond=0)
    if days := data.get("lookbackDays"):
        midnight = now.replace(hour=0, minute=0, second=0)
        return Window(midnight - timedelta(days=days), midnight)
    start, end = data.get("startDate"), data.get("endDate")
    return Window(_first_instant(start) if start else None, min(_end(end), now) if end else now)


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Hash what decides the model: machine, model and data, without Secret names. Equal hashes are equal models.

    SHA-256, in hex, of JSON with sorted keys and without whitespace, in which whole numbers have no fraction and what
    equals its default is left out: a new field whose default is the old behaviour changes no hash.
    """
    data = {key: value for key, value in (spec.get("data") or {}).items() if key != "databaseSecretName"}
    decisive = {"machine": spec["machine"], "model": spec["model"], "data": data}
    return _digest(_without_defaults(decisive, DEFAULTS))


def gates_hash(spec: Mapping[str, Any]) -> str:
    """Hash the gates, whatever their order."""
    return _digest(sorted((_plain(gate) for gate in spec.get("gates") or ()), key=lambda gate: str(gate["metric"])))


def attempt_hash(spec: Mapping[str, Any]) -> str:
    """Hash what shapes a Job but not the model; short enough for a label.

    Accelerator, resources, scheduling, artifacts, Secret names and gates: a change of these during a run is the next
    attempt. Not runPolicy, whose limits hold from the next Job on, nor reuse, which only a run's start looks at.
    """
    parts = {key: spec[key] for key in ("accelerator", "resources", "scheduling", "artifacts") if spec.get(key)}
    shaping = _without_defaults(parts, DEFAULTS)
    secret = (spec.get("data") or {}).get("databaseSecretName")
    return _digest({**shaping, "gates": gates_hash(spec), "databaseSecretName": secret})[:16]


def _resolved(spec: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return {**DEFAULTS[part], **(spec.get(part) or {})}


def _first_instant(moment: str) -> datetime:
    return datetime.fromisoformat(moment.removesuffix("Z")).replace(tzinfo=UTC)


def _end(moment: str) -> datetime:
    is_date = len(moment) == len("2025-01-01")
    return _first_instant(moment) + timedelta(days=1 if is_date else 0)


def _without_defaults(part: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in part.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            # A map without defaults of its own, such as columns, is compared whole: its default is the empty map.
            value = _without_defaults(value, default)  # noqa: PLW2901
            default = {}
        if value is not None and value != default:
            kept[key] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    """The same value with whole numbers as integers: JSON's 1 and 1.0 are one number."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
