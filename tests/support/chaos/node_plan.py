"""The plan of the faults on a node: which pods are deleted, and what users change, when. Pure."""

import itertools
import random
from dataclasses import dataclass
from enum import Enum


class Act(Enum):
    """Something that happens to a pod or to a TrainingJob."""

    STOP_OPERATOR = "the operator's pod is deleted"
    KILL_OPERATOR = "the operator's pod is deleted by force"
    DELETE_TRAINER = "a trainer's pod is deleted"
    EDIT_MODEL = "a model is edited"
    EDIT_RESOURCES = "resources are edited"
    SUSPEND_OR_RESUME = "a run is suspended or resumed"
    RETRAIN = "one more run is requested"


USER_ACTS = {Act.EDIT_MODEL, Act.EDIT_RESOURCES, Act.SUSPEND_OR_RESUME, Act.RETRAIN}
"""Each of them starts at most one attempt."""


@dataclass(frozen=True)
class Event:
    """One act.

    Attributes:
        at: seconds since the start.
        act: what happens.
        name: of the TrainingJob that a user changes.
        pick: a number from 0 to 1 that selects a pod.
    """

    at: float
    act: Act
    name: str
    pick: float


@dataclass(frozen=True)
class NodeSize:
    """How many TrainingJobs there are, and how often each act happens."""

    training_jobs: int
    rounds: int


NODE_SHORT = NodeSize(3, rounds=1)
NODE_LONG = NodeSize(6, rounds=8)
_INTERVAL = (2.0, 6.0)


def names(size: NodeSize) -> list[str]:
    """The names of the TrainingJobs."""
    return [f"pump-{number}" for number in range(size.training_jobs)]


def make_node_plan(seed: int, size: NodeSize) -> list[Event]:
    """Plans every act as often as there are rounds, in random order and at random intervals."""
    rng = random.Random(seed)
    acts = list(Act) * size.rounds
    rng.shuffle(acts)
    times = itertools.accumulate(rng.uniform(*_INTERVAL) for _ in acts)
    return [Event(at, act, rng.choice(names(size)), rng.random()) for at, act in zip(times, acts, strict=True)]
