"""Manifests with object metadata and spec, validated like the API server validates them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from trainingjob_api.fleet_spec import TrainingFleetSpec
from trainingjob_api.names import ApiVersion, FleetKind, Kind
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.values import DNS_LABEL, LABEL_VALUE, Part

_QUALIFIED_NAME = re.compile(
    r"(?:(?=.{1,253}/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"(?=.{1,63}\Z)[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
)


def _qualified(by_name: Mapping[str, str]) -> Mapping[str, str]:
    for name in by_name:
        if not _QUALIFIED_NAME.fullmatch(name):
            raise ValueError(
                "must have keys of at most 63 letters, digits, -, _ and ., with an optional prefix DOMAIN/, not "
                f"{name!r}"
            )
    return by_name


def _qualified_in_lower_case(by_name: Mapping[str, str]) -> Mapping[str, str]:
    _qualified({name.lower(): value for name, value in by_name.items()})
    return by_name


ObjectName = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]


class Metadata(Part):
    """Object metadata. Fields that the server sets are accepted too, so that output of ``kubectl get`` is valid."""

    name: ObjectName
    namespace: ObjectName | None = None
    labels: Annotated[
        Mapping[str, Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]], AfterValidator(_qualified)
    ] = Field(default_factory=dict)
    annotations: Annotated[Mapping[str, str], AfterValidator(_qualified_in_lower_case)] = Field(default_factory=dict)
    generate_name: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    self_link: str | None = None
    finalizers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    owner_references: Annotated[tuple[Mapping[str, Any], ...], Field(strict=False)] = ()
    managed_fields: Annotated[tuple[Mapping[str, Any], ...], Field(strict=False)] = ()


class TrainingJobManifest(Part):
    """One TrainingJob. A status is ignored, as the API server does when an object is created."""

    api_version: ApiVersion
    kind: Kind
    metadata: Metadata
    spec: TrainingJobSpec
    status: Any = None


class TrainingFleetManifest(Part):
    """One TrainingFleet, in the same way."""

    api_version: ApiVersion
    kind: FleetKind
    metadata: Metadata
    spec: TrainingFleetSpec
    status: Any = None
