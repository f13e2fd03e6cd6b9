"""TrainingJobs in the queues of a real Kueue."""

from typing import Any

import pytest

from cluster.processes import wait_until
from peers.kueue import Queue
from support.training_jobs import TrainingJobs, condition, message

pytestmark = [pytest.mark.needs("controllers"), pytest.mark.usefixtures("kueue", "operator")]

QUEUED = {"scheduling": {"queueName": Queue.name}}
ONE_CPU = {"quota": {"cpu": 1}}


def test_a_second_trainingjob_is_held_until_the_first_has_ended(jobs: TrainingJobs, queue: Queue) -> None:
    queue.create(ONE_CPU)
    jobs.apply("first", **QUEUED)
    pod = jobs.running("first")
    jobs.apply("second", **QUEUED)
    status = jobs.wait(lambda status: "insufficient unused quota" in message(status), name="second")
    assert status["phase"] == "Queued"
    assert condition(status, "Suspended") == ("False", condition(status, "Suspended")[1])
    jobs.succeed(pod)
    jobs.succeed(jobs.running("second"))


def test_a_fallback_to_the_cpu_is_admitted_through_another_flavor(jobs: TrainingJobs, queue: Queue) -> None:
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    with_gpu = {"nodeLabels": {"example.com/gpu": "absent"}, "nodeTaints": [taint]}
    quota = {"cpu": 1, "nvidia.com/gpu": 1}
    queue.create({"quota": quota, "spec": with_gpu}, {"quota": {**quota, "nvidia.com/gpu": 0}})
    jobs.apply("pump", accelerator={"policy": "Preferred", "fallbackAfterSeconds": 1}, **QUEUED)
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
    gone, kept = ("first", "second") if phase == "Running" else ("second", "first")
    (job,) = jobs.jobs(gone)
    jobs.delete(gone)
    jobs.wait_gone(job.metadata.name)
    wait_until(lambda: len(queue.workloads()) == 1, "one Workload is left")
    jobs.succeed(pod if kept == "first" else jobs.running("second"))


def _wait_for_workloads(queue: Queue, count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(queue.workloads()) == count, f"{count} Workloads")
    return queue.workloads()
