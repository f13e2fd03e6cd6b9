"""Pods that do not end in time, and pods that outlive their Job or their trainer, with a real Job controller."""

from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.client import BatchV1Api, CoreV1Api

from cluster.clusters import Cluster
from support.operator_process import Operator
from support.training_jobs import TrainingJobs, condition, message
from trainingjob_api.text import timestamp

pytestmark = pytest.mark.needs("controllers")
GRACE = {"TERMINATION_GRACE_PERIOD_SECONDS": "1"}


@pytest.fixture
def core(cluster: Cluster) -> CoreV1Api:
    """The API of nodes and pods, as an administrator."""
    return CoreV1Api(cluster.client())


def now() -> str:
    return timestamp(datetime.now(UTC))


def evict_by_taint(core: CoreV1Api, pod: Any) -> None:
    """Deletes a pod as the taint manager does; no kubelet ends its containers."""
    target = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    # The disruption controller resets a condition that is old, or that has no time.
    target["lastTransitionTime"] = now()
    where = pod.metadata.name, pod.metadata.namespace
    core.patch_namespaced_pod_status(*where, {"status": {"conditions": [target]}})
    core.delete_namespaced_pod(*where)


def set_node(core: CoreV1Api, node: str, *, ready: str, taints: list[dict[str, str]]) -> None:
    """Makes a node ready or not, and taints it."""
    condition = {"type": "Ready", "status": ready, "reason": "Simulated", "lastTransitionTime": now()}
    core.patch_node_status(node, {"status": {"conditions": [condition]}})
    core.patch_node(node, {"spec": {"taints": taints}})


def test_a_dead_node_is_reported_and_no_job_starts_until_its_pods_are_gone(
    operator: Operator, jobs: TrainingJobs, core: CoreV1Api
) -> None:
    operator.start(**GRACE)
    jobs.apply("evicted")
    jobs.apply("suspended")
    node = jobs.node.name
    evict_by_taint(core, jobs.running("evicted"))
    jobs.running("suspended")
    jobs.patch("suspended", runPolicy={"suspend": True})
    # Enough for the pod to run before, also on a busy machine.
    jobs.apply("deadline", runPolicy={"activeDeadlineSeconds": 20})
    jobs.running("deadline")
    for name in ("evicted", "suspended"):
        status = jobs.wait(lambda status: f"kubectl delete node {node}" in message(status), name=name)
        assert (status["phase"], condition(status, "Succeeded")) == ("Pending", ("Unknown", "NodeLost"))
    status = jobs.wait_phase("Failed", name="deadline")
    assert condition(status, "Failed") == ("True", "DeadlineExceeded")
    assert node in status["lastFailure"]["message"]
    jobs.patch("deadline", runPolicy={"activeDeadlineSeconds": 600})
    jobs.wait(lambda status: (status["run"], condition(status, "Succeeded")[1]) == (2, "NodeLost"), name="deadline")
    assert {name: len(jobs.jobs(name)) for name in ("evicted", "suspended", "deadline")} == {
        "evicted": 1,
        "suspended": 1,
        "deadline": 1,
    }
    # The message advises this taint for a node that is shut down.
    shut_down = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    set_node(core, node, ready="False", taints=[shut_down])
    jobs.wait_phase("Suspended", name="suspended")
    jobs.wait(lambda status: condition(status, "Succeeded")[1] == "Unschedulable", name="evicted")
    set_node(core, node, ready="True", taints=[])
    status = jobs.succeed(jobs.running("evicted"))
    assert (status["attempt"], status["failures"]) == (1, 0)
    jobs.succeed(jobs.running("deadline", run=2))


def test_a_finalizer_that_keeps_the_pod_of_a_suspended_run_is_named(
    operator: Operator, jobs: TrainingJobs, core: CoreV1Api
) -> None:
    operator.start(**GRACE)
    jobs.apply()
    pod = jobs.running()
    where = pod.metadata.name, jobs.namespace
    core.patch_namespaced_pod(*where, {"metadata": {"finalizers": ["example.com/hold"]}})
    jobs.patch(runPolicy={"suspend": True})
    jobs.wait(lambda status: status.get("jobDeletionReason") == "Suspended")
    jobs.node.finish(pod, 14, jobs.report(pod, "Stopped"))
    status = jobs.wait(lambda status: "example.com/hold" in message(status))
    assert condition(status, "Succeeded") == ("Unknown", "Suspended")
    core.patch_namespaced_pod(*where, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/hold"]}})
    jobs.wait_gone(status["jobName"])
    jobs.wait_phase("Suspended")


def test_no_second_trainer_starts_while_an_orphaned_pod_runs(
    operator: Operator, jobs: TrainingJobs, cluster: Cluster, core: CoreV1Api
) -> None:
    operator.start()
    jobs.apply()
    pod = jobs.running()
    BatchV1Api(cluster.client()).delete_namespaced_job(
        jobs.status()["jobName"], jobs.namespace, propagation_policy="Orphan"
    )
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "JobDeleted")
    jobs.patch(runPolicy={"backoffLimit": 5})
    status = jobs.wait(lambda status: condition(status, "Succeeded")[1] == "PodNotCreated")
    assert f"kubectl delete pod {pod.metadata.name} -n {jobs.namespace}" in message(status)
    assert (status["run"], jobs.jobs()) == (2, [])
    core.delete_namespaced_pod(pod.metadata.name, jobs.namespace)
    jobs.node.remove_deleted(jobs.namespace)
    jobs.succeed(jobs.running(run=2))


def end_trainer(core: CoreV1Api, pod: Any, exit_code: int, message: str) -> None:
    """Ends the trainer's container of a pod, while another container keeps running."""
    times = {"startedAt": now(), "finishedAt": now()}
    ended = {"exitCode": exit_code, "reason": "Completed", "message": message, **times}
    common = {"image": "any", "imageID": "", "restartCount": 0}
    containers = [
        {"name": "trainer", "ready": False, "state": {"terminated": ended}, **common},
        {"name": "sidecar", "ready": True, "state": {"running": {"startedAt": now()}}, **common},
    ]
    body = {"status": {"containerStatuses": containers}}
    core.patch_namespaced_pod_status(pod.metadata.name, pod.metadata.namespace, body)


def test_a_trainer_that_succeeds_beside_a_sidecar_ends_the_run_and_its_job(
    operator: Operator, jobs: TrainingJobs, core: CoreV1Api
) -> None:
    operator.start()
    jobs.apply()
    pod = jobs.running()
    end_trainer(core, pod, 0, jobs.report(pod, reason="Completed", summary="skill 0.31"))
    status = jobs.wait_phase("Succeeded")
    assert (status["summary"], status["jobDeletionReason"]) == ("skill 0.31", "Completed")
    jobs.wait_gone(status["jobName"])
    assert jobs.status()["phase"] == "Succeeded"


def test_a_trainer_that_fails_beside_a_sidecar_fails_the_run_or_is_retried(
    operator: Operator, jobs: TrainingJobs, core: CoreV1Api
) -> None:
    operator.start()
    jobs.apply("final")
    jobs.apply("again", runPolicy={"backoffLimit": 1})
    pod = jobs.running("final")
    end_trainer(core, pod, 11, jobs.report(pod, "Failed", reason="InsufficientData", message="12 rows"))
    pod = jobs.running("again")
    end_trainer(core, pod, 12, jobs.report(pod, "Failed", reason="ArtifactStoreFailed", message="no answer"))
    status = jobs.wait_phase("Failed", name="final")
    assert condition(status, "Failed") == ("True", "InsufficientData")
    jobs.wait(lambda status: condition(status, "Succeeded")[1] == "Retrying", name="again")
    jobs.node.finish(pod, 12)
    jobs.wait_gone(status["jobName"])
    status = jobs.succeed(jobs.running("again"))
    assert (status["attempt"], status["failures"]) == (1, 1)
