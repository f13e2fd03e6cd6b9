"""The decisions after an edit, a retrain request, or a suspension of a TrainingJob."""

from typing import Any

import pytest

from support.operator_objects import World
from trainingjob_operator.core.decision import MarkForDeletion, Requeue


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
def test_an_edit_deletes_the_job_only_if_the_job_no_longer_matches(changes: dict[str, Any], expected: type) -> None:
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


def test_an_edit_that_is_reverted_during_the_deletion_starts_only_a_new_attempt() -> None:
    world = World().start().edit(model={"type": "gru", "seed": 7}).settle()
    world.edit(model={"type": "gru"}).remove_job().settle()
    assert (world.status["run"], world.status["attempt"]) == (1, 2)


def test_a_retrain_request_during_a_run_starts_another_run_afterwards() -> None:
    world = World().start().request_retrain("now").settle()
    assert len(world.jobs) == 1
    world.succeed()
    assert (world.status["run"], world.status["trigger"]) == (2, "RetrainRequested")
    world.add_pod().bind().run().settle().succeed()
    assert world.status["run"] == 2
    assert len(world.created) == 2


def test_a_retrain_request_with_a_changed_spec_starts_one_run() -> None:
    world = World().start().edit(model={"type": "gru", "seed": 7}).request_retrain("now").settle()
    world.remove_job().start().succeed()
    assert (world.status["run"], world.status["trigger"]) == (2, "RetrainRequested")
    assert world.status["phase"] == "Succeeded"


def test_removing_the_retrain_request_does_nothing() -> None:
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
def test_after_success_only_a_change_of_the_result_starts_a_run(changes: dict[str, Any], trigger: str | None) -> None:
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


def test_an_edit_at_the_time_of_the_failure_still_starts_a_run() -> None:
    world = World().start()
    world.end_pod(17).end_job("Failed", "PodFailurePolicy").edit(runPolicy={"backoffLimit": 5}).settle()
    assert world.status["run"] == 2
    assert world.status["history"][0]["phase"] == "Failed"


def test_a_change_and_its_reversal_are_three_runs() -> None:
    world = World().start().succeed()
    for run, seed in ((2, 7), (3, 42)):
        world.edit(model={"type": "gru", "seed": seed}).start().succeed()
        assert world.status["run"] == run
    assert len({entry["specHash"] for entry in world.status["history"]}) == 2


def test_a_suspended_trainingjob_has_no_job_until_suspend_is_unset() -> None:
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
def test_a_changed_spec_before_the_job_is_created_starts_another_attempt(changes: dict[str, Any]) -> None:
    world = World(runPolicy={"suspend": True}).settle().edit(**changes).settle()
    world.edit(runPolicy={}).settle()
    assert (world.status["run"], world.status["attempt"], len(world.created)) == (1, 2, 1)
    world.add_pod().bind().run().settle().succeed()
    assert (world.status["run"], world.status["phase"]) == (1, "Succeeded")


def test_a_run_that_succeeds_while_it_is_suspended_continues_afterwards() -> None:
    world = World().start().edit(runPolicy={"suspend": True})
    assert isinstance(world.step(), MarkForDeletion)
    world.end_pod(0, world.report("Succeeded")).end_job("Complete").settle().remove_job().settle()
    assert world.status["phase"] == "Suspended"
