"""What is put on an API server to measure the operator: objects at once, and a clock that hears of their children."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kubernetes.client import ApiClient

from cluster.clusters import Cluster
from cluster.processes import wait_until

API = "apis/training.pumphealth.io/v1alpha1"
WRITERS = 32
PATIENCE_SECONDS = 300

Object = Mapping[str, Any]


class Clock:
    """Keeps when an object of a kind was first seen to be as wanted, by its name."""

    def __init__(self, client: ApiClient, path: str, wanted: Callable[[Object], object]) -> None:
        """Hears nothing yet.

        Args:
            client: Of an administrator.
            path: Of the collection.
            wanted: Whether an object is as wanted.
        """
        self.seen: dict[str, float] = {}
        self._client, self._path, self._wanted = client, path, wanted

    def listen(self) -> None:
        """Watches the collection until its connection ends."""
        for line in _lines(self._client, self._path):
            event = json.loads(line)
            name = event["object"]["metadata"].get("name", "")
            if name not in self.seen and event["type"] in ("ADDED", "MODIFIED") and self._wanted(event["object"]):
                self.seen[name] = time.perf_counter()

    def wait(self, number: int) -> float:
        """Waits until so many were seen; the moment when the last of them was."""
        wait_until(lambda: len(self.seen) >= number, f"{number} of {self._path}", patience_seconds=PATIENCE_SECONDS)
        return max(self.seen.values())


@contextmanager
def clocks(cluster: Cluster, wanted: Mapping[str, Callable[[Object], object]]) -> Iterator[list[Clock]]:
    """Starts a clock for each path of a collection, with what an object of it must be."""
    made = [Clock(cluster.client(), path, condition) for path, condition in wanted.items()]
    for clock in made:
        threading.Thread(target=clock.listen, daemon=True).start()
    yield made


def post_all(cluster: Cluster, path: str, bodies: Iterable[Object]) -> float:
    """Creates objects as fast as many writers can; returns the moment when the first was begun."""
    client = cluster.client()
    client.rest_client.pool_manager.connection_pool_kw["maxsize"] = WRITERS
    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(lambda body: _request(client, "POST", path, body).read(), bodies))
    return began


def post(client: ApiClient, path: str, body: Object) -> float:
    """Creates one object; returns the moment before."""
    began = time.perf_counter()
    _request(client, "POST", path, body).read()
    return began


def training_job(name: str) -> dict[str, Any]:
    """A small TrainingJob."""
    return {
        "apiVersion": API.removeprefix("apis/"),
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}},
    }


def bare_job(name: str) -> dict[str, Any]:
    """A plain Job of one pod."""
    container = {"name": "main", "image": "trainer:cpu", "resources": {"requests": {"cpu": "1"}}}
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {"template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def _lines(client: ApiClient, path: str) -> Iterator[bytes]:
    rest = b""
    for block in _request(client, "GET", f"{path}?watch=true").stream(1 << 16):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _request(client: ApiClient, verb: str, path: str, body: Object | None = None) -> Any:
    answer: Any = client.call_api(
        verb,
        f"{client.configuration.host}/{path}",
        {"Content-Type": "application/json"},
        body,
        _request_timeout=(5, PATIENCE_SECONDS),
    )
    if answer.status >= 400:
        raise RuntimeError(f"{verb} {path}: {answer.status} {answer.read()[:500]!r}")
    return answer.response
