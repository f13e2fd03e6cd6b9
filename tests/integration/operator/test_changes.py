"""The consequences of an edited TrainingJob: another run, another attempt, or nothing."""

import pytest

from support.operator_process import Operator
from support.training_jobs import GROUP, TrainingJobs, condition

pytestmark = pytest.mark.needs("controllers")
RETRAIN = f"{GROUP}/retrain-requested-at"


def test_a_suspended_run_continues_in_a_new_attempt(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    pod = jobs.running()
    jobs.patch(runPolicy={"suspend": True})
    status = jobs.wait(lambda status: status.get("jobDeletionReason") == "Suspended")
    assert status["phase"] == "Running"
    jobs.node.finish(pod, 14, jobs.report(pod, "Stopped"))
    jobs.wait_gone(status["jobName"])
    status = jobs.wait_phase("Suspended")
    assert condition(status, "Suspended") == ("True", "Suspended")
    assert condition(status, "Reconciling")[0] == "False"
    assert condition(status, "Succeeded")[0] == "Unknown"
    jobs.patch(runPolicy={"suspend": False})
    status = jobs.succeed(jobs.running(attempt=2))
    assert (status["run"], status["attempt"]) == (1, 2)
    assert "jobDeletionReason" not in status


def test_a_trainingjob_that_is_created_suspended_starts_when_resumed(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply(runPolicy={"suspend": True})
    jobs.wait_phase("Suspended")
    assert jobs.jobs() == []
    jobs.patch(runPolicy={"suspend": False})
    status = jobs.succeed(jobs.running())
    assert (status["run"], status["attempt"]) == (1, 1)


def test_a_changed_spec_supersedes_the_unfinished_run(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    jobs.running()
    before = jobs.status()
    jobs.patch(model={"seed": 7})
    jobs.wait(lambda status: status.get("jobDeletionReason") == "Superseded")
    jobs.wait_gone(before["jobName"])
    status = jobs.succeed(jobs.running(run=2))
    assert status["specHash"] != before["specHash"]
    assert [(run["run"], run["phase"]) for run in status["history"]] == [(2, "Succeeded"), (1, "Superseded")]
    assert status["trigger"] == "SpecChanged"


def test_changed_resources_start_a_new_attempt_of_the_unfinished_run(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    jobs.running()
    before = jobs.status()
    jobs.patch(resources={"requests": {"memory": "2Gi"}})
    jobs.wait_gone(before["jobName"])
    pod = jobs.running(attempt=2)
    status = jobs.status()
    assert (status["run"], status["specHash"]) == (1, before["specHash"])
    assert status["data"] == before["data"]
    assert pod.spec.containers[0].resources.requests == {"memory": "2Gi"}


def test_only_a_changed_model_changed_gates_or_a_request_repeat_a_finished_run(
    operator: Operator, jobs: TrainingJobs
) -> None:
    operator.start()
    jobs.apply()
    jobs.succeed(jobs.running())
    jobs.patch(resources={"requests": {"memory": "2Gi"}})
    status = jobs.wait(lambda status: status["observedGeneration"] == 2)
    assert (status["run"], status["phase"]) == (1, "Succeeded")
    jobs.patch(gates=[{"metric": "skill", "min": 0.1}])
    assert jobs.succeed(jobs.running(run=2))["trigger"] == "GatesChanged"
    jobs.patch(annotations={RETRAIN: "2026-01-01T00:00:00Z"})
    pod = jobs.running(run=3)
    assert '"adopt":false' in next(e.value for e in pod.spec.containers[0].env if e.name == "TRAINING_JOB")
    status = jobs.succeed(pod)
    assert (status["trigger"], status["observedRetrainRequest"]) == ("RetrainRequested", "2026-01-01T00:00:00Z")
    jobs.patch(annotations={RETRAIN: None})
    jobs.patch(model={"seed": 7})
    status = jobs.succeed(jobs.running(run=4))
    assert [run["run"] for run in status["history"]] == [4, 3, 2, 1]


def test_any_edit_of_a_failed_trainingjob_starts_a_new_run(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply(runPolicy={"backoffLimit": 0})
    jobs.node.run_out_of_memory(jobs.running())
    failed = jobs.wait_phase("Failed")
    jobs.patch(resources={"requests": {"memory": "2Gi"}})
    status = jobs.succeed(jobs.running(run=2))
    assert status["specHash"] == failed["specHash"]
    assert "lastFailure" not in status


def test_a_run_falls_back_to_the_cpu_if_no_node_has_the_preferred_accelerator(
    operator: Operator, jobs: TrainingJobs
) -> None:
    operator.start()
    jobs.apply(
        accelerator={
            "policy": "Preferred",
            "fallbackAfterSeconds": 2,
            "nodeSelector": {"kubernetes.io/hostname": "nowhere"},
        }
    )
    pod = jobs.running(attempt=2)
    container = pod.spec.containers[0]
    assert (container.image, container.resources.limits) == ("trainer:cpu", None)
    status = jobs.status()
    assert status["device"]["reason"] == "FellBackToCPU"
    assert "resourceName" not in status["device"]
    assert "FellBackToCPU" in jobs.events()


def test_exit_code_15_falls_back_to_the_cpu_only_with_policy_preferred(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply("preferred", accelerator={"policy": "Preferred"})
    jobs.apply("required", accelerator={"policy": "Required"})
    pod = jobs.running("preferred")
    assert (pod.spec.containers[0].image, pod.spec.containers[0].resources.limits) == (
        "trainer:gpu",
        {"nvidia.com/gpu": "1"},
    )
    assert [t.key for t in pod.spec.tolerations if t.key == "nvidia.com/gpu"] == ["nvidia.com/gpu"]
    jobs.node.finish(pod, 15)
    pod = jobs.running("preferred", attempt=2)
    assert pod.spec.containers[0].image == "trainer:cpu"
    jobs.node.finish(jobs.running("required"), 15)
    status = jobs.wait_phase("Failed", name="required")
    assert condition(status, "Failed") == ("True", "AcceleratorMissing")


def test_a_job_in_a_queue_is_queued_and_has_no_deadline(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply(
        scheduling={"queueName": "team", "nodeSelector": {"kubernetes.io/hostname": "nowhere"}},
        runPolicy={"schedulingTimeoutSeconds": 1},
    )
    status = jobs.wait_phase("Queued")
    assert condition(status, "Succeeded") == ("Unknown", "Queued")
    (job,) = jobs.jobs()
    assert job.metadata.labels["kueue.x-k8s.io/queue-name"] == "team"
    jobs.apply(
        "later",
        scheduling={"nodeSelector": {"kubernetes.io/hostname": "nowhere"}},
        runPolicy={"schedulingTimeoutSeconds": 4},
    )
    jobs.wait_phase("Failed", name="later")
    assert jobs.status()["phase"] == "Queued"
    jobs.release(job.metadata.name)
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "SchedulingTimeout")


def test_a_job_that_the_api_server_rejects_fails_the_run_with_its_message(
    operator: Operator, jobs: TrainingJobs
) -> None:
    operator.start(TRAINER_RESOURCES='{"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}')
    jobs.apply()
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "InvalidConfiguration")
    assert "must be less than or equal to cpu limit" in status["lastFailure"]["message"]


def test_a_quota_delays_the_job_and_does_not_fail_the_run(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.set_quota({"count/jobs.batch": "0"})
    jobs.apply()
    status = jobs.wait(lambda status: condition(status, "Succeeded")[1] == "PodNotCreated")
    assert "exceeded quota" in status["conditions"][0]["message"]
    assert status["phase"] == "Pending"
    jobs.set_quota({"count/jobs.batch": "5"})
    jobs.succeed(jobs.running())


def test_a_recreated_trainingjob_starts_with_a_new_run_1(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start()
    jobs.apply()
    jobs.running()
    (first,) = jobs.jobs()
    jobs.delete()
    again = jobs.apply()
    status = jobs.wait(lambda status: "jobName" in status)
    assert status["jobName"] != first.metadata.name
    jobs.wait_gone(first.metadata.name)
    pod = jobs.node.pod(jobs.namespace, f"{GROUP}/uid={again['metadata']['uid']}")
    jobs.node.run(pod)
    status = jobs.succeed(pod)
    assert (status["run"], status["attempt"]) == (1, 1)
