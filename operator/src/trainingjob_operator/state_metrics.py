"""The gauges that are computed at each scrape, from the objects in the cache and the state of the process.

Most gauges count objects. The gauges that name single objects have a limited number of series, whatever the number of
objects is: they name the objects that most need attention.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trainingjob_api.names import FLEET_KIND, KIND
from trainingjob_api.text import instant
from trainingjob_operator.core.parent import Parent
from trainingjob_operator.metrics import PREFIX

NAMED_OBJECTS = 100
"""How many TrainingJobs or TrainingFleets each gauge names at most."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class State:
    """The state of the operator at a scrape.

    Attributes:
        parents: Every TrainingJob and TrainingFleet.
        trainers: Number of running trainer pods, by the uid of the TrainingJob or TrainingFleet; absent: none.
        waiting: Length of the work queue.
        leading: Whether this replica is the leader.
        watch_failed: Whether a watch is dead or silent.
    """

    parents: Sequence[Parent] = ()
    trainers: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    leading: bool = False
    watch_failed: bool = False


class StateMetrics(Collector):
    """Computes the gauges at each scrape."""

    def __init__(self, observe: Callable[[], State]) -> None:
        """Computes them from the state that ``observe`` returns."""
        self._observe = observe

    def collect(self) -> Iterable[Metric]:
        """Compute the gauges."""
        return families(self._observe())


def families(state: State) -> Iterator[Metric]:
    """The gauges of a state."""
    yield _gauge("leader", "1 if this replica is the leader, else 0", state.leading)
    yield _gauge("watch_failed", "1 if a watch is dead or silent, as /healthz reports it, else 0", state.watch_failed)
    yield _gauge("workqueue_depth", "TrainingJobs and TrainingFleets in the work queue", state.waiting)
    for kind in (KIND, FLEET_KIND):
        counts: Counter[tuple[str, ...]] = Counter(
            (parent.namespace, parent.model_type, parent.phase, parent.reason)
            for parent in state.parents
            if parent.kind == kind
        )
        labels = ["namespace", "model", "phase", "reason"]
        yield _gauges(f"{kind.lower()}s", f"{kind}s by phase and reason", labels, counts)
    yield _trainers(state)
    yield _newest_models(state.parents)
    yield _last_changes(state.parents)
    yield _machines(state.parents)


def _trainers(state: State) -> Metric:
    running: Counter[tuple[str, ...]] = Counter()
    for parent in state.parents:
        if pods := state.trainers.get(parent.uid, 0):
            resource = (parent.status.get("device") or {}).get("resourceName") or "cpu"
            running[parent.kind, parent.namespace, parent.model_type, resource] += pods
    labels = ["kind", "namespace", "model", "resource"]
    return _gauges("trainers", "Running trainer pods by the accelerator that they have, or cpu", labels, running)


def _newest_models(parents: Sequence[Parent]) -> Metric:
    oldest = _first(parents, lambda parent: parent.last_success)
    return _gauges(
        "last_success_timestamp_seconds",
        "Time of the last successful run, or of the creation before the first one; at most 100 objects, the oldest",
        ["kind", "namespace", "name", "model"],
        {(*parent.key, parent.model_type): _seconds(parent.last_success) for parent in oldest},
    )


def _last_changes(parents: Sequence[Parent]) -> Metric:
    changes = ((time, parent) for parent in parents if (time := parent.last_change) is not None)
    oldest = _first(changes, lambda pair: pair[0])
    return _gauges(
        "last_change_timestamp_seconds",
        "Time of the last change or progress of an unfinished run; at most 100 objects, the oldest",
        ["kind", "namespace", "name", "model", "phase", "reason"],
        {(*parent.key, parent.model_type, parent.phase, parent.reason): _seconds(time) for time, parent in oldest},
    )


def _machines(parents: Sequence[Parent]) -> Metric:
    counted = ((parent, machines) for parent in parents if (machines := parent.status.get("machines")))
    worst = _first(counted, lambda pair: -pair[1].get("failed", 0))
    return _gauges(
        "fleet_machines",
        "Machines of the last run of a TrainingFleet by state; at most 100 objects, those with most failed machines",
        ["namespace", "name", "model", "state"],
        {
            (parent.namespace, parent.name, parent.model_type, state): number
            for parent, machines in worst
            for state, number in machines.items()
            if state != "display"
        },
    )


def _first(items: Iterable[_Item], key: Callable[[_Item], str | int]) -> list[_Item]:
    return nsmallest(NAMED_OBJECTS, items, key=key)


def _seconds(time: str) -> float:
    parsed = instant(time)
    return parsed.timestamp() if parsed else float("nan")


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value)


def _gauges(name: str, meaning: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
