"""One run of a TrainingFleet: its Job, the reports of its workers, and another attempt for the failed machines."""

import json
from typing import Any

import pytest

from support.fleet_objects import FleetWorld
from trainingjob_api.fleet_run import FleetRun
from trainingjob_operator.core.snapshot import Progress


def run_input(world: FleetWorld) -> FleetRun:
    (container,) = world.job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["work"]
    (text,) = [variable["value"] for variable in container["env"] if variable["name"] == "TRAINING_FLEET"]
    return FleetRun.model_validate_json(text)


def counts(world: FleetWorld) -> dict[str, Any]:
    machines: dict[str, Any] = world.status["machines"]
    return machines


def test_without_a_schedule_a_fleet_runs_when_it_is_created() -> None:
    world = FleetWorld().start_workers()
    assert (world.status["phase"], world.status["run"], world.status["trigger"]) == ("Running", 1, "Created")
    assert "nextScheduleTime" not in world.status


def test_the_job_is_indexed_and_completes_with_its_first_worker() -> None:
    world = FleetWorld(workers=7, runPolicy={"backoffLimit": 4}).settle()
    spec = world.job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 7, 7)
    assert spec["backoffLimitPerIndex"] == 4
    assert "backoffLimit" not in spec
    assert spec["successPolicy"] == {"rules": [{"succeededCount": 1}]}
    assert spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"][-1] == 18


def test_children_name_the_kind_of_their_parent() -> None:
    world = FleetWorld().settle()
    assert world.job["metadata"]["labels"]["training.pumphealth.io/kind"] == "TrainingFleet"
    assert world.job["metadata"]["ownerReferences"][0]["kind"] == "TrainingFleet"


def test_the_workers_read_the_run_with_its_frozen_window() -> None:
    world = FleetWorld(template={"model": {"type": "gru"}, "data": {"lookbackDays": 90}}).start_workers()
    first = run_input(world)
    assert (first.run, first.attempt, first.retry_failed, first.adopt) == (1, 1, False, True)
    world.pass_time(3 * 86400).edit(workers=3).settle().remove_job().settle()
    second = run_input(world)
    assert (second.run, second.attempt, second.window) == (1, 2, first.window)


def test_a_queue_receives_the_whole_run_as_one_suspended_job() -> None:
    world = FleetWorld(scheduling={"queueName": "team"}).settle()
    assert len(world.jobs) == 1
    assert world.job["spec"]["suspend"] is True


@pytest.mark.parametrize("reporter", [0, 1])
def test_the_run_succeeds_by_the_totals_of_one_worker_while_the_other_failed(reporter: int) -> None:
    world = FleetWorld().start_workers()
    totals = world.report(
        "Succeeded", summary="2 of 3, median skill 0.2", machines={"selected": 3, "registered": 2, "failed": 1}
    )
    world.worker(1 - reporter).end_pod(137, world.report("Stopped", machines={"selected": 3, "registered": 1}))
    world.worker(reporter).end_pod(0, totals).end_job("Failed", "FailedIndexes").settle()
    assert world.condition("Succeeded") == ("True", "Completed")
    assert counts(world) == {"selected": 3, "registered": 2, "failed": 1, "display": "2/3"}
    assert world.status["summary"] == "2 of 3, median skill 0.2"
    assert world.status["lastSuccessfulTime"] == world.status["completionTime"]


def test_a_worker_that_fails_does_not_end_the_run_of_the_others() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).end_pod(137, reason="OOMKilled").settle()
    assert (world.status["phase"], world.status["lastFailure"]["reason"]) == ("Running", "OutOfMemory")


def test_too_many_failed_machines_fail_the_run_with_the_list_of_them() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).end_pod(14, world.report("Stopped", machines={"selected": 3, "registered": 1}))
    world.worker(1).fail_some(2)
    assert world.condition("Failed") == ("True", "TooManyFailed")
    assert counts(world)["failed"] == 2
    assert [failure["machine"] for failure in world.status["failures"]] == ["M-0", "M-1"]
    assert "lastSuccessfulTime" not in world.status


def test_a_final_error_is_the_reason_beside_the_totals_of_another_worker() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).end_pod(11, world.report("Failed", reason="DataUnavailable", message="no table"))
    world.worker(1).end_pod(14, world.report("Stopped", reason="Evicted", machines={"selected": 3, "registered": 1}))
    world.end_job("Failed", "PodFailurePolicy").settle()
    assert world.condition("Failed") == ("True", "DataUnavailable")
    assert counts(world)["display"] == "1/3"


def test_workers_that_failed_too_often_fail_the_run() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).end_pod(1)
    world.worker(1).end_pod(1, "Traceback\nValueError: x").end_job("Failed", "FailedIndexes").settle()
    assert world.condition("Failed") == ("True", "TrainerError")
    assert "spec.runPolicy.backoffLimit" in world.message


def test_a_complete_job_without_a_report_gets_one_more_attempt() -> None:
    world = FleetWorld().start_workers()
    world.end_pod(0, "").end_job("Complete").settle()
    assert (world.status["attempt"], world.status["phase"]) == (2, "Pending")


def test_a_worker_on_a_lost_node_does_not_hold_back_a_run_that_has_succeeded() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).delete_pod()
    world.worker(1).end_pod(0, world.report("Succeeded", machines={"selected": 1, "registered": 1}))
    world.end_job("SuccessCriteriaMet", "SuccessPolicy").settle()
    assert world.status["phase"] == "Running"
    world.pass_time(3600).settle()
    assert world.status["phase"] == "Succeeded"
    assert "deletionTimestamp" in world.job["metadata"]


def test_a_worker_on_a_lost_node_does_not_hide_why_the_run_has_failed() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).delete_pod()
    world.worker(1).end_pod(18, world.report("Failed", reason="TooManyFailed", machines={"selected": 1, "failed": 1}))
    world.job["status"]["conditions"] = [{"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}]
    world.touch_job().settle()
    assert world.status["phase"] == "Running"
    world.pass_time(3600).settle()
    assert world.condition("Failed") == ("True", "TooManyFailed")
    assert counts(world)["failed"] == 1


def test_a_lost_worker_beside_one_without_a_report_leads_to_one_more_attempt() -> None:
    world = FleetWorld().start_workers()
    world.worker(0).delete_pod()
    world.worker(1).end_pod(0, "").end_job("SuccessCriteriaMet", "SuccessPolicy").settle().pass_time(3600).settle()
    assert (world.status["attempt"], world.status["lastFailure"]["reason"]) == (2, "Retrying")
    assert len(world.created) == 1


def test_no_deadline_runs_while_one_worker_has_a_node() -> None:
    world = FleetWorld(runPolicy={"schedulingTimeoutSeconds": 60}).start_workers(1)
    world.add_pod().find_no_node().settle()
    assert world.status["phase"] == "Running"
    assert world.deadlines() == []
    world.pass_time(600).worker(0).end_pod(1).settle()
    ((reason, due),) = world.deadlines()
    assert (reason, (due - world.now).total_seconds()) == ("SchedulingTimeout", 60)


def test_a_run_falls_back_to_the_cpu_while_no_worker_has_a_node() -> None:
    world = FleetWorld(accelerator={"policy": "Preferred", "fallbackAfterSeconds": 60}).settle()
    world.add_pod().find_no_node().add_pod().find_no_node().settle().pass_time(61).settle().remove_job().settle()
    assert world.status["device"] == {"requested": "Preferred", "reason": "FellBackToCPU"}
    assert run_input(world).accelerator is None


def test_progress_shows_counts_and_percentage() -> None:
    world = FleetWorld().start_workers()
    pod = world.pod["metadata"]["uid"]
    world.progress = Progress(pod, world.now, ratio=0.427, machines={"selected": 300, "registered": 120, "reused": 8})
    writes = world.settle().writes
    assert world.status["progress"]["display"] == "42%"
    assert counts(world)["display"] == "128/300"
    assert world.settle().writes == writes


def test_a_changed_spec_supersedes_an_unfinished_run() -> None:
    world = FleetWorld().start_workers()
    world.edit(machines={"matching": "A-*"}).settle().remove_job().settle()
    assert (world.status["run"], world.status["trigger"]) == (2, "SpecChanged")
    assert world.status["history"][0]["phase"] == "Superseded"


def test_changed_gates_start_a_run_after_a_success() -> None:
    world = FleetWorld().start_workers().succeed_all()
    template = {"model": {"type": "gru"}, "gates": [{"metric": "skill", "min": 0}]}
    world.edit(template=template).settle()
    assert (world.status["run"], world.status["trigger"]) == (2, "GatesChanged")


def test_a_retry_is_one_more_attempt_of_the_same_run_for_the_failed_machines() -> None:
    world = FleetWorld().start_workers().fail_some(1)
    window, run = run_input(world).window, world.status["run"]
    world.pass_time(86400).request_retry("now").settle()
    world.settle()
    assert (world.status["run"], world.status["attempt"], world.status["phase"]) == (run, 2, "Pending")
    assert (run_input(world).retry_failed, run_input(world).window) == (True, window)
    assert "failures" not in world.status
    world.start_workers().succeed_all()
    assert (world.status["phase"], counts(world)["display"]) == ("Succeeded", "3/3")
    assert [(entry["run"], entry["phase"]) for entry in world.status["history"]] == [(1, "Succeeded")]
    assert world.settle().status["attempt"] == 2


def test_a_retraining_that_is_retried_adopts_no_equal_model() -> None:
    world = FleetWorld().request_retrain("a").start_workers().fail_some(1).request_retry("b").settle()
    assert (run_input(world).retry_failed, run_input(world).adopt) == (True, False)


def test_a_retry_waits_until_the_run_has_ended() -> None:
    world = FleetWorld().start_workers().request_retry("early").settle()
    assert (world.status["attempt"], world.events) == (1, [])
    world.fail_some(1).settle()
    assert (world.status["attempt"], run_input(world).retry_failed) == (2, True)


def test_machines_that_the_deadline_left_unfinished_are_retried_too() -> None:
    world = FleetWorld().start_workers()
    world.end_pod(14, world.report("Stopped", machines={"selected": 3, "registered": 1, "waiting": 2}))
    world.stop_workers().end_job("Failed", "DeadlineExceeded").settle()
    assert world.condition("Failed") == ("True", "DeadlineExceeded")
    world.request_retry("now").settle()
    assert run_input(world).retry_failed


@pytest.mark.parametrize(
    "prepare",
    [
        lambda world: world.start_workers().succeed_all(),
        lambda world: world.edit(schedule={"cron": "0 0 1 1 *"}).settle(),
    ],
    ids=["after a success", "before the first run"],
)
def test_a_retry_without_failed_machines_is_answered_by_an_event(prepare: Any) -> None:
    world = FleetWorld()
    prepare(world)
    before = (world.status.get("run"), world.status.get("attempt"))
    world.request_retry("now").settle()
    assert world.status["observedRetryFailedRequest"] == "now"
    assert (world.status.get("run"), world.status.get("attempt")) == before
    assert "no failed machine" in world.events[0]


def test_a_retry_after_a_changed_spec_is_answered_by_an_event() -> None:
    world = FleetWorld(schedule={"cron": "0 0 1 1 *"}).settle().request_retrain("a").start_workers().fail_some(1)
    world.edit(machines={"matching": "A-*"}).settle().request_retry("b").settle()
    assert (world.status["run"], world.status["attempt"]) == (1, 1)
    assert "the spec has changed" in world.events[0]


def test_a_new_run_answers_an_earlier_request_to_retry() -> None:
    world = FleetWorld().start_workers().fail_some(1).request_retrain("a").request_retry("b").settle()
    assert (world.status["run"], world.status["observedRetryFailedRequest"]) == (2, "b")
    assert not run_input(world).retry_failed


def test_a_suspended_run_continues_in_a_new_attempt_of_the_same_run() -> None:
    world = FleetWorld().start_workers()
    world.edit(runPolicy={"suspend": True}).settle().remove_job().settle()
    assert world.status["phase"] == "Suspended"
    world.edit(runPolicy={"suspend": False}).settle()
    assert (world.status["run"], world.status["attempt"]) == (1, 2)


def test_a_deleted_fleet_is_left_to_the_garbage_collector() -> None:
    world = FleetWorld().start_workers()
    world.raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert world.step() is None


def test_a_list_of_names_that_no_program_can_be_started_with_is_refused() -> None:
    names = [f"{'M' * 58}-{n:04}" for n in range(2000)]
    assert FleetWorld(machines={"names": names[:1900]}).settle().status["phase"] == "Pending"
    world = FleetWorld(machines={"names": names}).settle()
    assert world.condition("Failed") == ("True", "InvalidConfiguration")
    assert "spec.machines.matching" in world.message
    assert world.jobs == {}


def test_the_input_of_the_workers_is_the_stored_spec_unchanged() -> None:
    world = FleetWorld(newField={"a": 1}).settle()
    (container,) = world.job["spec"]["template"]["spec"]["containers"]
    (text,) = [variable["value"] for variable in container["env"] if variable["name"] == "TRAINING_FLEET"]
    assert json.loads(text)["spec"] == world.raw["spec"]
