"""The plan of all faults: which, when, and to what. Pure: a function of a seed and a size."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from support.chaos.stories import Story

KILL_INTERVAL = (1.0, 2.0)
HOUR = 3600


class Fault(Enum):
    """Something that goes wrong, or ends to go wrong."""

    KILL_OPERATOR = "an operator is killed, and another one started"
    STOP_API_SERVER = "the API server is killed"
    START_API_SERVER = "the API server is started"
    COMPACT = "etcd forgets all old revisions"
    SILENCE_WATCHES = "watches get nothing more"
    REFUSE = "the API server answers 401 to the operators"
    LOSE_ANSWERS = "the answer to every second write of the operators is lost"
    RELAY = "the operators reach the API server"
    DELETE_JOB = "a Job is deleted by hand"
    DELETE_POD = "a pod is deleted by hand"
    EVICT_POD = "a pod is evicted by the API"


@dataclass(frozen=True)
class Injection:
    """One fault.

    Attributes:
        at: seconds since the start.
        fault: what happens.
        pick: a number from 0 to 1 that selects the object.
        clock_error_seconds: of the operator that is started.
    """

    at: float
    fault: Fault
    pick: float = 0.0
    clock_error_seconds: int = 0


@dataclass(frozen=True)
class Arrival:
    """One TrainingJob.

    Attributes:
        at: when it is created, in seconds since the start.
        story: what happens to it.
        trains_seconds: how long each of its trainers runs.
    """

    at: float
    story: Story
    trains_seconds: float


@dataclass(frozen=True)
class Size:
    """How many TrainingJobs there are, how many seconds each phase takes, and seconds between deletions by hand."""

    training_jobs: int
    storm: float
    api_server_stop: float
    silence: float
    refusal: float
    lost_answers: float
    between_deletions: float


SHORT = Size(36, storm=5, api_server_stop=5, silence=5, refusal=3, lost_answers=3, between_deletions=1.5)
LONG = Size(300, storm=40, api_server_stop=60, silence=70, refusal=20, lost_answers=20, between_deletions=1.5)


@dataclass(frozen=True)
class Plan:
    """Everything that the seed decides."""

    seed: int
    seconds: float
    arrivals: dict[str, Arrival]
    injections: tuple[Injection, ...]


def make_plan(seed: int, size: Size) -> Plan:
    """Plans two storms of kills, and between them one phase for each fault of the connection."""
    rng = random.Random(seed)
    injections = list(_storm(rng, 0.0, size.storm))
    now = size.storm
    injections += [
        Injection(now, Fault.STOP_API_SERVER),
        Injection(now + size.api_server_stop / 2, Fault.COMPACT),
        Injection(now + size.api_server_stop, Fault.START_API_SERVER),
    ]
    now += size.api_server_stop
    connection = [
        (Fault.SILENCE_WATCHES, size.silence),
        (Fault.REFUSE, size.refusal),
        (Fault.LOSE_ANSWERS, size.lost_answers),
    ]
    rng.shuffle(connection)
    for fault, seconds in connection:
        injections += [Injection(now, fault), Injection(now + seconds, Fault.RELAY)]
        now += seconds
    injections += _storm(rng, now, now + size.storm)
    now += size.storm
    injections += _deletions(rng, now, size.between_deletions)
    return Plan(seed, now, _arrivals(rng, size.training_jobs, now), tuple(sorted(injections, key=lambda each: each.at)))


def _storm(rng: random.Random, begin: float, end: float) -> Iterator[Injection]:
    """Kills; half of the new operators have a clock that is an hour ahead or behind. etcd is compacted once."""
    yield Injection(rng.uniform(begin, end), Fault.COMPACT)
    now = begin + rng.uniform(*KILL_INTERVAL)
    for clock_error_seconds in itertools.cycle((HOUR, 0, -HOUR, 0)):
        yield Injection(now, Fault.KILL_OPERATOR, rng.random(), clock_error_seconds)
        now += rng.uniform(*KILL_INTERVAL)
        if now >= end:
            return


def _deletions(rng: random.Random, end: float, between: float) -> Iterator[Injection]:
    now = rng.uniform(0, between)
    for fault in itertools.cycle((Fault.DELETE_JOB, Fault.DELETE_POD, Fault.EVICT_POD)):
        yield Injection(now, fault, rng.random())
        now += rng.uniform(0.5, 1.5) * between
        if now >= end:
            return


def _arrivals(rng: random.Random, number: int, seconds: float) -> dict[str, Arrival]:
    """Every story equally often. TrainingJobs arrive in groups, as from a Git sync, and the first at once."""
    stories = [list(Story)[each % len(Story)] for each in range(number)]
    rng.shuffle(stories)
    moments = [0.0, *(rng.uniform(0, seconds * 0.8) for _ in range(number // 4))]
    return {
        f"pump-{each:03}": Arrival(rng.choice(moments), story, rng.uniform(0.5, 8.0))
        for each, story in enumerate(stories)
    }
