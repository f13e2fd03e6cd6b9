"""Builds the Job of one attempt. Pure: a function of the custom resource and the configuration."""

from __future__ import annotations

from typing import Any

from trainingjob_api.exit_codes import FINAL_EXIT_CODES
from trainingjob_api.names import (
    API_VERSION,
    CONTAINER,
    KIND,
    LABEL_ATTEMPT,
    LABEL_ATTEMPT_HASH,
    LABEL_KIND,
    LABEL_MODEL,
    LABEL_NAME,
    LABEL_RUN,
    LABEL_UID,
)
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.objects import LABEL_MANAGED_BY, MANAGED_BY, QUEUE_LABEL
from trainingjob_operator.core.parent import Parent
from trainingjob_operator.core.pod_spec import build_pod_spec
from trainingjob_operator.core.specification import Specification, read_specification


def job_name(name: str, uid: str, run: int, attempt: int) -> str:
    """The name of the Job of an attempt. It is unique, so that the API server creates the Job only once."""
    return f"{name[:40]}-{uid[:8]}-{run}-{attempt}"


def build_job(parent: Parent, configuration: Configuration) -> dict[str, Any]:
    """Build the Job of the current attempt.

    Args:
        parent: Its status has run, attempt and the name of the Job.
        configuration: The operator's configuration.
    """
    specification = read_specification(parent)
    policy, queue = specification.run_policy, specification.scheduling.queue_name
    labels = _labels(parent, specification)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": parent.status["jobName"],
            "namespace": parent.namespace,
            "labels": labels | ({QUEUE_LABEL: queue} if queue else {}),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": parent.kind,
                    "name": parent.name,
                    "uid": parent.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {
            **_workers(specification),
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
                "spec": build_pod_spec(parent, specification, configuration),
            },
        }
        | ({"suspend": True} if queue else {}),
    }


def _labels(parent: Parent, specification: Specification) -> dict[str, str]:
    """The labels of Job and pod. They inherit none: a label of Argo CD would make them part of its application."""
    run, attempt = parent.current_attempt
    return {
        "app.kubernetes.io/name": "trainingjob-trainer",
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_NAME: parent.name,
        LABEL_UID: parent.uid,
        LABEL_RUN: str(run),
        LABEL_ATTEMPT: str(attempt),
        LABEL_MODEL: specification.model_type,
        LABEL_ATTEMPT_HASH: parent.attempt_hash,
        **({} if parent.kind == KIND else {LABEL_KIND: parent.kind}),
    }


def _workers(specification: Specification) -> dict[str, Any]:
    """How many pods the Job has, and how often they are replaced."""
    limit, workers = specification.run_policy.backoff_limit, specification.workers
    if workers is None:
        return {"completions": 1, "parallelism": 1, "backoffLimit": limit}
    return {
        "completionMode": "Indexed",
        "completions": workers,
        "parallelism": workers,
        "backoffLimitPerIndex": limit,
        # A worker succeeds only after every machine has ended: a worker that waits for a node has nothing left to do.
        "successPolicy": {"rules": [{"succeededCount": 1}]},
    }
