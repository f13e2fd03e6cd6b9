"""What the operator decides, situation by situation. Each test tells the story that leads there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.operator_objects import START, World
from trainingjob_api.text import timestamp
from trainingjob_operator.core.deadlines import deadlines
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import (
    CreateJob,
    DeleteJob,
    FinishRun,
    MarkForDeletion,
    Relist,
    Requeue,
    SetTTL,
    StartAttempt,
)
from trainingjob_operator.core.run_state import CREATE_ERROR_THRESHOLD
from trainingjob_operator.core.snapshot import CreateError
from trainingjob_operator.core.specification import read_specification


def clocks(world: World) -> list[tuple[str, datetime]]:
    """The clocks that run, and when they run out."""
    found = deadlines(world.snapshot(), read_specification(world.raw["spec"]), world.configuration)
    return [(str(deadline.reason), deadline.due) for deadline in found]


PREFERRED = {"policy": "Preferred", "fallbackAfterSeconds": 300}


def test_a_new_trainingjob_is_claimed_before_its_job_is_created() -> None:
    world = World()
    assert isinstance(world.step(), StartAttempt)
    assert world.status["jobName"] == "pump-1f0c9a3e-1-1"
    assert world.jobs == {}
    assert isinstance(world.step(), CreateJob)
    assert list(world.jobs) == ["pump-1f0c9a3e-1-1"]


def test_a_claimed_attempt_adopts_the_job_that_is_there() -> None:
    world = World()
    world.step()
    world.step()
    assert "jobUID" not in world.status
    assert isinstance(world.decide(), Requeue)
    world.pass_time(31).settle()
    assert world.status["jobUID"] == world.job["metadata"]["uid"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": {"type": "gru", "seed": 7}}, MarkForDeletion),
        ({"data": {"minRows": 5}}, MarkForDeletion),
        ({"runPolicy": {"suspend": True}}, MarkForDeletion),
        ({"resources": {"limits": {"memory": "8Gi"}}}, MarkForDeletion),
        ({"scheduling": {"priorityClassName": "high"}}, MarkForDeletion),
        ({"artifacts": {"bucket": "other"}}, MarkForDeletion),
        ({"gates": [{"metric": "skill", "min": 0}]}, MarkForDeletion),
        ({"data": {"databaseSecretName": "other"}}, MarkForDeletion),
        ({"runPolicy": {"backoffLimit": 5}}, Requeue),
        ({"reuse": "Never"}, Requeue),
    ],
)
def test_an_edit_of_a_running_trainingjob_stops_its_job_only_if_it_makes_it_wrong(
    changes: dict[str, Any], expected: type
) -> None:
    world = World().start().edit(**changes)
    assert isinstance(world.decide(), expected)


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"model": {"type": "gru", "seed": 7}}, (2, 1)),
        ({"resources": {"limits": {"memory": "8Gi"}}}, (1, 2)),
    ],
)
def test_the_next_job_waits_until_the_old_one_is_gone(changes: dict[str, Any], claim: tuple[int, int]) -> None:
    world = World().start().edit(**changes).settle()
    assert world.status["jobDeletionReason"] == "Superseded"
    assert "deletionTimestamp" in world.job["metadata"]
    assert len(world.created) == 1
    world.remove_job().settle()
    assert (world.status["run"], world.status["attempt"]) == claim
    assert len(world.created) == 2
    assert "jobDeletionReason" not in world.status


def test_an_edit_that_is_taken_back_while_the_job_goes_leads_to_the_next_attempt_only() -> None:
    world = World().start().edit(model={"type": "gru", "seed": 7}).settle()
    world.edit(model={"type": "gru"}).remove_job().settle()
    assert (world.status["run"], world.status["attempt"]) == (1, 2)


def test_a_request_to_retrain_during_a_run_is_met_by_one_more_run_afterwards() -> None:
    world = World().start().request_retrain("now").settle()
    assert len(world.jobs) == 1
    world.succeed()
    assert (world.status["run"], world.status["trigger"]) == (2, "RetrainRequested")
    world.add_pod().bind().run().settle().succeed()
    assert world.status["run"] == 2
    assert len(world.created) == 2


def test_a_request_to_retrain_with_a_changed_spec_is_met_by_one_run() -> None:
    world = World().start().edit(model={"type": "gru", "seed": 7}).request_retrain("now").settle()
    world.remove_job().start().succeed()
    assert (world.status["run"], world.status["trigger"]) == (2, "RetrainRequested")
    assert world.status["phase"] == "Succeeded"


def test_taking_the_request_to_retrain_back_does_nothing() -> None:
    world = World().request_retrain("now").start().succeed()
    del world.raw["metadata"]["annotations"]
    world.settle()
    assert (world.status["run"], world.status["observedRetrainRequest"]) == (1, "now")


@pytest.mark.parametrize(
    ("changes", "trigger"),
    [
        ({"model": {"type": "gru", "seed": 7}}, "SpecChanged"),
        ({"gates": [{"metric": "skill", "min": 0}]}, "GatesChanged"),
        ({"resources": {"limits": {"memory": "8Gi"}}}, None),
        ({"runPolicy": {"backoffLimit": 5}}, None),
    ],
)
def test_after_success_only_what_changes_the_verdict_starts_a_run(changes: dict[str, Any], trigger: str | None) -> None:
    world = World().start().succeed().edit(**changes).settle()
    assert world.status["trigger"] == (trigger or "Created")
    assert world.status["run"] == (2 if trigger else 1)
    assert world.status["observedGeneration"] == 2


@pytest.mark.parametrize(
    "changes", [{"resources": {"limits": {"memory": "8Gi"}}}, {"runPolicy": {"backoffLimit": 5}}, {"reuse": "Never"}]
)
def test_after_failure_any_edit_starts_a_run(changes: dict[str, Any]) -> None:
    world = World().start().fail(17).edit(**changes).settle()
    assert (world.status["run"], world.status["attempt"], world.status["phase"]) == (2, 1, "Pending")


def test_an_edit_that_races_with_the_failure_still_starts_a_run() -> None:
    world = World().start()
    world.end_pod(17).end_job("Failed", "PodFailurePolicy").edit(runPolicy={"backoffLimit": 5}).settle()
    assert world.status["run"] == 2
    assert world.status["history"][0]["phase"] == "Failed"


def test_a_to_b_to_a_is_three_runs() -> None:
    world = World().start().succeed()
    for run, seed in ((2, 7), (3, 42)):
        world.edit(model={"type": "gru", "seed": seed}).start().succeed()
        assert world.status["run"] == run
    assert len({entry["specHash"] for entry in world.status["history"]}) == 2


def test_a_job_gets_its_time_to_live_only_after_the_end_is_stored() -> None:
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


def test_a_job_that_vanishes_fails_the_run() -> None:
    world = World().start().remove_job().settle()
    assert world.condition("Failed") == ("True", "JobDeleted")
    assert len(world.created) == 1


def test_a_job_that_vanishes_is_missed_by_an_operator_that_was_started_since() -> None:
    world = World().start().remove_job()
    world.last_seen_attempt = (0, 0)
    assert world.settle().condition("Failed") == ("True", "JobDeleted")


def test_a_job_that_vanishes_before_its_uid_is_stored_is_missed_by_the_operator_that_saw_it() -> None:
    world = World().settle().remove_job()
    assert "jobUID" not in world.status
    assert world.settle().condition("Failed") == ("True", "JobDeleted")
    assert len(world.created) == 1


def test_a_job_that_somebody_deletes_is_waited_for_before_the_run_fails() -> None:
    world = World().start()
    world.job["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert isinstance(world.decide(), Requeue)
    assert world.settle().status["phase"] == "Running"


def test_a_report_of_success_counts_even_if_the_job_is_being_deleted() -> None:
    world = World().start()
    world.job["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert world.succeed().status["phase"] == "Succeeded"


@pytest.mark.parametrize("message", ["", "log text", "{broken", '{"uid": "another", "run": 1, "outcome": "Succeeded"}'])
def test_complete_without_a_readable_report_is_one_more_attempt_and_then_a_failure(message: str) -> None:
    world = World().start().end_pod(0, message).end_job("Complete").settle()
    assert (world.status["run"], world.status["attempt"], world.status["phase"]) == (1, 2, "Pending")
    world.start().end_pod(0, message).end_job("Complete").settle()
    assert world.condition("Failed") == ("True", "TrainerError")
    assert len(world.created) == 2


def test_a_report_of_failure_is_no_success_though_the_job_is_complete() -> None:
    world = World().start()
    world.end_pod(0, world.report("Failed")).end_job("Complete").settle()
    assert (world.status["attempt"], world.status["phase"]) == (2, "Pending")


def test_a_run_ends_when_its_job_did_and_not_when_that_was_seen() -> None:
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
def test_a_failed_job_ends_the_run_with_the_cause_of_its_last_pod(how: dict[str, Any], reason: str) -> None:
    world = World().start().fail(**how)
    assert world.condition("Failed") == ("True", reason)
    assert world.status["lastFailure"]["exitCode"] == how["exit_code"]


def test_the_trainers_own_reason_is_preferred_to_its_exit_code() -> None:
    world = World().start()
    world.fail(11, world.report("Failed", reason="SingleClass", message="no failure in the training part"))
    assert world.condition("Failed") == ("True", "SingleClass")
    assert world.status["lastFailure"]["message"] == "no failure in the training part"


def test_a_reason_outside_the_closed_list_is_not_taken_over() -> None:
    world = World().start()
    world.fail(1, world.report("Failed", reason="MoonPhase", message="x"))
    assert world.condition("Failed") == ("True", "TrainerError")


def test_the_jobs_deadline_ends_the_run_though_its_pods_are_gone() -> None:
    world = World().start()
    world.pods.clear()
    world.end_job("Failed", "DeadlineExceeded").settle()
    assert world.condition("Failed") == ("True", "DeadlineExceeded")


def test_a_failed_job_whose_pods_are_gone_says_what_the_job_says() -> None:
    world = World().start()
    world.pods.clear()
    world.end_job("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit").settle()
    assert world.condition("Failed") == ("True", "BackoffLimitExceeded")


def test_a_preferred_accelerator_falls_back_once_no_node_was_found_in_time_and_stays_there() -> None:
    world = World(accelerator=PREFERRED).settle().add_pod().find_no_node().settle()
    assert world.status["device"]["resourceName"] == "nvidia.com/gpu"
    assert world.decide() == Requeue(START + timedelta(seconds=300))
    world.pass_time(301)
    assert isinstance(world.step(), MarkForDeletion)
    assert world.status["jobDeletionReason"] == "FellBackToCPU"
    assert world.status["jobUID"] == world.job["metadata"]["uid"]
    world.settle().remove_job().settle()
    assert world.condition("Succeeded") == ("Unknown", "FellBackToCPU")
    assert world.status["device"] == {"requested": "Preferred", "reason": "FellBackToCPU"}
    assert world.job["spec"]["template"]["spec"]["containers"][0]["image"] == "trainer:cpu"
    world.add_pod().bind().run().settle().edit(resources={"limits": {"memory": "8Gi"}}).settle().remove_job().settle()
    assert (world.status["attempt"], world.status["device"]["reason"]) == (3, "FellBackToCPU")


def test_a_new_run_prefers_the_accelerator_again() -> None:
    world = World(accelerator=PREFERRED).settle().add_pod().pass_time(301).settle().remove_job().start().succeed()
    world.edit(model={"type": "gru", "seed": 7}).settle()
    assert world.status["device"] == {"requested": "Preferred", "resourceName": "nvidia.com/gpu"}


def test_no_fallback_while_a_pod_has_a_node() -> None:
    world = World(accelerator=PREFERRED).settle().add_pod().pass_time(299).bind().pass_time(600).settle()
    assert "jobDeletionReason" not in world.status


def test_the_fallback_clock_starts_anew_for_a_pod_that_replaces_a_disrupted_one() -> None:
    world = World(accelerator=PREFERRED).start().pass_time(3600)
    world.end_pod(143, disruption="PreemptionByScheduler").add_pod().find_no_node().settle()
    assert world.decide() == Requeue(world.now + timedelta(seconds=300))


def test_the_pause_before_a_failed_pod_is_replaced_is_no_lack_of_nodes() -> None:
    world = World(accelerator=PREFERRED).start().end_pod(1).pass_time(400).settle()
    assert "jobDeletionReason" not in world.status


def test_the_gap_between_two_pods_is_no_lack_of_nodes() -> None:
    world = World(accelerator=PREFERRED, runPolicy={"schedulingTimeoutSeconds": 600}).start().pass_time(7200)
    world.pods.clear()
    world.settle()
    assert world.condition("Scheduled") == ("False", "PodNotCreated")
    assert ("FellBackToCPU", world.now + timedelta(seconds=300)) in clocks(world)
    world.add_pod().bind().run().settle()
    assert (world.status["phase"], len(world.created)) == ("Running", 1)


def test_a_required_accelerator_waits_for_ever() -> None:
    world = World(accelerator={"policy": "Required"}).settle().add_pod().find_no_node().pass_time(1e7).settle()
    assert world.status["phase"] == "Queued"


def test_exit_15_falls_back_only_where_the_accelerator_is_preferred() -> None:
    world = World(accelerator=PREFERRED).start().fail(15)
    assert (world.status["attempt"], world.status["device"]["reason"]) == (2, "FellBackToCPU")
    assert world.status["lastFailure"]["reason"] == "AcceleratorMissing"
    world = World(accelerator={"policy": "Required"}).start().fail(15)
    assert world.condition("Failed") == ("True", "AcceleratorMissing")


def test_the_operators_configuration_decides_where_the_spec_names_no_policy() -> None:
    assert World(accelerator={}).settle().status["device"]["requested"] == "Preferred"
    assert World(accelerator={}, model={"type": "xgb"}).settle().status["device"] == {"requested": "Disabled"}


def test_who_requires_the_accelerator_after_a_fallback_gets_it_in_the_next_attempt() -> None:
    world = World(accelerator=PREFERRED).start().fail(15).start().edit(accelerator={"policy": "Required"}).settle()
    world.remove_job().settle()
    assert world.status["device"] == {"requested": "Required", "resourceName": "nvidia.com/gpu"}


def test_a_run_falls_back_once() -> None:
    world = World(accelerator=PREFERRED).start().fail(15).start().fail(15)
    assert world.condition("Failed") == ("True", "AcceleratorMissing")
    assert len(world.created) == 2


def test_an_accelerator_without_a_trainer_image_is_refused_or_falls_back() -> None:
    unknown = {"resourceName": "amd.com/gpu"}
    world = World(accelerator={"policy": "Required", **unknown}).settle()
    assert world.condition("Failed") == ("True", "InvalidConfiguration")
    assert "amd.com/gpu" in world.status["lastFailure"]["message"]
    world = World(accelerator={"policy": "Preferred", **unknown}).settle()
    assert world.status["device"]["reason"] == "FellBackToCPU"
    assert len(world.created) == 1


def test_a_scheduling_timeout_fails_the_run_first_and_then_frees_the_quota() -> None:
    world = World(runPolicy={"schedulingTimeoutSeconds": 60}).settle().add_pod().find_no_node("no room").settle()
    world.pass_time(61)
    assert isinstance(world.step(), FinishRun)
    assert world.condition("Failed") == ("True", "SchedulingTimeout")
    assert "no room" in world.status["lastFailure"]["message"]
    assert world.status["jobDeletionReason"] == "SchedulingTimeout"
    assert isinstance(world.step(), DeleteJob)


def test_a_scheduling_timeout_also_counts_where_no_pod_is_created_at_all() -> None:
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


def test_no_clock_runs_while_the_trainer_does() -> None:
    world = World(accelerator=PREFERRED, runPolicy={"schedulingTimeoutSeconds": 60}).start().pass_time(1e6)
    assert world.decide() == Requeue()


def test_a_new_run_after_a_timeout_waits_for_the_old_job_to_go() -> None:
    world = World(runPolicy={"schedulingTimeoutSeconds": 60}).settle().add_pod().pass_time(61).settle()
    world.edit(runPolicy={}).settle()
    assert (world.status["run"], len(world.created)) == (2, 1)
    world.remove_job().settle()
    assert len(world.created) == 2


def test_no_clock_runs_while_a_queue_holds_the_job() -> None:
    world = World(
        scheduling={"queueName": "team"}, accelerator=PREFERRED, runPolicy={"schedulingTimeoutSeconds": 60}
    ).settle()
    assert world.job["spec"]["suspend"] is True
    assert world.pass_time(1e6).settle().status["phase"] == "Queued"
    assert clocks(world) == []


def test_the_clocks_of_a_queued_job_start_when_the_queue_lets_it_go() -> None:
    world = World(scheduling={"queueName": "team"}, runPolicy={"schedulingTimeoutSeconds": 60}).settle()
    world.pass_time(3600)
    world.job["spec"]["suspend"] = False
    world.settle()
    assert clocks(world) == []
    world.pass_time(10)
    world.job["status"]["startTime"] = timestamp(world.now)
    assert clocks(world) == [("SchedulingTimeout", world.now + timedelta(seconds=60))]


def test_the_start_of_a_job_before_it_was_held_again_starts_no_clock() -> None:
    world = World(scheduling={"queueName": "team"}, runPolicy={"schedulingTimeoutSeconds": 60}).settle()
    status = world.job["status"]
    status["startTime"] = timestamp(world.now)
    status["conditions"] = [{"type": "Suspended", "status": "True"}]
    world.job["spec"]["suspend"] = False
    assert clocks(world.pass_time(3600)) == []
    status["conditions"] = [{"type": "Suspended", "status": "False"}]
    assert clocks(world) == [("SchedulingTimeout", START + timedelta(seconds=60))]


def test_a_job_that_its_queue_takes_back_is_queued_again() -> None:
    world = World(scheduling={"queueName": "team"}).settle()
    world.job["spec"]["suspend"] = False
    world.add_pod().bind().run().settle()
    assert world.status["phase"] == "Running"
    world.job["spec"]["suspend"] = True
    world.pods.clear()
    assert world.settle().status["phase"] == "Queued"


def test_a_suspended_trainingjob_has_no_job_and_its_next_attempt_waits_for_the_word() -> None:
    world = World().start().edit(runPolicy={"suspend": True}).settle()
    assert world.status["phase"] == "Running"
    world.remove_job().settle()
    assert world.status["phase"] == "Suspended"
    assert world.step() is None
    world.edit(runPolicy={"suspend": False}).settle()
    assert (world.status["run"], world.status["attempt"], len(world.created)) == (1, 2, 2)


@pytest.mark.parametrize(
    "changes", [{"gates": [{"metric": "skill", "min": 0}]}, {"accelerator": {"policy": "Required"}}]
)
def test_a_claim_that_no_job_was_created_for_is_renewed_when_the_spec_changes(changes: dict[str, Any]) -> None:
    world = World(runPolicy={"suspend": True}).settle().edit(**changes).settle()
    world.edit(runPolicy={}).settle()
    assert (world.status["run"], world.status["attempt"], len(world.created)) == (1, 2, 1)
    world.add_pod().bind().run().settle().succeed()
    assert (world.status["run"], world.status["phase"]) == (1, "Succeeded")


def test_a_run_that_succeeds_while_it_is_being_suspended_goes_on_afterwards_and_finds_itself() -> None:
    world = World().start().edit(runPolicy={"suspend": True})
    assert isinstance(world.step(), MarkForDeletion)
    world.end_pod(0, world.report("Succeeded")).end_job("Complete").settle().remove_job().settle()
    assert world.status["phase"] == "Suspended"


def test_a_job_that_the_api_server_never_takes_fails_the_run() -> None:
    world = World()
    world.step()
    world.create_error = CreateError((1, 1), final=True, message="spec is wrong")
    world.settle()
    assert world.condition("Failed") == ("True", "InvalidConfiguration")


def test_a_job_that_the_api_server_may_take_later_is_asked_for_again() -> None:
    world = World()
    world.step()
    world.create_error = CreateError((1, 1), final=False, message="exceeded quota", count=CREATE_ERROR_THRESHOLD)
    world.settle()
    assert world.condition("Succeeded") == ("Unknown", "PodNotCreated")
    assert isinstance(world.decide(), CreateJob)
    world.create_error = None
    assert len(world.settle().created) == 1


def test_trouble_of_the_api_server_is_told_once_it_does_not_pass_and_never_final() -> None:
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


def test_a_refusal_of_an_earlier_attempt_says_nothing_about_this_one() -> None:
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
def test_what_cannot_be_taken_back_is_decided_only_from_what_was_just_read(story: Callable[[], World]) -> None:
    world = story()
    assert decide(world.snapshot(fresh=False), world.now, world.configuration) == Relist()
    assert world.decide() != Relist()


def test_nothing_is_done_about_a_trainingjob_that_is_being_deleted() -> None:
    world = World()
    world.raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert world.decide() == Requeue()


def test_an_unfinished_job_of_an_earlier_claim_must_go_and_one_of_a_later_claim_is_let_alone() -> None:
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
