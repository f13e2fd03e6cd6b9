"""Why a Job has no pod: when the operator reads the explanation, and how the status reports it."""

from datetime import timedelta
from typing import Any

import pytest

from support.operator_objects import World
from support.simulated_objects import START
from trainingjob_operator.core import explanation
from trainingjob_operator.core.decision import Explain, Requeue
from trainingjob_operator.core.explanation import LONG_DEBOUNCE, VALIDITY


def test_a_job_without_a_pod_is_explained_after_a_delay_and_then_periodically() -> None:
    world = World().settle()
    assert world.decide() == Requeue(START + LONG_DEBOUNCE)
    world.explanation_text = "pods is forbidden: exceeded quota"
    world.pass_time(LONG_DEBOUNCE.total_seconds())
    assert isinstance(world.decide(), Explain)
    assert world.settle().condition("Succeeded") == ("Unknown", "PodNotCreated")
    assert world.message.endswith("gets no pod: pods is forbidden: exceeded quota")
    assert world.decide() == Requeue(world.now + VALIDITY)
    world.explanation_text, writes = "maximum memory usage per Container is 1Gi", world.writes
    assert world.pass_time(VALIDITY.total_seconds() - 1).settle().writes == writes
    assert world.pass_time(1).settle().message.endswith("maximum memory usage per Container is 1Gi")


def test_without_an_explanation_the_status_names_a_command() -> None:
    world = World().settle().pass_time(LONG_DEBOUNCE.total_seconds()).settle()
    assert f"kubectl describe job {world.job['metadata']['name']} -n pumps" in world.message


def test_a_retry_that_gets_no_pod_is_explained_too() -> None:
    world = World().start().end_pod(1)
    world.explanation_text = "exceeded quota"
    assert world.pass_time(500).settle().condition("Succeeded") == ("Unknown", "Retrying")
    assert world.pass_time(600).settle().condition("Succeeded") == ("Unknown", "PodNotCreated")
    world.add_pod().bind().run().settle()
    assert world.condition("Succeeded") == ("Unknown", "Training")


def test_the_explanation_of_a_queued_job_is_dropped_after_its_admission() -> None:
    world = World(scheduling={"queueName": "team"}).settle()
    assert (world.status["phase"], world.message) == ("Queued", "Queue team holds the Job; no deadline applies")
    world.explanation_text = "LocalQueue team doesn't exist"
    world.pass_time(LONG_DEBOUNCE.total_seconds()).settle()
    assert world.message == "Queue team holds the Job; no deadline applies: LocalQueue team doesn't exist"
    world.job["spec"]["suspend"] = False
    world.touch_job().settle()
    assert (world.status["phase"], "LocalQueue" in world.message) == ("Queued", False)
    world.job["status"]["startTime"] = "2026-03-01T12:00:00Z"
    world.explanation_text = None
    assert world.touch_job().settle().status["phase"] == "Pending"


def test_a_preempted_job_is_explained_while_its_pod_still_ends() -> None:
    world = World(scheduling={"queueName": "team"}).settle()
    world.job["spec"]["suspend"] = False
    world.add_pod().bind().run().settle().pass_time(LONG_DEBOUNCE.total_seconds())
    world.explanation_text = "Preempted to accommodate another"
    world.job["spec"]["suspend"] = True
    world.touch_job().delete_pod().settle()
    assert world.message == "Queue team holds the Job; no deadline applies: Preempted to accommodate another"


def test_without_the_right_to_read_workloads_the_status_names_a_command() -> None:
    world = World(scheduling={"queueName": "team"}).settle().pass_time(LONG_DEBOUNCE.total_seconds()).settle()
    uid = world.job["metadata"]["uid"]
    assert f"kubectl describe workloads -n pumps -l kueue.x-k8s.io/job-uid={uid}" in world.message
    assert "LocalQueue team" in world.message


@pytest.mark.parametrize(("policy", "told"), [("Preferred", True), ("Required", False), ("Disabled", False)])
def test_the_status_says_that_a_queued_job_does_not_fall_back(policy: str, told: bool) -> None:
    world = World(scheduling={"queueName": "team"}, accelerator={"policy": policy}).settle()
    world.explanation_text = "insufficient quota for nvidia.com/gpu"
    assert ("The run falls back" in world.pass_time(1e6).settle().message) is told
    assert world.status["phase"] == "Queued"


def test_a_job_that_a_user_suspends_needs_no_explanation() -> None:
    world = World().settle()
    world.job["spec"]["suspend"] = True
    assert world.pass_time(1e6).settle().message == "The Job is suspended, not by the operator; no deadline applies"


def test_the_newest_event_is_used() -> None:
    older = {"message": "exceeded quota", "lastTimestamp": "2026-03-01T12:00:00Z"}
    newer = {"message": "must specify memory", "eventTime": "2026-03-01T12:00:01.000000Z", "lastTimestamp": None}
    assert explanation.from_events([newer, older]) == "must specify memory"
    assert explanation.from_events([]) is None


def workload(active: bool = True, **conditions: tuple[str, str]) -> dict[str, Any]:
    listed = [{"type": kind, "status": status, "message": words} for kind, (status, words) in conditions.items()]
    return {
        "metadata": {"name": "job-pump-1", "namespace": "pumps"},
        "spec": {"active": active},
        "status": {"conditions": listed},
    }


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        ([], "Kueue has created no Workload for it"),
        ([{"metadata": {}, "spec": {}}], "Kueue has not admitted it yet"),
        ([workload(QuotaReserved=("False", "LocalQueue team doesn't exist"))], "LocalQueue team doesn't exist"),
        (
            [workload(QuotaReserved=("True", "reserved"), Admitted=("False", "checks are pending"))],
            "checks are pending",
        ),
        (
            [workload(QuotaReserved=("False", "waiting"), Evicted=("True", "Preempted to accommodate another"))],
            "waiting (Preempted to accommodate another)",
        ),
        (
            [workload(active=False, Evicted=("True", "exceeded the maximum number of re-queuing retries"))],
            'kubectl patch workload job-pump-1 -n pumps --type=merge -p \'{"spec":{"active":true}}\' '
            "(exceeded the maximum number of re-queuing retries)",
        ),
    ],
)
def test_the_message_of_the_workload_is_used(workloads: list[dict[str, Any]], expected: str) -> None:
    assert expected in explanation.from_workloads(workloads)


def test_no_deadline_waits_for_an_explanation() -> None:
    world = World(runPolicy={"schedulingTimeoutSeconds": 10}).settle()
    assert world.decide() == Requeue(START + timedelta(seconds=10))
    assert world.pass_time(3600).settle().condition("Failed") == ("True", "SchedulingTimeout")
