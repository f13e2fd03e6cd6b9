"""The decisions about the Job of an attempt. Each test first brings a TrainingJob into the state that it needs."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from support.operator_objects import World
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import (
    CreateJob,
    DeleteJob,
    FinishRun,
    Relist,
    Requeue,
    SetTTL,
    StartAttempt,
)
from trainingjob_operator.core.run_state import CREATE_ERROR_THRESHOLD
from trainingjob_operator.core.snapshot import CreateError

PREFERRED = {"policy": "Preferred", "fallbackAfterSeconds": 300}


def test_the_status_names_the_attempt_before_its_job_is_created() -> None:
    world = World()
    assert isinstance(world.step(), StartAttempt)
    assert world.status["jobName"] == "pump-1f0c9a3e-1-1"
    assert world.jobs == {}
    assert isinstance(world.step(), CreateJob)
    assert list(world.jobs) == ["pump-1f0c9a3e-1-1"]


def test_an_attempt_adopts_its_job_if_the_job_exists() -> None:
    world = World()
    world.step()
    world.step()
    assert "jobUID" not in world.status
    assert isinstance(world.decide(), Requeue)
    world.pass_time(31).settle()
    assert world.status["jobUID"] == world.job["metadata"]["uid"]


def test_a_job_gets_its_ttl_only_after_the_result_is_in_the_status() -> None:
    world = World().start()
    world.end_pod(0, world.report("Succeeded")).end_job("Complete")
    assert isinstance(world.step(), FinishRun)
    assert "ttlSecondsAfterFinished" not in world.job["spec"]
    assert isinstance(world.step(), SetTTL)
    assert world.job["spec"]["ttlSecondsAfterFinished"] == 86400
    assert world.step() is None


def test_a_run_that_has_ended_is_not_repeated_when_its_job_expires() -> None:
    world = World().start().succeed().remove_job().settle()
    assert world.status["phase"] == "Succeeded"
    assert len(world.created) == 1


def test_a_deleted_job_fails_the_run() -> None:
    world = World().start().remove_job().settle()
    assert world.condition("Failed") == ("True", "JobDeleted")
    assert len(world.created) == 1


def test_a_restarted_operator_notices_that_the_job_was_deleted() -> None:
    world = World().start().remove_job()
    world.last_seen_attempt = (0, 0)
    assert world.settle().condition("Failed") == ("True", "JobDeleted")


def test_a_job_that_is_deleted_before_its_uid_is_in_the_status_is_noticed() -> None:
    world = World().settle().remove_job()
    assert "jobUID" not in world.status
    assert world.settle().condition("Failed") == ("True", "JobDeleted")
    assert len(world.created) == 1


def test_the_run_fails_only_after_a_deletion_by_a_user_is_complete() -> None:
    world = World().start()
    world.job["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert isinstance(world.decide(), Requeue)
    assert world.settle().status["phase"] == "Running"


def test_a_job_that_the_api_server_rejects_fails_the_run() -> None:
    world = World()
    world.step()
    world.create_error = CreateError((1, 1), final=True, message="spec is wrong")
    world.settle()
    assert world.condition("Failed") == ("True", "InvalidConfiguration")


def test_a_temporary_error_at_the_creation_of_the_job_is_retried() -> None:
    world = World()
    world.step()
    world.create_error = CreateError((1, 1), final=False, message="exceeded quota", count=CREATE_ERROR_THRESHOLD)
    world.settle()
    assert world.condition("Succeeded") == ("Unknown", "PodNotCreated")
    assert isinstance(world.decide(), CreateJob)
    world.create_error = None
    assert len(world.settle().created) == 1


def test_repeated_creation_errors_are_reported_once_and_are_not_final() -> None:
    world = World()
    world.step()
    for count in (1, CREATE_ERROR_THRESHOLD - 1):
        world.create_error = CreateError(
            (1, 1), final=False, message="500 InternalError: failed calling webhook", count=count
        )
        assert world.settle().condition("Succeeded") == ("Unknown", "Accepted")
    world.create_error = replace(world.create_error, count=CREATE_ERROR_THRESHOLD)
    world.settle()
    assert world.condition("Succeeded") == ("Unknown", "PodNotCreated")
    assert "failed calling webhook" in world.message
    writes = world.writes
    world.create_error = replace(world.create_error, count=100)
    assert world.settle().writes == writes
    assert isinstance(world.decide(), CreateJob)


def test_a_creation_error_of_an_earlier_attempt_is_ignored() -> None:
    world = World()
    world.create_error = CreateError((0, 9), final=True, message="spec is wrong")
    world.step()
    world.step()
    assert world.condition("Succeeded") == ("Unknown", "Accepted")
    assert isinstance(world.decide(), CreateJob)


def vanished() -> World:
    return World().start().remove_job()


def stopped() -> World:
    return World().start().edit(runPolicy={"suspend": True}).settle().remove_job()


def unbound() -> World:
    return World(accelerator=PREFERRED).settle().add_pod().pass_time(301)


def without_report() -> World:
    return World().start().end_pod(0).end_job("Complete")


def without_pods() -> World:
    world = World().start().end_job("Failed", "BackoffLimitExceeded")
    world.pods.clear()
    return world


def pods_not_heard_of_yet() -> World:
    return World().start().end_job("Failed", "BackoffLimitExceeded")


@pytest.mark.parametrize("story", [vanished, stopped, unbound, without_report, without_pods, pods_not_heard_of_yet])
def test_irreversible_decisions_are_made_only_from_a_fresh_list(story: Callable[[], World]) -> None:
    world = story()
    assert decide(world.snapshot(fresh=False), world.now, world.configuration) == Relist()
    assert world.decide() != Relist()


def test_nothing_is_done_for_a_trainingjob_that_is_being_deleted() -> None:
    world = World()
    world.raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert world.decide() == Requeue()


def test_only_an_unfinished_job_of_an_earlier_attempt_is_stale() -> None:
    world = World().start()
    earlier, later = (
        dict(world.job, metadata=dict(world.job["metadata"], labels=dict(world.job["metadata"]["labels"])))
        for _ in "ab"
    )
    for job, name, uid, attempt in (
        (earlier, "pump-1f0c9a3e-1-0", "job-a", "0"),
        (later, "pump-1f0c9a3e-1-2", "job-b", "2"),
    ):
        job["metadata"] |= {"name": name, "uid": uid}
        job["metadata"]["labels"]["training.pumphealth.io/attempt"] = attempt
        world.jobs[name] = job
    decision = world.decide()
    assert isinstance(decision, DeleteJob)
    assert decision.job.uid == "job-a"
    del world.jobs["pump-1f0c9a3e-1-0"]
    assert isinstance(world.decide(), Requeue)
