"""Builds the spec of the trainer's pod. Pure: a function of the custom resource and the configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trainingjob_api.names import CACHE_VARIABLE, CONTAINER, METRICS_PORT, TERMINATION_LOG, THREADS_VARIABLE
from trainingjob_api.servers import DATABASE_VARIABLES, STORE_VARIABLES, SecretKey
from trainingjob_api.values import amount
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.parent import Parent
from trainingjob_operator.core.run_input import run_of
from trainingjob_operator.core.specification import Specification

USER = 65532
DATABASE_FILES = "/etc/trainingjob/database"
STORE_FILES = "/etc/trainingjob/store"
CACHE_FOLDER = "/var/cache/trainingjob"


def build_pod_spec(parent: Parent, specification: Specification, configuration: Configuration) -> dict[str, Any]:
    """Build the spec of the pods of the current attempt."""
    scheduling = specification.scheduling
    accelerator = (parent.status.get("device") or {}).get("resourceName")
    selector, tolerations = dict(scheduling.node_selector), list(scheduling.tolerations)
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": configuration.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": configuration.grace_period,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(parent, specification, configuration, accelerator)],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            _certificate("database", specification.database_secret_name or configuration.database_secret),
            _certificate("store", specification.store_secret_name or configuration.store_secret),
            *([{**configuration.cache_volume, "name": "cache"}] if configuration.cache_volume else []),
        ],
    }
    if accelerator:
        selector |= specification.accelerator.node_selector
        tolerations += [*specification.accelerator.tolerations, {"key": accelerator, "operator": "Exists"}]
        if specification.accelerator.runtime_class_name:
            pod["runtimeClassName"] = specification.accelerator.runtime_class_name
    if configuration.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in configuration.image_pull_secrets]
    if scheduling.priority_class_name:
        pod["priorityClassName"] = scheduling.priority_class_name
    if selector:
        pod["nodeSelector"] = selector
    if tolerations:
        pod["tolerations"] = tolerations
    return pod


def _container(
    parent: Parent, specification: Specification, configuration: Configuration, accelerator: str | None
) -> dict[str, Any]:
    resources = {part: dict(amounts) for part, amounts in (specification.resources or configuration.resources).items()}
    threads = _threads(resources)
    if accelerator:
        # Kubernetes sets the request of an extended resource to its limit.
        resources["limits"] = {**resources.get("limits", {}), accelerator: "1"}
    database = specification.database_secret_name or configuration.database_secret
    store = specification.store_secret_name or configuration.store_secret
    command, variable, run = run_of(parent, specification)
    return {
        "name": CONTAINER,
        "image": configuration.images_accelerator[accelerator] if accelerator else configuration.image_cpu,
        "imagePullPolicy": "IfNotPresent",
        "args": [command],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "env": [
            {"name": variable, "value": run},
            *_from_secret(database, DATABASE_VARIABLES),
            {"name": "PGSSLROOTCERT", "value": f"{DATABASE_FILES}/ca.crt"},
            *_from_secret(store, STORE_VARIABLES),
            {"name": "S3_CA_FILE", "value": f"{STORE_FILES}/ca.crt"},
            *([{"name": THREADS_VARIABLE, "value": str(threads)}] if threads else []),
            *([{"name": CACHE_VARIABLE, "value": CACHE_FOLDER}] if configuration.cache_volume else []),
        ],
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "database", "mountPath": DATABASE_FILES, "readOnly": True},
            {"name": "store", "mountPath": STORE_FILES, "readOnly": True},
            *([{"name": "cache", "mountPath": CACHE_FOLDER}] if configuration.cache_volume else []),
        ],
    }


def _from_secret(secret: str, variables: Mapping[str, SecretKey]) -> list[dict[str, Any]]:
    return [
        {
            "name": variable,
            "valueFrom": {"secretKeyRef": {"name": secret, "key": key} | ({"optional": True} if optional else {})},
        }
        for variable, (key, optional) in variables.items()
    ]


def _certificate(name: str, secret: str) -> dict[str, Any]:
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    return {"name": name, "secret": {"secretName": secret, "items": items, "optional": True}}


def _threads(resources: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The CPUs of the limit, else of the request, rounded up. Libraries would count the cores of the node instead."""
    cpu = resources.get("limits", {}).get("cpu") or resources.get("requests", {}).get("cpu")
    return max(1, math.ceil(amount(cpu))) if cpu else None
