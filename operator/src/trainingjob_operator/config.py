"""The operator's configuration, read from environment variables and validated at start."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Json, PositiveInt, ValidationError
from pydantic_core import ErrorDetails

from trainingjob_api.values import DEFAULT_ACCELERATOR_POLICIES, AcceleratorPolicy, amount


class ConfigurationError(Exception):
    """The environment is not valid; the text names every variable with an error."""


def _names(value: object) -> object:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _namespaces(value: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [name for name in value if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)]
    if wrong:
        raise ValueError(f"must list each namespace by its name, patterns are not supported: {', '.join(wrong)}")
    return value


def _quantity(value: str | int) -> str | int:
    amount(value)
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Namespaces = Annotated[Names, AfterValidator(_namespaces)]
ResourceQuantity = Annotated[str | int, AfterValidator(_quantity)]
Texts = Json[Mapping[str, str]]
VolumeSource = Json[Mapping[str, Mapping[str, Any]]]
Resources = Json[Mapping[Literal["requests", "limits"], Mapping[str, ResourceQuantity]]]


class Configuration(BaseModel):
    """The settings that hold for every TrainingJob and TrainingFleet."""

    model_config = ConfigDict(frozen=True)

    image_cpu: str = Field(alias="TRAINER_IMAGE_CPU", description="Image of the trainer for attempts on the CPU")
    images_accelerator: Texts = Field(
        {}, alias="TRAINER_IMAGES_ACCELERATOR", description="JSON object: image of the trainer by accelerator resource"
    )
    image_pull_secrets: Names = Field(
        (),
        alias="IMAGE_PULL_SECRETS",
        description="Names of Secrets in the namespace of the pods, separated by commas",
    )
    service_account: str = Field(
        "default", alias="TRAINER_SERVICE_ACCOUNT", description="Service account of the pods; its token is not mounted"
    )
    pod_labels: Texts = Field({}, alias="TRAINER_POD_LABELS", description="JSON object: additional labels of the pods")
    pod_annotations: Texts = Field(
        {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"},
        alias="TRAINER_POD_ANNOTATIONS",
        description="JSON object: annotations of the pods; the default disables the sidecars of service meshes, "
        "which keep a pod running after the trainer has ended",
    )
    database_secret: str = Field(
        "trainingjob-database",
        alias="DATABASE_SECRET_NAME",
        description="Secret of the database if the spec names none",
    )
    store_secret: str = Field(
        "trainingjob-store",
        alias="STORE_SECRET_NAME",
        description="Secret of the object store if the spec names none",
    )
    policy_gru: AcceleratorPolicy = Field(
        DEFAULT_ACCELERATOR_POLICIES["gru"],
        alias="ACCELERATOR_POLICY_GRU",
        description="Required, Preferred or Disabled, if a gru spec has no accelerator policy",
    )
    policy_xgb: AcceleratorPolicy = Field(
        DEFAULT_ACCELERATOR_POLICIES["xgb"], alias="ACCELERATOR_POLICY_XGB", description="The same for xgb"
    )
    resources: Resources = Field(
        {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
        alias="TRAINER_RESOURCES",
        description="JSON object: resources of the trainer's container if the spec has none",
    )
    cache_volume: VolumeSource = Field(
        {},
        alias="TRAINER_CACHE_VOLUME",
        description="JSON object: volume in which the trainers keep compiled programs, as in `spec.volumes` of a pod "
        'without its name, for example `{"persistentVolumeClaim": {"claimName": "trainer-cache"}}`',
    )
    start_timeout: PositiveInt = Field(
        1800,
        alias="START_TIMEOUT_SECONDS",
        description="How long a pod may take to start the trainer after it has a node",
    )
    grace_period: PositiveInt = Field(
        120, alias="TERMINATION_GRACE_PERIOD_SECONDS", description="How long a trainer may take to save a checkpoint"
    )
    progress_interval: PositiveInt = Field(
        10,
        alias="PROGRESS_INTERVAL_SECONDS",
        description="How often the progress of each running trainer is read",
    )
    namespaces: Namespaces = Field(
        (), alias="WATCH_NAMESPACES", description="Namespaces to watch, separated by commas; empty: all"
    )
    concurrency: PositiveInt = Field(
        32, alias="CONCURRENCY", description="TrainingJobs and TrainingFleets that are reconciled at the same time"
    )
    lease_namespace: str = Field(
        "",
        alias="POD_NAMESPACE",
        description="Namespace of the Lease for leader election; empty: every replica is a leader",
    )
    identity: str = Field("trainingjob-operator", alias="POD_NAME", description="Name of this replica in the Lease")
    metrics_port: PositiveInt = Field(
        8080, alias="METRICS_PORT", description="Port of /metrics, /healthz and /readyz", le=65535
    )

    def policy(self, model: str) -> str:
        """The accelerator policy for a model type whose spec names none."""
        return self.policy_xgb if model == "xgb" else self.policy_gru

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Configuration:
        """Read the variables; an empty variable counts as absent.

        Raises:
            ConfigurationError: Variables are missing or not valid.
        """
        try:
            return cls.model_validate({variable: text for variable, text in environment.items() if text})
        except ValidationError as invalid:
            raise ConfigurationError("; ".join(_describe(error) for error in invalid.errors())) from invalid

    @classmethod
    def table(cls) -> list[tuple[str, str | None, str]]:
        """Variable, default (None: required) and meaning, for the documentation."""
        return [
            (field.alias or name, None if field.is_required() else _text(field.default), field.description or "")
            for name, field in cls.model_fields.items()
        ]


def _describe(error: ErrorDetails) -> str:
    variable, *path = map(str, error["loc"])
    if error["type"] == "missing":
        field = next(field for field in Configuration.model_fields.values() if field.alias == variable)
        return f"{variable} is missing: {field.description}"
    where = f" ({'.'.join(path)})" if path else ""
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{variable}{where}: {message.replace('dictionary', 'JSON object')}"


def _text(default: Any) -> str:
    if isinstance(default, dict):
        return json.dumps(default)
    return ",".join(default) if isinstance(default, tuple) else str(default)
