"""A TrainingJob from its creation to its result: one Job per attempt, and the status of each step."""

import json

import pytest

from cluster.processes import wait_until
from support.operator_process import Operator
from support.trainer_metrics import trainer_metrics
from support.training_jobs import TrainingJobs, condition

pytestmark = pytest.mark.needs("controllers")


def test_a_trainingjob_creates_one_job_and_succeeds_with_the_report_of_the_trainer(
    operator: Operator, jobs: TrainingJobs
) -> None:
    process = operator.start()
    jobs.apply(data={"startDate": "2025-01-01", "endDate": "2025-08-31"})
    pod = jobs.running()
    status = jobs.status()
    assert condition(status, "Succeeded") == ("Unknown", "Training")
    assert condition(status, "Scheduled")[0] == condition(status, "Reconciling")[0] == "True"
    assert status["device"] == {"requested": "Disabled", "used": "CPU", "node": jobs.node.name}

    artifact = {"name": "model", "uri": "s3://models/x.h5", "sha256": "a" * 64, "sizeBytes": 7}
    status = jobs.succeed(
        pod,
        artifacts=[artifact],
        registration={"modelID": "12", "bucketAddress": "x.h5"},
        data={"rowsRead": 5000, "rowsUsed": 4900, "segments": 2, "fingerprint": "f"},
        device={"used": "CPU"},
    )

    (job,) = jobs.jobs()
    assert status["jobUID"] == job.metadata.uid
    assert condition(status, "Succeeded") == ("True", "Completed")
    assert condition(status, "Failed")[0] == condition(status, "Stalled")[0] == "False"
    assert status["metrics"] == {"skill": 0.31}
    assert status["summary"] == "skill 0.31"
    assert status["artifacts"] == [artifact]
    assert status["registration"] == {"modelID": "12", "bucketAddress": "x.h5"}
    assert status["data"]["start"] == "2025-01-01T00:00:00Z"
    assert status["data"]["end"] == "2025-09-01T00:00:00Z"
    assert status["data"]["rowsUsed"] == 4900
    assert status["history"][0]["bucketAddress"] == "x.h5"
    assert status["observedGeneration"] == 1
    assert operator.metric(process, "trainingjob_operator_watch_restarts_total") == 0
    assert operator.writes(process) == {"PATCH trainingjobs": 3, "POST jobs": 1, "PATCH jobs": 1}


def test_the_pod_has_the_training_run_and_no_token(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    created = jobs.apply(artifacts={"bucket": "elsewhere"})
    pod = jobs.running()
    told = json.loads(next(e.value for e in pod.spec.containers[0].env if e.name == "TRAINING_JOB"))
    status = jobs.status()
    assert told["uid"] == created["metadata"]["uid"]
    assert (told["run"], told["attempt"], told["adopt"]) == (1, 1, True)
    assert told["specHash"] == status["specHash"]
    assert told["window"]["end"] == status["data"]["end"]
    assert told["spec"]["artifacts"]["bucket"] == "elsewhere"
    assert pod.spec.automount_service_account_token is False
    assert pod.spec.containers[0].resources.requests["cpu"] == "1"


def test_each_transition_has_an_event(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    jobs.succeed(jobs.running())
    wait_until(lambda: "Completed" in jobs.events(), "the last Event is recorded")
    assert sorted(jobs.events()) == ["Accepted", "Completed", "Training"]


def test_progress_of_the_running_trainer_is_shown(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    with trainer_metrics("127.0.0.77") as figures:
        figures.update(stage="Training", ratio=0.42, epoch=42, epochs=100, loss=0.5)
        pod = jobs.node.pod(jobs.namespace)
        jobs.node.run(pod, figures.address)
        status = jobs.wait(lambda status: status.get("progress", {}).get("percentage") == 42)
        assert status["progress"]["display"] == "42%"
        assert (status["progress"]["epoch"], status["progress"]["epochs"]) == (42, 100)
        assert status["progress"]["metrics"] == {"loss": 0.5}
        figures.update(ratio=0.5)
        status = jobs.wait(lambda status: status["progress"]["percentage"] == 50)
        assert "estimatedCompletionTime" in status["progress"]
    status = jobs.succeed(pod)
    assert status["progress"]["display"] == "100%"


def test_a_final_failure_fails_the_run_with_the_message_of_the_trainer(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    pod = jobs.running()
    message = "machine MOTOBOMBA-007 has 12 rows, 1000 are needed"
    jobs.node.finish(pod, 11, jobs.report(pod, "Failed", reason="InsufficientData", message=message, exitCode=11))
    status = jobs.wait_phase("Failed")
    assert condition(status, "Succeeded") == ("False", "InsufficientData")
    assert condition(status, "Failed") == condition(status, "Stalled") == ("True", "InsufficientData")
    assert status["lastFailure"]["message"] == message
    assert status["lastFailure"]["exitCode"] == 11
    assert len(jobs.jobs()) == 1


def test_an_infrastructure_failure_is_retried_within_the_same_job(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply(runPolicy={"backoffLimit": 1})
    jobs.node.run_out_of_memory(jobs.running())
    status = jobs.wait(lambda status: status.get("failures") == 1)
    assert status["lastFailure"]["reason"] == "OutOfMemory"
    assert condition(status, "Failed")[0] == "False"
    pod = jobs.running()
    jobs.node.run_out_of_memory(pod)
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "OutOfMemory")
    assert "backoffLimit" in status["lastFailure"]["message"]
    assert len(jobs.jobs()) == 1


def test_an_eviction_never_counts_as_a_failure(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply(runPolicy={"backoffLimit": 0})
    jobs.node.evict(jobs.running(), exit_code=14)
    status = jobs.wait(lambda status: status.get("lastFailure", {}).get("reason") == "Evicted")
    status = jobs.succeed(jobs.running())
    assert status["attempt"] == 1
    assert len(jobs.jobs()) == 1


def test_a_deleted_job_is_reported_and_not_created_again(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    jobs.running()
    (job,) = jobs.jobs()
    jobs.delete_job(job.metadata.name)
    jobs.wait_gone(job.metadata.name)
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "JobDeleted")
    assert jobs.jobs() == []


def test_a_finished_job_gets_a_ttl_after_the_status_and_is_not_run_again(
    operator: Operator, jobs: TrainingJobs
) -> None:
    process = operator.start()
    jobs.apply(runPolicy={"jobTTLSecondsAfterFinished": 0})
    jobs.succeed(jobs.running())
    jobs.wait_gone(jobs.status()["jobName"])
    operator.kill(process)
    second = operator.start()
    assert operator.writes(second) == {}
    assert jobs.status()["phase"] == "Succeeded"
    assert jobs.jobs() == []


def test_a_complete_job_without_a_readable_report_gets_one_more_attempt(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    jobs.node.finish(jobs.running(), 0, "the last lines of a log")
    status = jobs.succeed(jobs.running(attempt=2), reason="AdoptedExistingRun")
    assert (status["run"], status["attempt"]) == (1, 2)
    assert condition(status, "Succeeded") == ("True", "AdoptedExistingRun")
    jobs.apply("other")
    jobs.node.finish(jobs.running("other"), 0)
    jobs.node.finish(jobs.running("other", attempt=2), 0)
    status = jobs.wait_phase("Failed", name="other")
    assert condition(status, "Failed") == ("True", "TrainerError")


def test_a_pod_without_a_node_is_queued_until_the_scheduling_timeout(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply(
        scheduling={"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}, runPolicy={"schedulingTimeoutSeconds": 3}
    )
    status = jobs.wait(lambda status: status.get("phase") == "Queued")
    assert condition(status, "Succeeded") == ("Unknown", "Unschedulable")
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "SchedulingTimeout")
    jobs.wait_gone(status["jobName"])


def test_a_pod_that_does_not_start_fails_the_run_and_is_deleted(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start(START_TIMEOUT_SECONDS="3")
    jobs.apply()
    jobs.node.fail_to_pull_image(jobs.node.pod(jobs.namespace))
    status = jobs.wait(lambda status: condition(status, "Succeeded")[1] == "ImagePullFailed")
    assert status["phase"] == "Pending"
    assert condition(status, "Stalled")[0] == "False"
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "ImagePullFailed")
    jobs.wait_gone(status["jobName"])
