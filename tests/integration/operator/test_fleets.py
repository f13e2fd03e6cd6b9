"""A TrainingFleet on a real control plane: one Indexed Job per attempt, and the status from its workers."""

import json
from typing import Any

import pytest

from cluster.processes import wait_until
from support.operator_process import Operator
from support.trainer_metrics import trainer_metrics
from support.training_fleets import TrainingFleets
from support.training_jobs import TrainingJobs, condition

pytestmark = pytest.mark.needs("controllers")

COUNTS = {"selected": 3, "registered": 2, "failed": 1}
FAILURES = [{"machine": "M-3", "reason": "InsufficientData", "message": "12 rows, 1000 are needed"}]


def run_input(pod: Any) -> dict[str, Any]:
    """The run that a worker is started with."""
    content: dict[str, Any] = json.loads(
        next(e.value for e in pod.spec.containers[0].env if e.name == "TRAINING_FLEET")
    )
    return content


def test_a_fleet_succeeds_with_the_first_worker_that_reports_the_end(
    operator: Operator, fleets: TrainingFleets
) -> None:
    process = operator.start()
    fleets.apply()
    pods = fleets.workers()
    assert {pod.metadata.annotations["batch.kubernetes.io/job-completion-index"] for pod in pods} == {"0", "1"}
    assert pods[0].spec.containers[0].args == ["work"]

    status = fleets.end(
        pods[1],
        reason="Completed",
        summary="2 of 3, median skill 0.27",
        machines=COUNTS,
        failures=FAILURES,
        artifacts=[{"name": "report", "uri": "s3://models/runs/fleets/x/report.html"}],
    )

    (job,) = fleets.jobs()
    assert (job.spec.completion_mode, job.spec.parallelism, status["jobUID"]) == ("Indexed", 2, job.metadata.uid)
    assert condition(status, "Succeeded") == ("True", "Completed")
    assert status["machines"] == {**COUNTS, "display": "2/3"}
    assert status["failures"] == FAILURES
    assert status["summary"] == "2 of 3, median skill 0.27"
    assert status["lastSuccessfulTime"] == status["completionTime"]
    assert operator.writes(process)["POST jobs"] == 1
    assert operator.writes(process)["PATCH trainingfleets"] <= 5


def test_counts_and_progress_come_from_the_most_advanced_worker(operator: Operator, fleets: TrainingFleets) -> None:
    operator.start()
    fleets.apply()
    with trainer_metrics("127.0.0.78") as behind, trainer_metrics("127.0.0.79") as ahead:
        behind.update(ratio=0.1)
        behind.count(selected=300, registered=30)
        ahead.update(ratio=0.42)
        ahead.count(selected=300, registered=120, failed=6)
        fleets.workers(addresses=(behind.address, ahead.address))
        status = fleets.wait(lambda status: status.get("progress", {}).get("percentage") == 42)
    assert status["progress"]["display"] == "42%"
    assert status["machines"] == {"selected": 300, "registered": 120, "failed": 6, "display": "120/300"}


def test_failed_machines_are_tried_again_in_one_more_attempt_of_the_run(
    operator: Operator, fleets: TrainingFleets
) -> None:
    operator.start()
    fleets.apply()
    pods = fleets.workers()
    status = fleets.end(pods[0], 18, reason="TooManyFailed", machines=COUNTS, failures=FAILURES)
    assert condition(status, "Failed") == ("True", "TooManyFailed")

    fleets.request(retry_failed="now")
    pods = fleets.workers(attempt=2)
    again = run_input(pods[0])
    assert (again["run"], again["attempt"], again["retryFailed"]) == (1, 2, True)
    assert again["window"]["end"] == status["data"]["end"]
    status = fleets.end(pods[0], machines={"selected": 3, "registered": 3})
    assert (status["run"], status["attempt"], status["machines"]["display"]) == (1, 2, "3/3")
    assert "failures" not in status
    assert [entry["phase"] for entry in status["history"]] == ["Succeeded"]

    fleets.request(retry_failed="again")
    fleets.wait(lambda status: status["observedRetryFailedRequest"] == "again")
    wait_until(lambda: "RunSkipped" in fleets.events(), "the Event is recorded")
    assert len(fleets.jobs()) == 2


def test_a_scheduled_run_starts_at_its_minute_and_only_once(operator: Operator, fleets: TrainingFleets) -> None:
    operator.start()
    fleets.apply(schedule={"cron": "0 0 1 1 *"})
    status = fleets.wait_phase_without_run("Scheduled")
    assert condition(status, "Succeeded") == ("Unknown", "Scheduled")
    assert status["nextScheduleTime"].endswith("-01-01T00:00:00Z")

    fleets.patch(schedule={"cron": "* * * * *"})
    status = fleets.wait(lambda status: status.get("run") == 1, seconds=90)
    assert status["trigger"] == "Scheduled"
    assert status["lastScheduleTime"] < status["nextScheduleTime"]
    fleets.patch(schedule={"cron": "0 0 1 1 *"})
    fleets.end(fleets.workers()[0], machines={"selected": 1, "registered": 1})
    assert len(fleets.jobs()) == 1


def test_a_schedule_that_the_crd_cannot_check_is_reported(operator: Operator, fleets: TrainingFleets) -> None:
    operator.start()
    fleets.apply(schedule={"cron": "30 2 * * *", "timeZone": "Mars/Olympus"})
    status = fleets.wait_phase_without_run("Failed")
    assert condition(status, "Failed") == ("True", "InvalidConfiguration")


def test_a_changed_spec_replaces_the_workers_in_the_foreground(operator: Operator, fleets: TrainingFleets) -> None:
    operator.start()
    fleets.apply()
    fleets.workers()
    (first,) = fleets.jobs()
    fleets.patch(machines={"matching": "A-*"})
    fleets.wait(lambda status: status.get("jobDeletionReason") == "Superseded")
    fleets.wait_gone(first.metadata.name)
    fleets.workers(run=2)
    assert fleets.status()["history"][0]["phase"] == "Superseded"


def test_a_fleet_and_a_trainingjob_of_one_name_run_side_by_side(
    operator: Operator, fleets: TrainingFleets, jobs: TrainingJobs
) -> None:
    operator.start()
    fleets.apply(workers=1)
    jobs.apply()
    for kind in (fleets, jobs):
        kind.wait(lambda status: "jobUID" in status)
    job, fleet = jobs.status(), fleets.status()
    assert job["jobUID"] != fleet["jobUID"]
    owners = {each.metadata.uid: each.metadata.owner_references[0].kind for each in jobs.jobs()}
    assert owners == {job["jobUID"]: "TrainingJob", fleet["jobUID"]: "TrainingFleet"}


def test_deleting_a_fleet_deletes_its_job(operator: Operator, fleets: TrainingFleets) -> None:
    operator.start()
    fleets.apply()
    fleets.workers()
    (job,) = fleets.jobs()
    fleets.delete()
    fleets.wait_gone(job.metadata.name)
