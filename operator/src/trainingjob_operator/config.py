"""The operator's configuration: one table of environment variables, read and checked at start."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from trainingjob_api.values import DEFAULT_ACCELERATOR_POLICIES, AcceleratorPolicy

POLICIES: tuple[str, ...] = get_args(AcceleratorPolicy)


class ConfigurationError(Exception):
    """The environment does not make sense; the text names every variable at fault."""


def _text(value: str) -> str:
    return value


def _names(value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _namespaces(value: str) -> tuple[str, ...]:
    names = _names(value)
    wrong = [name for name in names if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)]
    if wrong:
        raise ValueError(f"must list each namespace by its name, patterns are not supported, unlike {', '.join(wrong)}")
    return names


def _policy(value: str) -> str:
    if value not in POLICIES:
        raise ValueError(f"must be one of {', '.join(POLICIES)}")
    return value


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError("must be a whole number above 0")
    return int(value)


def _object(value: str) -> Mapping[str, Any]:
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError("must be a JSON object")
    return parsed


def _texts(value: str) -> Mapping[str, str]:
    parsed = _object(value)
    wrong = [name for name, text in parsed.items() if not isinstance(text, str)]
    if wrong:
        raise ValueError(f"must have strings as values, unlike {', '.join(wrong)}")
    return parsed


def _resources(value: str) -> Mapping[str, Any]:
    parsed = _object(value)
    if not parsed.keys() <= {"requests", "limits"} or not all(isinstance(part, dict) for part in parsed.values()):
        raise ValueError('must have the form {"requests": {...}, "limits": {...}}')
    return parsed


def _setting(variable: str, parse: Callable[[str], Any], default: str | None, description: str) -> Any:
    return field(metadata={"variable": variable, "parse": parse, "default": default, "description": description})


@dataclass(frozen=True)
class Configuration:
    """What the one who deploys the operator decides, the same for every TrainingJob."""

    image_cpu: str = _setting("TRAINER_IMAGE_CPU", _text, None, "Image of the trainer for attempts on the CPU")
    images_accelerator: Mapping[str, str] = _setting(
        "TRAINER_IMAGES_ACCELERATOR", _texts, "{}", "JSON object: image of the trainer by accelerator resource"
    )
    image_pull_secrets: tuple[str, ...] = _setting(
        "IMAGE_PULL_SECRETS", _names, "", "Names of Secrets in the TrainingJob's namespace, separated by commas"
    )
    service_account: str = _setting(
        "TRAINER_SERVICE_ACCOUNT", _text, "default", "Service account of the pods; no token of it is mounted"
    )
    pod_labels: Mapping[str, str] = _setting("TRAINER_POD_LABELS", _texts, "{}", "JSON object: more labels of the pods")
    pod_annotations: Mapping[str, str] = _setting(
        "TRAINER_POD_ANNOTATIONS",
        _texts,
        '{"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}',
        "JSON object: annotations of the pods; the default keeps meshes out, whose sidecars outlive the trainer",
    )
    database_secret: str = _setting(
        "DATABASE_SECRET_NAME", _text, "trainingjob-database", "Secret of the database where the spec names none"
    )
    store_secret: str = _setting(
        "STORE_SECRET_NAME", _text, "trainingjob-store", "Secret of the object store where the spec names none"
    )
    policy_gru: str = _setting(
        "ACCELERATOR_POLICY_GRU",
        _policy,
        DEFAULT_ACCELERATOR_POLICIES["gru"],
        "Required, Preferred or Disabled, where a gru spec says nothing",
    )
    policy_xgb: str = _setting(
        "ACCELERATOR_POLICY_XGB", _policy, DEFAULT_ACCELERATOR_POLICIES["xgb"], "The same for xgb"
    )
    resources: Mapping[str, Any] = _setting(
        "TRAINER_RESOURCES",
        _resources,
        '{"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}',
        "JSON object: resources of the trainer's container where the spec says nothing",
    )
    start_timeout: int = _setting(
        "START_TIMEOUT_SECONDS", _positive, "1800", "How long a pod that has a node may take to start the trainer"
    )
    grace_period: int = _setting(
        "TERMINATION_GRACE_PERIOD_SECONDS", _positive, "120", "How long a trainer may take to save a checkpoint"
    )
    progress_interval: int = _setting(
        "PROGRESS_INTERVAL_SECONDS", _positive, "10", "How often each running trainer is asked how far it is"
    )
    namespaces: tuple[str, ...] = _setting(
        "WATCH_NAMESPACES", _namespaces, "", "Namespaces to watch, separated by commas; empty: all"
    )
    concurrency: int = _setting("CONCURRENCY", _positive, "32", "TrainingJobs that are worked on at the same time")
    lease_namespace: str = _setting(
        "POD_NAMESPACE", _text, "", "Namespace of the Lease that says which replica acts; empty: every one does"
    )
    identity: str = _setting("POD_NAME", _text, "trainingjob-operator", "Name of this replica in the Lease")
    metrics_port: int = _setting("METRICS_PORT", _positive, "8080", "Port of /metrics, /healthz and /readyz")

    def policy(self, model: str) -> str:
        """The accelerator policy for a model type whose spec names none."""
        return self.policy_xgb if model == "xgb" else self.policy_gru

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Configuration:
        """Read the table's variables; one that is set to nothing counts as absent.

        Raises:
            ConfigurationError: Some variable is missing or makes no sense.
        """
        values, faults = {}, []
        for entry in fields(cls):
            variable, default = entry.metadata["variable"], entry.metadata["default"]
            text = environment.get(variable) or default
            if text is None:
                faults.append(f"{variable} is missing: {entry.metadata['description']}")
                continue
            try:
                values[entry.name] = entry.metadata["parse"](text)
            except ValueError as error:
                faults.append(f"{variable} {error}")
        if faults:
            raise ConfigurationError("; ".join(faults))
        return cls(**values)

    @classmethod
    def table(cls) -> list[tuple[str, str | None, str]]:
        """Name, default (None: must be set) and meaning of every variable, for documentation."""
        return [(e.metadata["variable"], e.metadata["default"], e.metadata["description"]) for e in fields(cls)]
