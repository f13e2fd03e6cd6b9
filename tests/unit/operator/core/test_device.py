"""The requested accelerator, and the fallback to the CPU."""

from datetime import timedelta

from support.operator_objects import World
from support.simulated_objects import START
from trainingjob_operator.core.decision import (
    MarkForDeletion,
    Requeue,
)

PREFERRED = {"policy": "Preferred", "fallbackAfterSeconds": 300}


def test_a_preferred_accelerator_falls_back_for_the_rest_of_the_run() -> None:
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


def test_the_fallback_deadline_restarts_for_the_replacement_of_a_disrupted_pod() -> None:
    world = World(accelerator=PREFERRED).start().pass_time(3600)
    world.end_pod(143, disruption="PreemptionByScheduler").add_pod().find_no_node().settle()
    assert world.decide() == Requeue(world.now + timedelta(seconds=300))


def test_the_backoff_before_a_pod_is_replaced_does_not_count_as_missing_node() -> None:
    world = World(accelerator=PREFERRED).start().end_pod(1).pass_time(400).settle()
    assert "jobDeletionReason" not in world.status


def test_the_time_between_two_pods_does_not_count_as_missing_node() -> None:
    world = World(accelerator=PREFERRED, runPolicy={"schedulingTimeoutSeconds": 600}).start().pass_time(7200)
    world.pods.clear()
    world.settle()
    assert world.condition("Scheduled") == ("False", "PodNotCreated")
    assert ("FellBackToCPU", world.now + timedelta(seconds=300)) in world.deadlines()
    world.add_pod().bind().run().settle()
    assert (world.status["phase"], len(world.created)) == ("Running", 1)


def test_a_required_accelerator_has_no_deadline() -> None:
    world = World(accelerator={"policy": "Required"}).settle().add_pod().find_no_node().pass_time(1e7).settle()
    assert world.status["phase"] == "Queued"


def test_exit_code_15_falls_back_only_with_policy_preferred() -> None:
    world = World(accelerator=PREFERRED).start().fail(15)
    assert (world.status["attempt"], world.status["device"]["reason"]) == (2, "FellBackToCPU")
    assert world.status["lastFailure"]["reason"] == "AcceleratorMissing"
    world = World(accelerator={"policy": "Required"}).start().fail(15)
    assert world.condition("Failed") == ("True", "AcceleratorMissing")


def test_the_configuration_sets_the_policy_if_the_spec_has_none() -> None:
    assert World(accelerator={}).settle().status["device"]["requested"] == "Preferred"
    assert World(accelerator={}, model={"type": "xgb"}).settle().status["device"] == {"requested": "Disabled"}


def test_policy_required_after_a_fallback_applies_to_the_next_attempt() -> None:
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
