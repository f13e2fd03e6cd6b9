"""A trainer that has ended in a pod that has not: containers beside it run on, and the Job never learns of it."""

import pytest

from support.operator_objects import World
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import DeleteJob, DeletePod, FinishRun, Relist
from trainingjob_operator.core.run_state import SHORT_DEBOUNCE

SETTLED = SHORT_DEBOUNCE.total_seconds()


def test_a_success_is_taken_over_and_the_job_deleted_after_it_is_told() -> None:
    world = World().start()
    world.end_trainer(0, world.report("Succeeded", summary="skill 0.31")).settle()
    assert world.status["phase"] == "Running"
    world.pass_time(SETTLED)
    assert decide(world.snapshot(fresh=False), world.now, world.configuration) == Relist()
    assert isinstance(world.step(), FinishRun)
    assert world.condition("Succeeded") == ("True", "Completed")
    assert (world.status["jobDeletionReason"], world.status["summary"]) == ("Completed", "skill 0.31")
    assert isinstance(world.step(), DeleteJob)
    world.remove_job().settle()
    assert (world.status["phase"], len(world.created)) == ("Succeeded", 1)


def test_a_sidecar_that_ends_soon_after_the_trainer_costs_nothing() -> None:
    world = World().start()
    world.end_trainer(0, world.report("Succeeded")).pass_time(SETTLED - 1).settle()
    world.end_pod(0, world.report("Succeeded")).end_job("Complete").settle()
    assert world.status["phase"] == "Succeeded"
    assert "jobDeletionReason" not in world.status


@pytest.mark.parametrize("exit_code", [10, 11, 16, 17])
def test_a_failure_that_no_retry_mends_ends_the_run(exit_code: int) -> None:
    world = World().start()
    message = world.report("Failed", reason="DataUnavailable", message="no table")
    world.end_trainer(exit_code, message).pass_time(SETTLED).settle()
    assert world.condition("Failed") == ("True", "DataUnavailable")
    assert world.status["jobDeletionReason"] == "DataUnavailable"
    assert "deletionTimestamp" in world.job["metadata"]


@pytest.mark.parametrize("exit_code", [1, 12, 13, 137])
def test_a_failure_that_a_retry_may_mend_is_left_to_the_job_by_ending_the_pod(exit_code: int) -> None:
    world = World().start().end_trainer(exit_code, "no answer").pass_time(SETTLED)
    decision = world.decide()
    assert isinstance(decision, DeletePod)
    assert decision.pod.name == world.pod["metadata"]["name"]
    world.settle()
    assert "deletionTimestamp" in world.pod["metadata"]
    assert "deletionTimestamp" not in world.job["metadata"]
    assert world.condition("Succeeded") == ("Unknown", "Retrying")
    assert "istio-proxy" in world.message
    world.end_pod(exit_code).add_pod().bind().run().settle()
    assert (world.status["phase"], world.status["attempt"]) == ("Running", 1)


def test_an_accelerator_that_is_missing_falls_back_where_it_is_preferred() -> None:
    world = World(accelerator={"policy": "Preferred"}).start().end_trainer(15).pass_time(SETTLED).settle()
    assert (world.status["attempt"], world.status["device"]["reason"]) == (2, "FellBackToCPU")
    assert ("deletionTimestamp" in world.job["metadata"], len(world.created)) == (True, 1)
    assert len(world.remove_job().settle().created) == 2


def test_a_success_without_a_readable_report_is_one_more_attempt() -> None:
    world = World().start().end_trainer(0, "log text").pass_time(SETTLED).settle()
    assert (world.status["attempt"], len(world.created)) == (2, 1)
    world.remove_job().start().end_trainer(0, "log text").pass_time(SETTLED).settle()
    assert world.condition("Failed") == ("True", "TrainerError")


@pytest.mark.parametrize(
    ("kind", "reason"), [("", ""), ("Failed", "BackoffLimitExceeded"), ("Failed", "DeadlineExceeded")]
)
def test_a_success_counts_though_a_sidecar_has_failed_the_pod(kind: str, reason: str) -> None:
    world = World().start()
    world.end_trainer(0, world.report("Succeeded"))
    world.pod["status"]["phase"] = "Failed"
    if reason:
        world.end_job("Failed", reason)
    assert world.pass_time(SETTLED).settle().condition("Succeeded") == ("True", "Completed")


def test_a_clock_of_the_node_that_runs_ahead_does_not_delay_the_end() -> None:
    world = World().start().pass_time(3600)
    world.end_trainer(0, world.report("Succeeded"))
    assert world.pass_time(-3600).settle().status["phase"] == "Succeeded"
