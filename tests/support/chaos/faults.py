"""Injects faults into a control plane, and ends them."""

import contextlib
import json
import signal
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

from kubernetes.client import ApiClient, BatchV1Api, CoreV1Api

from cluster.control_plane import ControlPlane
from cluster.processes import Server, start_again, wait_until
from support.api_proxy import ApiProxy, Mode
from support.chaos.availability import api_server_may_be_away
from support.chaos.plan import Fault, Injection
from support.operator_process import Operator
from trainingjob_api.names import LABEL_NAME

_MODES = {
    Fault.SILENCE_WATCHES: Mode.SILENCE_WATCHES,
    Fault.REFUSE: Mode.REFUSE,
    Fault.LOSE_ANSWERS: Mode.LOSE_ANSWERS,
    Fault.RELAY: Mode.RELAY,
}
_NEED_AN_OPERATOR = {
    Fault.KILL_OPERATOR,
    Fault.STOP_API_SERVER,
    Fault.SILENCE_WATCHES,
    Fault.REFUSE,
    Fault.LOSE_ANSWERS,
}
_SEEN_BY_ANSWERS = {Fault.REFUSE: 401, Fault.LOSE_ANSWERS: 0}
_PATIENCE_SECONDS = 120


class ControlPlaneFaults:
    """The faults of one control plane, with two operators that know nothing of each other.

    Attributes:
        injected: how many of each fault there were.
        deleted_pods: how many pods of each TrainingJob were deleted or evicted by hand.
        clock_errors: how many operators were started with a wrong clock.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        client: ApiClient,
        namespace: str,
        operator: Operator,
        proxy: ApiProxy,
        started_servers: list[Server],
    ) -> None:
        """Starts the operators; puts each server that it starts into the list."""
        self._started_servers = started_servers
        self._etcd_url, self._operator, self._proxy = control_plane.etcd_url, operator, proxy
        self._api_server = next(each for each in control_plane.servers if each.name == "kube-apiserver")
        self._batch, self._core, self._namespace = BatchV1Api(client), CoreV1Api(client), namespace
        self._running: list[Server] = [operator.start(wait=False), operator.start(wait=False)]
        self.injected: Counter[Fault] = Counter()
        self.deleted_pods: Counter[str] = Counter()
        self.clock_errors = 0
        self._mode, self._answers_before = Fault.RELAY, Counter(proxy.answers)

    @property
    def answers(self) -> Counter[int]:
        """How many answers with each HTTP status the operators got; 0 for a lost one."""
        return self._proxy.answers

    def inject(self, injection: Injection) -> None:
        """Injects one fault; it counts unless the API server was away."""
        with api_server_may_be_away():
            if self._do(injection):
                self.injected[injection.fault] += 1

    def wait_until_met(self, fault: Fault) -> None:
        """Waits until a fault can have an effect, or has had one, so that a slow machine makes the test longer."""
        if fault in _NEED_AN_OPERATOR:
            wait_until(self._is_any_ready, "an operator is ready", patience_seconds=_PATIENCE_SECONDS)
        elif fault is Fault.RELAY and self._mode in _SEEN_BY_ANSWERS:
            status = _SEEN_BY_ANSWERS[self._mode]
            before = self._answers_before[status]
            wait_until(
                lambda: self._proxy.answers[status] > before, f"{self._mode.value}", patience_seconds=_PATIENCE_SECONDS
            )

    def heal(self) -> None:
        """Ends every fault: two operators with the right clock reach the API server."""
        self._proxy.set_mode(Mode.RELAY)
        self.start_api_server()
        for server in self._running:
            self._operator.kill(server)
        self._running = [self._operator.start(), self._operator.start()]

    def _do(self, injection: Injection) -> bool:
        match injection.fault:
            case Fault.KILL_OPERATOR:
                self._operator.kill(self._running.pop(_index(injection, self._running)))
                self.clock_errors += bool(injection.clock_error_seconds)
                clock = injection.clock_error_seconds
                self._running.append(self._operator.start(wait=False, clock_error_seconds=clock))
            case Fault.STOP_API_SERVER:
                self._api_server.stop(by=signal.SIGKILL)
            case Fault.START_API_SERVER:
                self.start_api_server()
            case Fault.COMPACT:
                self._compact()
            case Fault.DELETE_JOB:
                return self._delete_job(injection)
            case Fault.DELETE_POD | Fault.EVICT_POD:
                return self._delete_pod(injection)
            case _:
                self._mode, self._answers_before = injection.fault, Counter(self._proxy.answers)
                self._proxy.set_mode(_MODES[injection.fault])
        return True

    def _is_any_ready(self) -> bool:
        for server in self._running:
            with contextlib.suppress(OSError):
                if self._operator.probe(server, "/readyz")[0] == 200:
                    return True
        return False

    def start_api_server(self) -> None:
        """Starts the API server if it is stopped."""
        if self._api_server.process.poll() is None:
            return
        self._api_server = start_again(self._api_server)
        self._started_servers.append(self._api_server)

        def answers() -> bool:
            with api_server_may_be_away():
                self._core.read_namespace(self._namespace)
                return True
            return False

        wait_until(answers, "the API server answers again", [self._api_server])

    def _compact(self) -> None:
        """Asks etcd to forget all but the newest revision, by its JSON API."""
        newest = self._ask_etcd("kv/range", {"key": "AA=="})["header"]["revision"]
        self._ask_etcd("kv/compaction", {"revision": newest, "physical": True})

    def _ask_etcd(self, what: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(f"{self._etcd_url}/v3/{what}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def jobs(self) -> tuple[dict[str, Any], ...]:
        """The Jobs that are there."""
        listed = self._batch.list_namespaced_job(self._namespace, _preload_content=False)
        return tuple(json.loads(listed.data)["items"])

    def _delete_job(self, injection: Injection) -> bool:
        names = sorted(job["metadata"]["name"] for job in self.jobs() if _is_unfinished(job))
        if names:
            name = names[_index(injection, names)]
            self._batch.delete_namespaced_job(name, self._namespace, propagation_policy="Background")
        return bool(names)

    def _delete_pod(self, injection: Injection) -> bool:
        listed = self._core.list_namespaced_pod(
            self._namespace, field_selector="status.phase=Running", _preload_content=False
        )
        pods = {pod["metadata"]["name"]: pod for pod in json.loads(listed.data)["items"]}
        names = sorted(pods)
        if names:
            name = names[_index(injection, names)]
            self.deleted_pods[pods[name]["metadata"]["labels"][LABEL_NAME]] += 1
            if injection.fault is Fault.EVICT_POD:
                body = {"metadata": {"name": name}}
                self._core.create_namespaced_pod_eviction(name, self._namespace, body)
            else:
                self._core.delete_namespaced_pod(name, self._namespace)
        return bool(names)


def _is_unfinished(job: dict[str, Any]) -> bool:
    return "deletionTimestamp" not in job["metadata"] and not job["status"].get("conditions")


def _index(injection: Injection, among: Sequence[object]) -> int:
    return min(int(injection.pick * len(among)), len(among) - 1)
