"""The plan of the faults depends on the seed only, and contains everything."""

from collections import Counter

import pytest

from support.chaos.node_plan import NODE_LONG, NODE_SHORT, Act, NodeSize, make_node_plan
from support.chaos.plan import KILL_INTERVAL, LONG, SHORT, Fault, Size, make_plan
from support.chaos.stories import Story

BOTH = pytest.mark.parametrize("size", [SHORT, LONG], ids=["short", "long"])


@BOTH
def test_a_seed_gives_the_same_plan_again_and_another_seed_another_one(size: Size) -> None:
    assert make_plan(3, size) == make_plan(3, size)
    assert make_plan(3, size).injections != make_plan(4, size).injections


@BOTH
@pytest.mark.parametrize("seed", range(20))
def test_every_plan_contains_every_fault_and_every_story(size: Size, seed: int) -> None:
    plan = make_plan(seed, size)
    assert {injection.fault for injection in plan.injections} == set(Fault)
    stories = Counter(arrival.story for arrival in plan.arrivals.values())
    assert set(stories) == set(Story)
    assert sum(stories.values()) == size.training_jobs
    assert {abs(injection.clock_error_seconds) for injection in plan.injections} == {0, 3600}


@BOTH
def test_operators_are_killed_only_while_they_reach_the_api_server(size: Size) -> None:
    blocked = False
    last_kill = 0.0
    for injection in make_plan(5, size).injections:
        match injection.fault:
            case Fault.STOP_API_SERVER | Fault.SILENCE_WATCHES | Fault.REFUSE | Fault.LOSE_ANSWERS:
                blocked = True
            case Fault.START_API_SERVER | Fault.RELAY:
                blocked = False
            case Fault.KILL_OPERATOR:
                assert not blocked
                assert injection.at - last_kill >= KILL_INTERVAL[0]
                last_kill = injection.at


@pytest.mark.parametrize("size", [NODE_SHORT, NODE_LONG], ids=["short", "long"])
def test_the_plan_of_a_node_depends_on_the_seed_only_and_contains_every_act(size: NodeSize) -> None:
    plan = make_node_plan(3, size)
    assert plan == make_node_plan(3, size) != make_node_plan(4, size)
    assert Counter(event.act for event in plan) == dict.fromkeys(Act, size.rounds)
    assert [event.at for event in plan] == sorted(event.at for event in plan)
