"""Load on an API server to measure the operator, and queries that hardly affect the measurement."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubernetes.client import ApiClient

from cluster.clusters import Cluster

API = "apis/training.pumphealth.io/v1alpha1"
WRITERS = 32
_SECONDS = 60

Object = Mapping[str, Any]


def post_all(cluster: Cluster, path: str, bodies: Iterable[Object]) -> float:
    """Creates objects as fast as many writers can; returns the moment before the first."""
    client = cluster.client()
    client.rest_client.pool_manager.connection_pool_kw["maxsize"] = WRITERS
    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(lambda body: request(client, "POST", path, body), bodies))
    return began


def count(client: ApiClient, path: str) -> int:
    """How many objects a collection has: the API server is asked for one, and tells how many remain."""
    page = request(client, "GET", f"{path}?limit=1")
    return len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)


def request(client: ApiClient, verb: str, path: str, body: Object | None = None) -> Any:
    """Asks the API server for something.

    Raises:
        RuntimeError: It refused.
    """
    url, headers = f"{client.configuration.host}/{path}", {"Content-Type": "application/json"}
    answer: Any = client.call_api(verb, url, headers, body, _request_timeout=_SECONDS)
    content = answer.read()
    if answer.status >= 400:
        raise RuntimeError(f"{verb} {path}: {answer.status} {content[:500]!r}")
    return json.loads(content)


def watch(client: ApiClient, path: str) -> Iterator[Object]:
    """Every event of a collection, from what is there on."""
    answer: Any = client.call_api(
        "GET", f"{client.configuration.host}/{path}?watch=true", {}, _request_timeout=_SECONDS
    )
    rest = b""
    for block in answer.response.stream(1 << 16):
        *lines, rest = (rest + block).split(b"\n")
        yield from map(json.loads, lines)


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
