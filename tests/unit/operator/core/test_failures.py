"""Pods that do not end in time: the message in the status, and that no other pod is started."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from support.operator_objects import World
from support.simulated_objects import GRACE_SECONDS, START
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import CreateJob, DeleteJob, FinishRun, Relist, Requeue
from trainingjob_operator.core.failures import DELETION_MARGIN

LOST_AFTER = GRACE_SECONDS + DELETION_MARGIN.total_seconds()


def evicted_by_taint() -> World:
    return World().start().delete_pod(disruption="DeletionByTaintManager").settle()


def suspended() -> World:
    return World().start().edit(runPolicy={"suspend": True}).settle()


def superseded() -> World:
    return World().start().edit(model={"type": "gru", "seed": 7}).settle()


def deleted_by_hand() -> World:
    world = World().start().delete_pod()
    world.job["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    return world.settle()


@pytest.mark.parametrize("story", [evicted_by_taint, suspended, superseded, deleted_by_hand])
def test_a_pod_that_exceeds_its_grace_period_is_reported_as_node_lost(story: Callable[[], World]) -> None:
    world = story()
    assert world.decide() == Requeue(START + timedelta(seconds=LOST_AFTER))
    world.pass_time(LOST_AFTER - 1).settle()
    assert world.status["phase"] == "Running"
    world.pass_time(1).settle()
    assert (world.status["phase"], world.condition("Succeeded")) == ("Pending", ("Unknown", "NodeLost"))
    pod = world.pod["metadata"]["name"]
    for word in (pod, "node-1", "kubectl delete node node-1", "node.kubernetes.io/out-of-service"):
        assert word in world.message
    assert world.condition("Failed")[0] == "False"


@pytest.mark.parametrize("story", [evicted_by_taint, suspended, superseded, deleted_by_hand])
def test_no_job_is_created_while_an_old_pod_may_still_run(story: Callable[[], World]) -> None:
    world = story().pass_time(1e6).settle()
    assert len(world.created) == 1
    assert world.decide() == Requeue()


def test_a_lost_pod_that_ends_late_is_replaced_and_not_counted() -> None:
    world = evicted_by_taint().pass_time(LOST_AFTER).settle()
    world.end_pod(137, disruption="DeletionByPodGC").settle().add_pod().bind().run().settle()
    assert (world.status["phase"], world.status["attempt"], world.status["failures"]) == ("Running", 1, 0)
    assert world.status["lastFailure"]["reason"] == "NodeLost"


def test_a_run_on_a_lost_node_is_suspended_once_its_pod_is_gone() -> None:
    world = suspended().pass_time(LOST_AFTER).settle().remove_job().settle()
    assert world.condition("Suspended") == ("True", "Suspended")
    world.edit(runPolicy={"suspend": False}).settle()
    assert (world.status["attempt"], len(world.created)) == (2, 2)


@pytest.mark.parametrize(
    ("disruption", "reason"),
    [
        ("DeletionByTaintManager", "NodeLost"),
        ("PreemptionByScheduler", "Preempted"),
        ("EvictionByEvictionAPI", "Evicted"),
    ],
)
def test_a_disruption_is_reported_within_the_grace_period(disruption: str, reason: str) -> None:
    world = World().start().delete_pod(disruption=disruption).settle()
    assert (world.status["phase"], world.condition("Succeeded")) == ("Running", ("Unknown", reason))


def past_its_deadline() -> World:
    world = World(runPolicy={"activeDeadlineSeconds": 600}).start().pass_time(600)
    world.job["status"]["conditions"] = [{"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}]
    return world.delete_pod().settle()


def test_an_exceeded_deadline_is_reported_before_the_job_has_ended() -> None:
    world = past_its_deadline()
    assert world.condition("Succeeded") == ("Unknown", "DeadlineExceeded")
    assert "activeDeadlineSeconds = 600 s" in world.message


def test_a_deadline_on_a_lost_node_fails_the_run_before_the_job_ends() -> None:
    world = past_its_deadline().pass_time(LOST_AFTER)
    assert decide(world.snapshot(fresh=False), world.now, world.configuration) == Relist()
    assert isinstance(world.step(), FinishRun)
    assert world.condition("Failed") == ("True", "DeadlineExceeded")
    assert "node-1" in world.message
    assert isinstance(world.step(), DeleteJob)
    world.edit(runPolicy={}).settle()
    assert (world.status["run"], len(world.created), world.condition("Succeeded")[1]) == (2, 1, "Accepted")
    world.pass_time(LOST_AFTER).settle()
    assert (len(world.created), world.condition("Succeeded")) == (1, ("Unknown", "NodeLost"))
    world.remove_job().settle()
    assert len(world.created) == 2


def test_a_pod_that_did_not_start_on_a_lost_node_is_no_start_timeout() -> None:
    world = World().settle().add_pod().bind().delete_pod(disruption="DeletionByTaintManager").pass_time(1e5).settle()
    assert world.condition("Succeeded") == ("Unknown", "NodeLost")


def test_finalizers_that_keep_a_pod_are_named() -> None:
    world = suspended().end_pod(14)
    world.pod["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking", "example.com/hold"]
    world.pass_time(LOST_AFTER).settle()
    assert world.condition("Succeeded") == ("Unknown", "Suspended")
    assert "example.com/hold" in world.message
    assert "job-tracking" not in world.message


def orphaned() -> World:
    return World().start().orphan_pod().settle()


def test_a_job_that_is_deleted_without_its_pod_fails_the_run_and_names_the_pod() -> None:
    world = orphaned()
    assert world.condition("Failed") == ("True", "JobDeleted")
    assert f"kubectl delete pod {world.pod['metadata']['name']}" in world.message


def test_the_next_run_waits_for_an_orphaned_pod() -> None:
    world = orphaned().edit(runPolicy={"backoffLimit": 5}).settle()
    assert (world.status["run"], len(world.created)) == (2, 1)
    assert world.condition("Succeeded") == ("Unknown", "PodNotCreated")
    assert f"kubectl delete pod {world.pod['metadata']['name']} -n pumps" in world.message
    world.delete_pod().pass_time(LOST_AFTER).settle()
    assert (len(world.created), world.condition("Succeeded")) == (1, ("Unknown", "NodeLost"))
    world.end_pod(143)
    assert isinstance(world.step(), CreateJob)


def test_the_next_run_waits_for_a_pod_that_ends_after_its_job_is_gone() -> None:
    world = World().start().delete_pod()
    world.jobs.clear()
    world.settle().edit(runPolicy={"backoffLimit": 5}).settle()
    assert (world.status["run"], len(world.created)) == (2, 1)
    assert world.condition("Succeeded") == ("Unknown", "Accepted")
    world.pods.clear()
    assert len(world.settle().created) == 2
