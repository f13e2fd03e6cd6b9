"""TrainingJobs from Git in a real Argo CD."""

from collections.abc import Mapping
from typing import Any

import pytest

from cluster.processes import wait_until
from integration.operator.manifests import manifest
from peers.applications import SERVER_SIDE, Application, states
from support.training_jobs import GROUP, TrainingJobs

pytestmark = [pytest.mark.needs("controllers"), pytest.mark.usefixtures("operator")]

GRU: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}}
BOTH = pytest.mark.parametrize("options", [(SERVER_SIDE,), ()], ids=["server-side", "client-side"])
SELF_HEAL = {"prune": True, "selfHeal": True}
MARKER = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"after": "the training"}}

SPELLINGS: Mapping[str, Mapping[str, Any]] = {
    "numbers": {"resources": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"memory": "4Gi"}}},
    "units": {"resources": {"requests": {"cpu": "2000m", "memory": "4096Mi"}, "limits": {"memory": "4294967296"}}},
    "fractions": {"resources": {"requests": {"cpu": "0.5", "memory": "4.0Gi"}, "limits": {"memory": "4.5Gi"}}},
    "dates": {"data": {"startDate": "2025-01-01", "endDate": "2025-08-31"}},
    "instants": {"data": {"startDate": "2025-01-01T00:00:00Z", "endDate": "2025-08-31T12:00:00Z"}},
    "empty": {"gates": [], "accelerator": {"nodeSelector": {}, "tolerations": []}, "scheduling": {"nodeSelector": {}}},
    "lists": {
        "model": {"type": "gru", "gru": {"units": [32, 64], "features": ["Recalque", "A"], "output": "Direct"}},
        "gates": [{"metric": "skill", "min": 0}, {"metric": "rmse", "max": 0.05}],
        "scheduling": {"tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "Exists"}]},
    },
}


def commit(application: Application, **objects: Mapping[str, Any]) -> None:
    """Replaces the TrainingJobs in Git by these, with their specs."""
    application.repository.write("objects/trainingjobs.yaml", *(manifest({**GRU, **s}, n) for n, s in objects.items()))
    application.repository.commit()


@BOTH
def test_a_trainingjob_is_synced_in_every_phase_however_it_is_spelled(
    application: Application, jobs: TrainingJobs, options: tuple[str, ...]
) -> None:
    commit(application, **SPELLINGS)
    application.create(*options)
    operation = application.sync()
    assert operation["phase"] == "Succeeded", operation["syncResult"]
    application.wait(lambda status: states(status)[0] == "Synced")
    phases: set[str] = set()

    def ended() -> bool:
        phases.update(jobs.phases())
        assert application.refresh()["sync"]["status"] == "Synced", application.differences()
        jobs.play_kubelet()
        return set(jobs.phases()) == {"Succeeded"}

    wait_until(ended, "all have succeeded")
    application.wait_health("Healthy")
    assert application.differences() == ""
    assert "Running" in phases


@BOTH
def test_a_field_taken_out_of_git_is_taken_out_of_the_trainingjob(
    application: Application, jobs: TrainingJobs, options: tuple[str, ...]
) -> None:
    commit(application, pump={"data": {"minRows": 5}, "runPolicy": {"backoffLimit": 1}})
    application.create(*options)
    application.sync()
    assert jobs.get()["spec"]["runPolicy"] == {"backoffLimit": 1}
    commit(application, pump={})
    application.refresh()
    assert application.sync()["phase"] == "Succeeded"
    assert jobs.get()["spec"] == GRU


def test_the_tree_has_the_health_and_the_words_of_the_status(application: Application, jobs: TrainingJobs) -> None:
    commit(application, good={}, bad={})
    application.create(SERVER_SIDE)
    application.sync()
    good, bad = jobs.running("good"), jobs.running("bad")
    application.refresh()
    application.wait_node("TrainingJob", "good", "Progressing", "Training: The trainer runs on node")
    # For Argo CD a running pod that is never restarted is on its way to an end.
    application.wait_node("Pod", good.metadata.name, "Progressing", "")
    jobs.succeed(good)
    application.wait_node("TrainingJob", "good", "Healthy", "Completed: skill 0.31")
    report = jobs.report(bad, "Failed", reason="InsufficientData", message="812 rows were found, 1000 are needed.")
    jobs.node.finish(bad, 11, report)
    application.wait_node("TrainingJob", "bad", "Degraded", "InsufficientData: 812 rows were found, 1000 are needed.")
    application.wait_health("Degraded")


@pytest.mark.parametrize("exit_code", [0, 11], ids=["success", "failure"])
def test_the_next_wave_follows_a_success_and_never_a_failure(
    application: Application, jobs: TrainingJobs, exit_code: int
) -> None:
    def applied() -> bool:
        command = ["get", "configmap", "after", f"--namespace={jobs.namespace}", "--ignore-not-found"]
        return bool(application.cluster.run_kubectl(*command))

    wave = {"name": "after", "annotations": {"argocd.argoproj.io/sync-wave": "1"}}
    application.repository.write("objects/after.yaml", {**MARKER, "metadata": wave})
    commit(application, pump={})
    application.create(SERVER_SIDE)
    application.start_sync()
    pod = jobs.running()
    assert not applied()
    if exit_code == 0:
        jobs.succeed(pod)
    else:
        jobs.node.finish(pod, exit_code, jobs.report(pod, "Failed", reason="InsufficientData", message="no rows"))
    operation = application.wait_operation()
    assert operation["phase"] == ("Succeeded" if exit_code == 0 else "Failed"), operation["message"]
    assert applied() is (exit_code == 0)


def test_the_action_retrain_starts_one_more_run(application: Application, jobs: TrainingJobs) -> None:
    commit(application, pump={})
    application.create(SERVER_SIDE, automated=SELF_HEAL)
    jobs.succeed(jobs.running())
    application.wait_health("Healthy")
    application.act("retrain", "pump")
    jobs.succeed(jobs.running(run=2))
    application.wait_health("Healthy")
    assert len(jobs.jobs()) == 2


def test_a_retrain_annotation_in_git_starts_one_more_run(application: Application, jobs: TrainingJobs) -> None:
    commit(application, pump={})
    application.create(SERVER_SIDE)
    application.sync()
    jobs.succeed(jobs.running())
    asked = manifest(GRU, "pump")
    asked["metadata"]["annotations"] = {f"{GROUP}/retrain-requested-at": "2026-01-01T00:00:00Z"}
    application.repository.write("objects/trainingjobs.yaml", asked)
    application.repository.commit()
    application.refresh()
    application.sync()
    jobs.succeed(jobs.running(run=2))
    application.wait_health("Healthy")
    assert len(jobs.jobs()) == 2


def test_suspend_and_resume_by_actions_leave_the_application_synced(
    application: Application, jobs: TrainingJobs
) -> None:
    commit(application, pump={})
    application.create(SERVER_SIDE, automated=SELF_HEAL)
    pod = jobs.running()
    application.act("suspend", "pump")
    jobs.wait(lambda status: status.get("jobDeletionReason") == "Suspended")
    jobs.node.finish(pod, 14, jobs.report(pod, "Stopped", reason="Suspended"))
    jobs.wait_phase("Suspended")
    application.wait_health("Suspended")
    assert application.refresh()["sync"]["status"] == "Synced"
    application.act("resume", "pump")
    jobs.succeed(jobs.running(attempt=2))
    application.wait_health("Healthy")


def test_self_heal_reverts_the_action_suspend_if_git_has_a_run_policy(
    application: Application, jobs: TrainingJobs
) -> None:
    commit(application, pump={"runPolicy": {"backoffLimit": 1}})
    application.create(SERVER_SIDE, automated=SELF_HEAL)
    jobs.succeed(jobs.running())
    application.act("suspend", "pump")

    def reverted() -> bool:
        found = jobs.get()
        return (found["metadata"]["generation"], found["spec"]["runPolicy"]) == (3, {"backoffLimit": 1})

    wait_until(reverted, "Argo CD has reverted it")


def test_self_heal_restores_a_changed_spec_without_a_new_run(application: Application, jobs: TrainingJobs) -> None:
    commit(application, pump={"runPolicy": {"backoffLimit": 1}})
    application.create(SERVER_SIDE, automated=SELF_HEAL)
    jobs.succeed(jobs.running())
    jobs.patch(runPolicy={"backoffLimit": 7})
    wait_until(lambda: jobs.get()["spec"]["runPolicy"] == {"backoffLimit": 1}, "Argo CD has restored it")
    status = jobs.wait(lambda status: status["observedGeneration"] == jobs.get()["metadata"]["generation"])
    assert (status["phase"], status["run"]) == ("Succeeded", 1)


def test_a_pruned_trainingjob_is_created_again_and_adopts_its_model(
    application: Application, jobs: TrainingJobs
) -> None:
    commit(application, pump={}, other={})
    application.create(SERVER_SIDE)
    application.sync()
    first = jobs.succeed(jobs.running())
    (job,) = jobs.jobs()
    commit(application, other={})
    application.refresh()
    assert application.sync()["phase"] == "Succeeded"
    jobs.wait_gone(job.metadata.name)
    commit(application, pump={}, other={})
    application.refresh()
    application.sync()
    second = jobs.succeed(jobs.running(), reason="AdoptedExistingRun")
    assert second["specHash"] == first["specHash"]
    application.wait_node("TrainingJob", "pump", "Healthy", "AdoptedExistingRun: skill 0.31")


def test_an_invalid_trainingjob_is_refused_by_name_and_holds_up_no_other(
    application: Application, jobs: TrainingJobs
) -> None:
    commit(application, invalid={"runPolicy": {"backoffLimt": 1}}, valid={})
    application.create(SERVER_SIDE)
    operation = application.sync()
    assert operation["phase"] == "Failed"
    (refused,) = [each for each in operation["syncResult"]["resources"] if each["status"] == "SyncFailed"]
    assert refused["name"] == "invalid"
    assert "backoffLimt" in refused["message"]
    jobs.succeed(jobs.running("valid"))


def test_without_server_side_apply_a_misspelled_field_is_dropped(application: Application, jobs: TrainingJobs) -> None:
    commit(application, pump={"runPolicy": {"backoffLimt": 1}})
    application.create()
    assert application.sync()["phase"] == "Succeeded"
    assert jobs.get()["spec"] == {**GRU, "runPolicy": {}}


def test_an_application_of_300_trainingjobs_becomes_healthy(application: Application, jobs: TrainingJobs) -> None:
    commit(application, **{f"pump-{number}": {} for number in range(300)})
    application.create(SERVER_SIDE)
    assert application.sync()["phase"] == "Succeeded"

    def ended() -> bool:
        jobs.play_kubelet()
        return jobs.phases() == {"Succeeded": 300}

    wait_until(ended, "all have succeeded", patience_seconds=300)
    status = application.wait(lambda status: states(status) == ("Synced", "Healthy"))
    assert len(status["resources"]) == 300
