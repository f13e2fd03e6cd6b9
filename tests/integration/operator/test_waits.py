"""A Job that waits for a queue, the Job controller, a quota or a webhook: its reason, and no deadline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiException, BatchV1Api, CoreV1Api, CustomObjectsApi

from cluster.clusters import Cluster
from cluster.definitions import wait_established
from cluster.processes import wait_until
from support.operator_process import Operator
from support.training_jobs import LABEL_NAME, TrainingJobs, condition, message

pytestmark = pytest.mark.needs("controllers")
NOWHERE = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
COMPONENT = Path(__file__).parents[3] / "manifests" / "components" / "kueue" / "workload_reader.yaml"
KUEUE = "kueue.x-k8s.io"


@pytest.fixture
def applied(cluster: Cluster) -> Iterator[Any]:
    """A function that applies objects until the end of the test; its attribute ``remove`` deletes them earlier."""
    documents: list[str] = []

    def apply(*objects: dict[str, Any]) -> None:
        documents.append(yaml.safe_dump_all(objects))
        cluster.run_kubectl("apply", "--filename=-", stdin=documents[-1])

    def remove() -> None:
        while documents:
            cluster.run_kubectl("delete", "--ignore-not-found", "--filename=-", stdin=documents.pop())

    apply.remove = remove  # type: ignore[attr-defined]
    yield apply
    remove()


def without_job_controller(namespace: str, name: str) -> list[dict[str, Any]]:
    """A policy that prevents the Job controller from starting the Jobs of a TrainingJob."""
    policy = f"{namespace}-stopped"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs/status"], "operations": ["UPDATE"]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [rule],
        },
        "matchConditions": [{"name": "it", "expression": f"object.metadata.labels['{LABEL_NAME}'] == '{name}'"}],
        "validations": [{"expression": "false", "message": "the Job controller is away"}],
    }
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": policy}}
    binding = {"policyName": policy, "validationActions": ["Deny"]}
    return [
        {**api, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        {**api, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


def is_kept(batch: BatchV1Api, namespace: str, job_name: str) -> bool:
    """Whether the policy is already in effect for a Job."""
    try:
        batch.patch_namespaced_job_status(job_name, namespace, {"status": {"ready": 0}}, dry_run="All")
    except ApiException as error:
        return error.status == 422
    return False


def test_no_deadline_applies_between_the_admission_of_a_job_and_its_start(
    operator: Operator, jobs: TrainingJobs, cluster: Cluster, applied: Any
) -> None:
    operator.start()
    applied(*without_job_controller(jobs.namespace, "held"))
    jobs.apply("held", scheduling={"queueName": "team", **NOWHERE}, runPolicy={"schedulingTimeoutSeconds": 2})
    status = jobs.wait_phase("Queued", name="held")
    batch = BatchV1Api(cluster.client())
    wait_until(lambda: is_kept(batch, jobs.namespace, status["jobName"]), "the Job controller is away")
    jobs.release(status["jobName"])
    jobs.apply("later", scheduling=NOWHERE, runPolicy={"schedulingTimeoutSeconds": 5})
    jobs.wait_phase("Failed", name="later")
    status = jobs.status("held")
    assert (status["phase"], condition(status, "Failed")[0]) == ("Queued", "False")
    applied.remove()
    status = jobs.wait_phase("Failed", name="held")
    assert condition(status, "Failed") == ("True", "SchedulingTimeout")


def test_the_status_says_why_a_job_gets_no_pod(operator: Operator, jobs: TrainingJobs, cluster: Cluster) -> None:
    operator.start()
    limits = [{"type": "Container", "max": {"memory": "1Mi"}, "defaultRequest": {"memory": "1Mi"}}]
    body = {"metadata": {"name": "small"}, "spec": {"limits": limits}}
    CoreV1Api(cluster.client()).create_namespaced_limit_range(jobs.namespace, body)
    jobs.apply(resources={"limits": {"memory": "4Gi"}})
    status = jobs.wait(lambda status: condition(status, "Succeeded")[1] == "PodNotCreated")
    assert "maximum memory usage per Container is 1Mi, but limit is 4Gi" in message(status)
    assert condition(status, "Failed")[0] == "False"


@pytest.fixture
def workloads(cluster: Cluster, namespace: str, applied: Any) -> Any:
    """A function that creates a Workload for a Job. The CRD of Kueue is installed, Kueue itself is not."""
    version = {
        "name": "v1beta2",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    name = f"workloads.{KUEUE}"
    names = {"kind": "Workload", "listKind": "WorkloadList", "plural": "workloads", "singular": "workload"}
    applied(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            # The API server accepts CRDs of this protected group only with the annotation.
            "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "https://kueue.sigs.k8s.io"}},
            "spec": {"group": KUEUE, "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    wait_established(cluster)
    objects = CustomObjectsApi(cluster.client())

    def make(job: Any, words: str) -> None:
        condition = {"type": "QuotaReserved", "status": "False", "reason": "Inadmissible", "message": words}
        body = {
            "apiVersion": f"{KUEUE}/v1beta2",
            "kind": "Workload",
            "metadata": {"name": f"job-{job.metadata.name}", "labels": {f"{KUEUE}/job-uid": job.metadata.uid}},
            "spec": {"active": True, "queueName": "team"},
            "status": {"conditions": [condition]},
        }
        objects.create_namespaced_custom_object(KUEUE, "v1beta2", namespace, "workloads", body)

    return make


def test_the_status_has_the_message_of_kueue_if_the_operator_may_read_it(
    operator: Operator, jobs: TrainingJobs, cluster: Cluster, applied: Any, workloads: Any
) -> None:
    operator.start()
    jobs.apply(scheduling={"queueName": "team"})
    status = jobs.wait(lambda status: "kubectl describe workloads" in message(status))
    assert status["phase"] == "Queued"
    (job,) = jobs.jobs()
    workloads(job, "LocalQueue team doesn't exist")
    applied(*yaml.safe_load_all(COMPONENT.read_text()))
    # Any change of the Job makes the operator read the explanation again.
    BatchV1Api(cluster.client()).patch_namespaced_job(
        job.metadata.name, jobs.namespace, {"metadata": {"annotations": {"example.com/touched": "true"}}}
    )
    jobs.wait(lambda status: message(status).endswith("LocalQueue team doesn't exist"))


def test_a_webhook_that_is_down_delays_the_job_and_is_reported(
    operator: Operator, jobs: TrainingJobs, applied: Any
) -> None:
    operator.start()
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
    webhook = {
        "name": "queue.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": jobs.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    applied(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": jobs.namespace},
            "webhooks": [webhook],
        }
    )
    jobs.apply()
    status = jobs.wait(lambda status: condition(status, "Succeeded") == ("Unknown", "PodNotCreated"))
    assert 'failed calling webhook "queue.example.com"' in message(status)
    applied.remove()
    jobs.succeed(jobs.running())
