"""Latency of the operator with its image and manifests, on a node."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from urllib3.exceptions import HTTPError

from benchmarks.goals import at_most
from benchmarks.operator_load import API, training_job, watch
from benchmarks.table import Row, Table
from cluster.bed import bed_running
from cluster.clusters import Cluster
from cluster.processes import wait_until
from demo import trainer
from demo.deployment import NAMESPACE, apply, deploy_operator

TIMES = 20
GOAL_SECONDS = 1.0
PATIENCE_SECONDS = 120


class Arrivals:
    """When the events of a collection came, recorded by a thread of its own."""

    def __init__(self, cluster: Cluster, path: str) -> None:
        self._events: list[tuple[float, Mapping[str, Any]]] = []
        threading.Thread(target=self._record, args=(cluster, path), daemon=True).start()

    def first(self, holds: Callable[[Mapping[str, Any]], bool], what: str) -> float:
        """The moment at which an object first came that is as wanted."""
        found: list[float] = []

        def came() -> bool:
            found.extend(moment for moment, item in list(self._events) if holds(item))
            return bool(found)

        wait_until(came, what, patience_seconds=PATIENCE_SECONDS)
        return found[0]

    def _record(self, cluster: Cluster, path: str) -> None:
        # The end of the test bed ends the watch.
        with suppress(HTTPError):
            for event in watch(cluster.client(), path):
                self._events.append((time.perf_counter(), event["object"]))


def measure() -> dict[str, list[float]]:
    """Seconds from kubectl apply to the Job, and from a pod that runs to the status that says so.

    The trainings fail for want of data, which is enough for a pod that starts.

    Raises:
        ClusterUnavailableError: This machine cannot have a node.
    """
    found: dict[str, list[float]] = {"job": [], "status": []}
    with bed_running() as bed:
        database = bed.postgres_server.create_database("latency")
        environment = database.environment() | bed.object_store.environment()
        trainer.run(environment, "init-db", "--bucket", "models")
        trainer.run(environment, "simulate", "--machine", "MOTOBOMBA-007", "--rows", "100")
        deploy_operator(bed.cluster, database, bed.object_store)
        jobs, pods, trainingjobs = (
            Arrivals(bed.cluster, path)
            for path in (
                f"apis/batch/v1/namespaces/{NAMESPACE}/jobs",
                f"api/v1/namespaces/{NAMESPACE}/pods",
                f"{API}/namespaces/{NAMESPACE}/trainingjobs",
            )
        )
        for number in range(TIMES):
            name = f"pump-{number}"
            began = time.perf_counter()
            apply(bed.cluster, [training_job(name)])
            created = jobs.first(partial(_is_child, name), "the Job exists")
            ran = pods.first(partial(_runs, name), "the pod runs")
            told = trainingjobs.first(partial(_is_in_phase, name, "Running"), "the status says Running")
            found["job"].append(created - began)
            found["status"].append(told - ran)
            trainingjobs.first(partial(_is_in_phase, name, "Failed"), "the training has ended")
    return found


def latency_table(found: Mapping[str, list[float]]) -> Table:
    """The table of what ``measure`` returned."""
    words = {"job": "kubectl apply: the Job exists", "status": "the pod runs: the status says so"}
    rows = []
    for name, times in found.items():
        median = statistics.median(times)
        cells = (words[name], f"{median:.2f} s", f"{max(times):.2f} s")
        rows.append(Row(cells, [at_most("median", median, GOAL_SECONDS, " s")]))
    return Table("The operator in its pod", ("", "median", "largest"), rows, found, f"of {TIMES}, one at a time")


def _is_child(name: str, child: Mapping[str, Any]) -> bool:
    return bool(child["metadata"].get("labels", {}).get("training.pumphealth.io/name") == name)


def _runs(name: str, pod: Mapping[str, Any]) -> bool:
    return _is_child(name, pod) and bool(pod["status"]["phase"] == "Running")


def _is_in_phase(name: str, phase: str, job: Mapping[str, Any]) -> bool:
    return bool(job["metadata"]["name"] == name and job.get("status", {}).get("phase") == phase)
