"""Builds the Job of one attempt. Pure: a function of the TrainingJob and the configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trainingjob_api.exit_codes import FINAL_EXIT_CODES
from trainingjob_api.hashing import attempt_hash
from trainingjob_api.names import (
    API_VERSION,
    CACHE_VARIABLE,
    CONTAINER,
    KIND,
    LABEL_ATTEMPT,
    LABEL_ATTEMPT_HASH,
    LABEL_MODEL,
    LABEL_NAME,
    LABEL_RUN,
    LABEL_UID,
    METRICS_PORT,
    TERMINATION_LOG,
    THREADS_VARIABLE,
    TRAINING_JOB_VARIABLE,
)
from trainingjob_api.servers import DATABASE_VARIABLES, STORE_VARIABLES, SecretKey
from trainingjob_api.text import instant
from trainingjob_api.training_run import UncheckedTrainingRun, Window
from trainingjob_api.values import amount
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.objects import LABEL_MANAGED_BY, MANAGED_BY, QUEUE_LABEL, TrainingJob
from trainingjob_operator.core.specification import Specification, read_specification

USER = 65532
DATABASE_FILES = "/etc/trainingjob/database"
STORE_FILES = "/etc/trainingjob/store"
CACHE_FOLDER = "/var/cache/trainingjob"


def job_name(name: str, uid: str, run: int, attempt: int) -> str:
    """The name of the Job of an attempt. It is unique, so that the API server creates the Job only once."""
    return f"{name[:40]}-{uid[:8]}-{run}-{attempt}"


def build_job(trainingjob: TrainingJob, configuration: Configuration) -> dict[str, Any]:
    """Build the Job of the current attempt.

    Args:
        trainingjob: Its status has run, attempt and the name of the Job.
        configuration: The operator's configuration.
    """
    specification = read_specification(trainingjob.spec)
    policy, queue = specification.run_policy, specification.scheduling.queue_name
    labels = _labels(trainingjob, specification)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": trainingjob.status["jobName"],
            "namespace": trainingjob.namespace,
            "labels": labels | ({QUEUE_LABEL: queue} if queue else {}),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": trainingjob.name,
                    "uid": trainingjob.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": policy.backoff_limit,
            "activeDeadlineSeconds": policy.active_deadline_seconds,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [int(code) for code in FINAL_EXIT_CODES],
                        },
                    },
                ]
            },
            "template": {
                "metadata": {
                    "labels": {**configuration.pod_labels, **labels},
                    **({"annotations": dict(configuration.pod_annotations)} if configuration.pod_annotations else {}),
                },
                "spec": _pod(trainingjob, specification, configuration),
            },
        }
        | ({"suspend": True} if queue else {}),
    }


def _labels(trainingjob: TrainingJob, specification: Specification) -> dict[str, str]:
    """The labels of Job and pod. They inherit none: a label of Argo CD would make them part of its application."""
    run, attempt = trainingjob.current_attempt
    return {
        "app.kubernetes.io/name": "trainingjob-trainer",
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_NAME: trainingjob.name,
        LABEL_UID: trainingjob.uid,
        LABEL_RUN: str(run),
        LABEL_ATTEMPT: str(attempt),
        LABEL_MODEL: specification.model_type,
        LABEL_ATTEMPT_HASH: attempt_hash(trainingjob.spec),
    }


def _pod(trainingjob: TrainingJob, specification: Specification, configuration: Configuration) -> dict[str, Any]:
    scheduling = specification.scheduling
    accelerator = (trainingjob.status.get("device") or {}).get("resourceName")
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
        "containers": [_container(trainingjob, specification, configuration, accelerator)],
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
    trainingjob: TrainingJob, specification: Specification, configuration: Configuration, accelerator: str | None
) -> dict[str, Any]:
    resources = {part: dict(amounts) for part, amounts in (specification.resources or configuration.resources).items()}
    threads = _threads(resources)
    if accelerator:
        # Kubernetes sets the request of an extended resource to its limit.
        resources["limits"] = {**resources.get("limits", {}), accelerator: "1"}
    database = specification.database_secret_name or configuration.database_secret
    store = specification.store_secret_name or configuration.store_secret
    return {
        "name": CONTAINER,
        "image": configuration.images_accelerator[accelerator] if accelerator else configuration.image_cpu,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run"],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "env": [
            {"name": TRAINING_JOB_VARIABLE, "value": _training_job(trainingjob, specification, accelerator)},
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


def _training_job(trainingjob: TrainingJob, specification: Specification, accelerator: str | None) -> str:
    """The training run as JSON, for the environment of the trainer."""
    status, (run, attempt) = trainingjob.status, trainingjob.current_attempt
    data = status.get("data") or {}
    training_run = UncheckedTrainingRun(
        namespace=trainingjob.namespace,
        name=trainingjob.name,
        uid=trainingjob.uid,
        run=run,
        attempt=attempt,
        spec_hash=status["specHash"],
        window=Window(start=instant(data.get("start")), end=instant(data.get("end"))),
        accelerator=accelerator,
        accelerator_policy=status["device"]["requested"],
        adopt=specification.may_adopt and status.get("trigger") != "RetrainRequested",
        spec=trainingjob.spec,
    )
    return training_run.model_dump_json(by_alias=True)


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
