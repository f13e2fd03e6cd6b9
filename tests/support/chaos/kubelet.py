"""Plays the kubelet of a simulated node: pods start, train, and end as the story of their TrainingJob says."""

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from cluster.simulated_node import Pod, SimulatedNode
from support.chaos.availability import api_server_may_be_away
from support.chaos.plan import Arrival
from support.chaos.stories import ACT_WHILE_RUNNING, Story, UserRecord
from support.training_jobs import LABEL_NAME, TrainingJobs
from trainingjob_api.names import LABEL_UID

_STOPPED = 14
_PASS_SECONDS = 0.5


@dataclass(frozen=True)
class EndedPod:
    """How a pod has ended.

    Attributes:
        job: uid of its Job.
        failed: whether it counts as a failure of the Job: it failed, and not because of a disruption.
    """

    job: str
    failed: bool


class Kubelet:
    """The kubelet of one simulated node and one namespace.

    Attributes:
        ended: every pod that has ended, by uid.
        doubled: names of TrainingJobs that had pods of two Jobs at once, of which a trainer may run in each.
        twins: names of TrainingJobs that had two such pods of one Job. The Job controller creates a pod again if the
            API server is killed before it answers, and deletes one of them when it sees both.
    """

    def __init__(
        self,
        client: ApiClient,
        node: SimulatedNode,
        jobs: TrainingJobs,
        arrivals: Mapping[str, Arrival],
        users: Mapping[str, UserRecord],
    ) -> None:
        """Acts once :meth:`play` is called."""
        self._core, self._node, self._jobs = CoreV1Api(client), node, jobs
        self._arrivals, self._users = arrivals, users
        self._started: dict[str, float] = {}
        self._told: Counter[str] = Counter()
        self.ended: dict[str, EndedPod] = {}
        self.doubled: set[str] = set()
        self.twins: set[str] = set()

    def play(self, stop: threading.Event) -> None:
        """Acts until it is stopped."""
        while not stop.wait(_PASS_SECONDS):
            with api_server_may_be_away():
                self._look()

    def with_pods(self) -> frozenset[str]:
        """The names of the TrainingJobs that have a pod now."""
        return frozenset(raw["metadata"]["labels"][LABEL_NAME] for raw in self._pods())

    def _pods(self) -> list[dict[str, Any]]:
        listed = self._core.list_namespaced_pod(self._jobs.namespace, _preload_content=False)
        pods: list[dict[str, Any]] = json.loads(listed.data)["items"]
        return pods

    def _look(self) -> None:
        pods = self._pods()
        active: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for raw in pods:
            labels = raw["metadata"]["labels"]
            if raw["status"]["phase"] in ("Succeeded", "Failed"):
                self._record(raw)
            else:
                active[labels[LABEL_NAME], labels[LABEL_UID]][_owner(raw)] += 1
        self.doubled |= {name for (name, _), of_jobs in active.items() if len(of_jobs) > 1}
        self.twins |= {name for (name, _), of_jobs in active.items() if max(of_jobs.values()) > 1}
        for raw in pods:
            if raw["spec"].get("nodeName") == self._node.name and (act := self._due(raw)) is not None:
                with api_server_may_be_away():
                    act(self._core.read_namespaced_pod(raw["metadata"]["name"], self._jobs.namespace))

    def _record(self, raw: Mapping[str, Any]) -> None:
        conditions = {each["type"] for each in raw["status"].get("conditions", ()) if each["status"] == "True"}
        failed = raw["status"]["phase"] == "Failed" and "DisruptionTarget" not in conditions
        self.ended[raw["metadata"]["uid"]] = EndedPod(_owner(raw), failed)

    def _due(self, raw: Mapping[str, Any]) -> Any:
        """What to do with a pod now, None for nothing."""
        phase, deleted = raw["status"]["phase"], "deletionTimestamp" in raw["metadata"]
        if phase in ("Succeeded", "Failed"):
            return self._node.remove if deleted else None
        if deleted:
            return self._stop
        if phase == "Pending":
            return self._start
        name, uid = raw["metadata"]["labels"][LABEL_NAME], raw["metadata"]["uid"]
        arrival, user = self._arrivals[name], self._users[name]
        held = arrival.story in ACT_WHILE_RUNNING and (not user.acted or user.replaced == _owner(raw))
        trained = time.monotonic() - self._started.setdefault(uid, time.monotonic()) > arrival.trains_seconds
        return self._end if trained and not held else None

    def _start(self, pod: Pod) -> None:
        self._node.run(pod)
        self._started[pod.metadata.uid] = time.monotonic()

    def _stop(self, pod: Pod) -> None:
        self._node.finish(pod, _STOPPED, self._jobs.report(pod, "Stopped"))

    def _end(self, pod: Pod) -> None:
        name = pod.metadata.labels[LABEL_NAME]
        story, node = self._arrivals[name].story, self._node
        first = self._told[name] == 0
        if story is Story.RETRY and first:
            node.finish(pod, 1)
        elif story is Story.EVICTED and first:
            node.evict(pod)
        elif story is Story.REFUSED:
            report = self._jobs.report(pod, "Failed", reason="InsufficientData", message="12 rows")
            node.finish(pod, 11, report)
        elif story is Story.EXHAUSTED:
            node.finish(pod, 1)
        else:
            node.finish(pod, 0, self._jobs.report(pod, reason="Completed", summary="skill 0.31"))
        self._told[name] += 1


def _owner(raw: Mapping[str, Any]) -> str:
    return next((str(each["uid"]) for each in raw["metadata"].get("ownerReferences", ())), "")
