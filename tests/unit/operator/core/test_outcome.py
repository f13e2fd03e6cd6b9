"""The result of a run, from the end of its Job, or from the end of a trainer whose pod a sidecar keeps running."""

from datetime import timedelta
from typing import Any

import pytest

from support.operator_objects import World
from support.simulated_objects import START
from trainingjob_api.text import timestamp
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import DeleteJob, DeletePod, FinishRun, Relist
from trainingjob_operator.core.run_state import SHORT_DEBOUNCE

SETTLED = SHORT_DEBOUNCE.total_seconds()


def test_a_success_beside_a_sidecar_is_stored_before_the_job_is_deleted() -> None:
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


def test_a_sidecar_that_ends_soon_after_the_trainer_needs_no_write() -> None:
    world = World().start()
    world.end_trainer(0, world.report("Succeeded")).pass_time(SETTLED - 1).settle()
    world.end_pod(0, world.report("Succeeded")).end_job("Complete").settle()
    assert world.status["phase"] == "Succeeded"
    assert "jobDeletionReason" not in world.status


@pytest.mark.parametrize("exit_code", [10, 11, 16, 17])
def test_a_final_failure_beside_a_sidecar_fails_the_run(exit_code: int) -> None:
    world = World().start()
    message = world.report("Failed", reason="DataUnavailable", message="no table")
    world.end_trainer(exit_code, message).pass_time(SETTLED).settle()
    assert world.condition("Failed") == ("True", "DataUnavailable")
    assert world.status["jobDeletionReason"] == "DataUnavailable"
    assert "deletionTimestamp" in world.job["metadata"]


@pytest.mark.parametrize("exit_code", [1, 12, 13, 137])
def test_a_retriable_failure_beside_a_sidecar_deletes_the_pod(exit_code: int) -> None:
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


def test_a_missing_accelerator_falls_back_with_policy_preferred() -> None:
    world = World(accelerator={"policy": "Preferred"}).start().end_trainer(15).pass_time(SETTLED).settle()
    assert (world.status["attempt"], world.status["device"]["reason"]) == (2, "FellBackToCPU")
    assert ("deletionTimestamp" in world.job["metadata"], len(world.created)) == (True, 1)
    assert len(world.remove_job().settle().created) == 2


def test_a_success_without_a_readable_report_gets_one_more_attempt() -> None:
    world = World().start().end_trainer(0, "log text").pass_time(SETTLED).settle()
    assert (world.status["attempt"], len(world.created)) == (2, 1)
    world.remove_job().start().end_trainer(0, "log text").pass_time(SETTLED).settle()
    assert world.condition("Failed") == ("True", "TrainerError")


@pytest.mark.parametrize(
    ("kind", "reason"), [("", ""), ("Failed", "BackoffLimitExceeded"), ("Failed", "DeadlineExceeded")]
)
def test_a_success_counts_even_if_a_sidecar_made_the_pod_fail(kind: str, reason: str) -> None:
    world = World().start()
    world.end_trainer(0, world.report("Succeeded"))
    world.pod["status"]["phase"] = "Failed"
    if reason:
        world.end_job("Failed", reason)
    assert world.pass_time(SETTLED).settle().condition("Succeeded") == ("True", "Completed")


def test_a_node_whose_clock_is_ahead_does_not_delay_the_result() -> None:
    world = World().start().pass_time(3600)
    world.end_trainer(0, world.report("Succeeded"))
    assert world.pass_time(-3600).settle().status["phase"] == "Succeeded"


def test_a_reported_success_counts_even_if_the_job_is_being_deleted() -> None:
    world = World().start()
    world.job["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert world.succeed().status["phase"] == "Succeeded"


@pytest.mark.parametrize("message", ["", "log text", "{broken", '{"uid": "another", "run": 1, "outcome": "Succeeded"}'])
def test_a_complete_job_without_report_gets_one_more_attempt_and_then_fails(message: str) -> None:
    world = World().start().end_pod(0, message).end_job("Complete").settle()
    assert (world.status["run"], world.status["attempt"], world.status["phase"]) == (1, 2, "Pending")
    world.start().end_pod(0, message).end_job("Complete").settle()
    assert world.condition("Failed") == ("True", "TrainerError")
    assert len(world.created) == 2


def test_a_reported_failure_is_no_success_even_if_the_job_is_complete() -> None:
    world = World().start()
    world.end_pod(0, world.report("Failed")).end_job("Complete").settle()
    assert (world.status["attempt"], world.status["phase"]) == (2, "Pending")


def test_the_completion_time_is_that_of_the_job() -> None:
    world = World().start().pass_time(60)
    world.end_pod(0, world.report("Succeeded")).end_job("Complete").pass_time(3600).settle()
    assert world.status["completionTime"] == timestamp(START + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"exit_code": 10}, "InvalidConfiguration"),
        ({"exit_code": 11}, "DataUnavailable"),
        ({"exit_code": 12}, "ArtifactStoreFailed"),
        ({"exit_code": 13}, "RegistryFailed"),
        ({"exit_code": 15}, "AcceleratorMissing"),
        ({"exit_code": 16}, "GateFailed"),
        ({"exit_code": 17}, "Diverged"),
        ({"exit_code": 1}, "TrainerError"),
        ({"exit_code": 137, "reason": "OOMKilled"}, "OutOfMemory"),
        ({"exit_code": 143, "disruption": "PreemptionByScheduler"}, "Preempted"),
        ({"exit_code": 143, "disruption": "DeletionByTaintManager"}, "NodeLost"),
        ({"exit_code": 143, "disruption": "EvictionByEvictionAPI"}, "Evicted"),
    ],
)
def test_a_failed_job_fails_the_run_with_the_reason_of_its_last_pod(how: dict[str, Any], reason: str) -> None:
    world = World().start().fail(**how)
    assert world.condition("Failed") == ("True", reason)
    assert world.status["lastFailure"]["exitCode"] == how["exit_code"]


def test_the_reported_reason_has_priority_over_the_exit_code() -> None:
    world = World().start()
    world.fail(11, world.report("Failed", reason="SingleClass", message="no failure in the training part"))
    assert world.condition("Failed") == ("True", "SingleClass")
    assert world.status["lastFailure"]["message"] == "no failure in the training part"


def test_an_unknown_reason_is_not_used() -> None:
    world = World().start()
    world.fail(1, world.report("Failed", reason="MoonPhase", message="x"))
    assert world.condition("Failed") == ("True", "TrainerError")


def test_the_deadline_of_the_job_fails_the_run_without_a_pod() -> None:
    world = World().start()
    world.pods.clear()
    world.end_job("Failed", "DeadlineExceeded").settle()
    assert world.condition("Failed") == ("True", "DeadlineExceeded")


def test_a_failed_job_without_pods_reports_the_message_of_the_job() -> None:
    world = World().start()
    world.pods.clear()
    world.end_job("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit").settle()
    assert world.condition("Failed") == ("True", "BackoffLimitExceeded")
