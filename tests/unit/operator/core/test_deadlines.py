"""The deadlines of an unfinished Job."""

from datetime import timedelta

import pytest

from support.operator_objects import World
from support.simulated_objects import START
from trainingjob_api.text import timestamp
from trainingjob_operator.core.decision import (
    DeleteJob,
    FinishRun,
    Requeue,
)

PREFERRED = {"policy": "Preferred", "fallbackAfterSeconds": 300}


def test_a_scheduling_timeout_fails_the_run_and_then_deletes_the_job() -> None:
    world = World(runPolicy={"schedulingTimeoutSeconds": 60}).settle().add_pod().find_no_node("no room").settle()
    world.pass_time(61)
    assert isinstance(world.step(), FinishRun)
    assert world.condition("Failed") == ("True", "SchedulingTimeout")
    assert "no room" in world.status["lastFailure"]["message"]
    assert world.status["jobDeletionReason"] == "SchedulingTimeout"
    assert isinstance(world.step(), DeleteJob)


def test_a_scheduling_timeout_also_applies_if_no_pod_is_created() -> None:
    world = World(runPolicy={"schedulingTimeoutSeconds": 60}).settle().pass_time(61).settle()
    assert world.condition("Failed") == ("True", "SchedulingTimeout")


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        (None, "StartTimeout"),
        ("ImagePullBackOff", "ImagePullFailed"),
        ("CreateContainerConfigError", "ContainerConfigError"),
    ],
)
def test_a_bound_pod_that_does_not_start_in_time_fails_the_run(waiting: str | None, reason: str) -> None:
    world = World().settle().add_pod().pass_time(500).bind()
    if waiting:
        world.wait_for(waiting, "why")
    world.settle()
    assert world.decide() == Requeue(world.now + timedelta(seconds=1800))
    world.pass_time(1801).settle()
    assert world.condition("Failed") == ("True", reason)
    assert "deletionTimestamp" in world.job["metadata"]


def test_no_deadline_applies_while_the_trainer_runs() -> None:
    world = World(accelerator=PREFERRED, runPolicy={"schedulingTimeoutSeconds": 60}).start().pass_time(1e6)
    assert world.decide() == Requeue()


def test_a_new_run_after_a_timeout_waits_until_the_old_job_is_gone() -> None:
    world = World(runPolicy={"schedulingTimeoutSeconds": 60}).settle().add_pod().pass_time(61).settle()
    world.edit(runPolicy={}).settle()
    assert (world.status["run"], len(world.created)) == (2, 1)
    world.remove_job().settle()
    assert len(world.created) == 2


def test_no_deadline_applies_while_a_queue_holds_the_job() -> None:
    world = World(
        scheduling={"queueName": "team"}, accelerator=PREFERRED, runPolicy={"schedulingTimeoutSeconds": 60}
    ).settle()
    assert world.job["spec"]["suspend"] is True
    assert world.pass_time(1e6).settle().status["phase"] == "Queued"
    assert world.deadlines() == []


def test_the_deadlines_of_a_queued_job_start_at_its_admission() -> None:
    world = World(scheduling={"queueName": "team"}, runPolicy={"schedulingTimeoutSeconds": 60}).settle()
    world.pass_time(3600)
    world.job["spec"]["suspend"] = False
    world.settle()
    assert world.deadlines() == []
    world.pass_time(10)
    world.job["status"]["startTime"] = timestamp(world.now)
    assert world.deadlines() == [("SchedulingTimeout", world.now + timedelta(seconds=60))]


def test_an_earlier_start_of_a_job_in_a_queue_starts_no_deadline() -> None:
    world = World(scheduling={"queueName": "team"}, runPolicy={"schedulingTimeoutSeconds": 60}).settle()
    status = world.job["status"]
    status["startTime"] = timestamp(world.now)
    status["conditions"] = [{"type": "Suspended", "status": "True"}]
    world.job["spec"]["suspend"] = False
    assert world.pass_time(3600).deadlines() == []
    status["conditions"] = [{"type": "Suspended", "status": "False"}]
    assert world.deadlines() == [("SchedulingTimeout", START + timedelta(seconds=60))]


def test_a_job_that_its_queue_evicts_is_queued_again() -> None:
    world = World(scheduling={"queueName": "team"}).settle()
    world.job["spec"]["suspend"] = False
    world.add_pod().bind().run().settle()
    assert world.status["phase"] == "Running"
    world.job["spec"]["suspend"] = True
    world.pods.clear()
    assert world.settle().status["phase"] == "Queued"
