"""TrainingJobs and TrainingFleets in the queues of a real Kueue."""

import json

import pytest
import yaml
from kubernetes.client import BatchV1Api

from cluster.clusters import Cluster
from cluster.processes import wait_until
from peers.kueue import Kueue, Queue
from support.training_fleets import TrainingFleets
from support.training_jobs import TrainingJobs, condition, message

pytestmark = [pytest.mark.needs("controllers"), pytest.mark.usefixtures("kueue", "operator")]

QUEUED = {"scheduling": {"queueName": Queue.name}}
ONE_CPU = {"quota": {"cpu": 1}}


def test_a_trainingjob_is_held_until_there_is_quota(jobs: TrainingJobs, queue: Queue) -> None:
    queue.create(ONE_CPU)
    jobs.apply("first", **QUEUED)
    pod = jobs.running("first")
    jobs.apply("second", **QUEUED)
    status = jobs.wait(lambda status: "insufficient unused quota" in message(status), name="second")
    assert (status["phase"], condition(status, "Suspended")[0]) == ("Queued", "False")
    jobs.succeed(pod)
    jobs.succeed(jobs.running("second"))


def test_a_preempted_attempt_continues_later_and_is_not_counted(
    cluster: Cluster, jobs: TrainingJobs, queue: Queue
) -> None:
    queue.create(ONE_CPU)
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": jobs.namespace}}
    cluster.run_kubectl("apply", "--filename=-", stdin=yaml.safe_dump({**urgent, "value": 1000}))
    jobs.apply("patient", runPolicy={"backoffLimit": 0}, **QUEUED)
    pod = jobs.running("patient")
    jobs.apply("urgent", scheduling={"queueName": Queue.name, "priorityClassName": jobs.namespace})
    status = jobs.wait(lambda status: "Preempted to accommodate a workload" in message(status), name="patient")
    assert status["phase"] == "Queued"
    jobs.node.finish(pod, 14, jobs.report(pod, "Stopped", reason="Suspended"))
    jobs.node.remove(pod)
    jobs.succeed(jobs.running("urgent"))
    status = jobs.succeed(jobs.running("patient"))
    assert (status["run"], status["attempt"], status["failures"]) == (1, 1, 0)
    cluster.run_kubectl("delete", "priorityclass", jobs.namespace)


def test_a_trainingjob_is_suspended_and_resumed_while_it_is_queued(jobs: TrainingJobs, queue: Queue) -> None:
    queue.create(ONE_CPU)
    jobs.apply("first", **QUEUED)
    pod = jobs.running("first")
    jobs.apply("second", **QUEUED)
    jobs.wait_phase("Queued", name="second")
    jobs.patch("second", runPolicy={"suspend": True})
    jobs.wait_phase("Suspended", name="second")
    jobs.apply("third", **QUEUED)
    jobs.succeed(pod)
    pod = jobs.running("third")
    assert jobs.status("second")["phase"] == "Suspended"
    jobs.patch("second", runPolicy={"suspend": False})
    jobs.wait_phase("Queued", name="second")
    jobs.succeed(pod)
    jobs.succeed(jobs.running("second", attempt=2))


def test_a_fallback_to_the_cpu_is_admitted_through_another_flavor(jobs: TrainingJobs, queue: Queue) -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    with_gpu = {"nodeLabels": {"example.com/gpu": "absent"}, "nodeTaints": [taint]}
    quota = {"cpu": 1, "nvidia.com/gpu": 1}
    queue.create({"quota": quota, "spec": with_gpu}, {"quota": {**quota, "nvidia.com/gpu": 0}})
    jobs.apply(accelerator={"policy": "Preferred", "fallbackAfterSeconds": 1}, **QUEUED)
    status = jobs.succeed(jobs.running(attempt=2))
    assert status["device"]["reason"] == "FellBackToCPU"


@pytest.mark.parametrize("phase", ["Queued", "Running"])
def test_a_deleted_trainingjob_leaves_no_workload_and_frees_its_quota(
    jobs: TrainingJobs, queue: Queue, phase: str
) -> None:
    queue.create(ONE_CPU)
    jobs.apply("first", **QUEUED)
    pod = jobs.running("first")
    jobs.apply("second", **QUEUED)
    jobs.wait_phase("Queued", name="second")
    gone = "first" if phase == "Running" else "second"
    (job,) = jobs.jobs(gone)
    jobs.delete(gone)
    jobs.wait_gone(job.metadata.name)
    wait_until(lambda: len(queue.workloads()) == 1, "one Workload is left")
    jobs.succeed(pod if gone == "second" else jobs.running("second"))


def test_a_hundred_trainingjobs_pass_a_quota_of_ten(cluster: Cluster, jobs: TrainingJobs, queue: Queue) -> None:
    queue.create({"quota": {"cpu": 10}})
    batch = BatchV1Api(cluster.client())
    for number in range(100):
        jobs.apply(f"pump-{number}", **QUEUED)
    admitted: list[int] = []

    def ended() -> bool:
        items = json.loads(batch.list_namespaced_job(jobs.namespace, _preload_content=False).data)["items"]
        admitted.append(sum(not job["spec"]["suspend"] and "completionTime" not in job["status"] for job in items))
        jobs.play_kubelet()
        return jobs.phases() == {"Succeeded": 100}

    wait_until(ended, "all have succeeded", patience_seconds=300)
    assert max(admitted) == 10
    assert len(batch.list_namespaced_job(jobs.namespace).items) == 100


def test_a_fleet_is_one_workload_and_is_admitted_as_a_whole(
    jobs: TrainingJobs, fleets: TrainingFleets, queue: Queue
) -> None:
    queue.create({"quota": {"cpu": 2}})
    jobs.apply("single", **QUEUED)
    pod = jobs.running("single")
    fleets.apply(**QUEUED)
    fleets.wait_phase("Queued")
    wait_until(lambda: len(queue.workloads()) == 2, "the fleet has a Workload")
    assert sorted(pods["count"] for workload in queue.workloads() for pods in workload["spec"]["podSets"]) == [1, 2]
    jobs.succeed(pod)
    fleets.end(fleets.workers()[0], reason="Completed")


def test_kueue_that_is_down_delays_a_trainingjob_and_fails_none(jobs: TrainingJobs, queue: Queue, kueue: Kueue) -> None:
    queue.create(ONE_CPU)
    kueue.stop()
    try:
        jobs.apply(**QUEUED)
        status = jobs.wait(lambda status: "failed calling webhook" in message(status))
        assert (status["phase"], condition(status, "Failed")[0]) == ("Pending", "False")
    finally:
        kueue.start()
    jobs.succeed(jobs.running())
    assert len(jobs.jobs()) == 1


def test_a_queue_that_does_not_exist_is_named_in_the_status(jobs: TrainingJobs, queue: Queue) -> None:
    jobs.apply(**QUEUED)
    status = jobs.wait(lambda status: f"LocalQueue {Queue.name} doesn't exist" in message(status))
    assert status["phase"] == "Queued"
    queue.create(ONE_CPU)
    jobs.succeed(jobs.running())
