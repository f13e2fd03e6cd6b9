"""The gauges of single objects: their values, and that their number is limited."""

from typing import Any

import pytest
from prometheus_client.core import Metric

from support.fleet_objects import NIGHTLY, FleetWorld
from support.operator_objects import World
from trainingjob_api.text import timestamp
from trainingjob_operator.core.parent import Parent, TrainingJob
from trainingjob_operator.core.status import HISTORY_LENGTH
from trainingjob_operator.state_metrics import NAMED_OBJECTS, State, families


def samples(state: State, name: str) -> dict[tuple[str, ...], float]:
    """The values of a gauge by the values of its labels."""
    family: Metric = next(each for each in families(state) if each.name == f"trainingjob_operator_{name}")
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def training_job(name: str, **status: Any) -> Parent:
    metadata = {"namespace": "a", "name": name, "uid": name, "resourceVersion": "1"}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return TrainingJob.parse({"metadata": metadata, "spec": {"model": {"type": "gru"}}, "status": status})


def test_the_last_success_stays_while_later_runs_fail() -> None:
    world = World().start().succeed()
    success = world.parent().last_success
    assert success == world.status["completionTime"]
    for request in range(HISTORY_LENGTH + 1):
        world.pass_time(3600).request_retrain(str(request)).start().fail(17)
    assert world.parent().last_success == success


@pytest.mark.parametrize("world", [World(), FleetWorld()], ids=["TrainingJob", "TrainingFleet"])
def test_without_a_success_the_creation_counts(world: World) -> None:
    world.start()
    assert world.parent().last_success == timestamp(world.parent().created)


def test_only_unfinished_runs_that_are_meant_to_run_have_a_last_change() -> None:
    world = World()
    assert world.settle().parent().last_change == timestamp(world.now)
    world.pass_time(600).add_pod().bind().run().settle()
    assert world.parent().last_change == timestamp(world.now)
    assert world.succeed().parent().last_change is None
    assert FleetWorld(schedule=NIGHTLY).settle().parent().last_change is None
    assert World(runPolicy={"suspend": True}).settle().parent().last_change is None


def test_objects_are_counted_by_namespace_model_phase_and_reason() -> None:
    state = State([World().start().fail(17).parent(), FleetWorld().start_workers().succeed_all().parent()])
    ((namespace, *rest),) = samples(state, "trainingjobs")
    assert rest == ["gru", "Failed", "Diverged"]
    assert samples(state, "trainingfleets") == {(namespace, "gru", "Succeeded", "Completed"): 1}


def test_the_machines_of_a_fleet_are_served_by_state() -> None:
    state = State([FleetWorld().start_workers().succeed_all(selected=3, registered=2, failed=1).parent()])
    by_state = {labels[-1]: value for labels, value in samples(state, "fleet_machines").items()}
    assert by_state == {"selected": 3, "registered": 2, "failed": 1}


def test_running_trainers_are_counted_by_their_accelerator() -> None:
    gpu = training_job("gpu", phase="Running", device={"resourceName": "nvidia.com/gpu"})
    cpu = training_job("cpu", phase="Running")
    found = samples(State([gpu, cpu, training_job("idle")], {"gpu": 1, "cpu": 2}), "trainers")
    assert {labels[-1]: value for labels, value in found.items()} == {"nvidia.com/gpu": 1, "cpu": 2}


@pytest.mark.parametrize("name", ["last_success_timestamp_seconds", "last_change_timestamp_seconds"])
def test_a_gauge_names_a_limited_number_of_objects_the_oldest(name: str) -> None:
    def run(n: int) -> Parent:
        time = f"2026-02-01T{n // 60:02}:{n % 60:02}:00Z"
        history = [{"run": 1, "phase": "Succeeded", "completionTime": time}]
        return training_job(f"pump-{n}", phase="Pending", startTime=time, history=history)

    found = samples(State([run(n) for n in range(3 * NAMED_OBJECTS)]), name)
    assert {labels[2] for labels in found} == {f"pump-{n}" for n in range(NAMED_OBJECTS)}
