"""Which changes of the status are reported as Events."""

from support.operator_objects import World
from trainingjob_operator.core.event import build_event, transition


def events_of(world: World) -> list[tuple[str, bool]]:
    """The Events of all steps from now until there is nothing to do."""
    told = []
    for _ in range(30):
        before = world.status
        if world.step() is None:
            return told
        said = transition(before, world.status)
        if said is not None:
            told.append((said.reason, said.warning))
    raise AssertionError("it does not settle")


def test_a_run_has_one_event_for_each_transition() -> None:
    world = World()
    assert events_of(world) == [("Accepted", False)]
    assert events_of(world.add_pod().bind().run()) == [("Training", False)]
    world.end_pod(0, world.report("Succeeded")).end_job("Complete")
    assert events_of(world) == [("Completed", False)]


def test_a_failure_is_a_warning() -> None:
    assert events_of(World().settle().add_pod().find_no_node()) == [("Unschedulable", True)]
    world = World().start()
    world.end_pod(17).end_job("Failed", "PodFailurePolicy")
    assert events_of(world) == [("Diverged", True)]


def test_two_operators_give_equal_events_the_same_name() -> None:
    world = World().start()
    said = transition({}, world.status)
    assert said is not None
    trainingjob = world.snapshot().parent
    first, second = build_event(trainingjob, said, world.now), build_event(trainingjob, said, world.pass_time(5).now)
    assert first["metadata"]["name"] == second["metadata"]["name"]
