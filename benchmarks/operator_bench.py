"""``make bench-operator``: the operator on a node, and compared with plain Jobs without a node."""

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kubernetes.client import CoreV1Api, V1Namespace, V1ObjectMeta
from rich.console import Console

from benchmarks import operator_latency
from benchmarks.measure import machine
from benchmarks.operator_load import API, bare_job, count, post_all, request, training_job, watch
from benchmarks.operator_table import AT_ONCE, STANDING, operator_table
from benchmarks.table import Table, print_table, wide_console, write_results
from cluster.binaries import built_binaries
from cluster.clusters import Cluster, ClusterUnavailableError, cluster_of
from cluster.control_plane import control_plane_running
from cluster.processes import Server, wait_until
from cluster.programs import ProgramError
from cluster.simulated_node import simulated_node_registered
from support.operator_process import SYSTEM_NAMESPACE, Operator, apply_training_job_api, write_operator_kubeconfig
from support.training_jobs import TrainingJobs

IDLE, REPEATS = 30, 3
PATIENCE_SECONDS = 300
# Each look costs the API server or the operator time that the measurement would count.
POLL_SECONDS = 0.5
NAMESPACE = "load"
JOBS, PODS = f"apis/batch/v1/namespaces/{NAMESPACE}/jobs", f"api/v1/namespaces/{NAMESPACE}/pods"
TRAININGJOBS = f"{API}/namespaces/{NAMESPACE}/trainingjobs"


@dataclass(frozen=True)
class Place:
    """A new control plane with one namespace, and the operator's processes in it."""

    cluster: Cluster
    operator: Operator


@contextmanager
def place() -> Iterator[Place]:
    """Runs a control plane with the TrainingJob API until the context ends."""
    binaries = built_binaries()
    with TemporaryDirectory() as name, control_plane_running(Path(name), binaries) as control_plane:
        cluster = cluster_of(control_plane, binaries)
        apply_training_job_api(cluster)
        core = CoreV1Api(cluster.client())
        core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=NAMESPACE)))
        wait_until(
            lambda: bool(core.list_namespaced_service_account(NAMESPACE).items), "the namespace is ready for pods"
        )
        operator = Operator(write_operator_kubeconfig(cluster, Path(name)), NAMESPACE, Path(name))
        try:
            yield Place(cluster, operator)
        finally:
            operator.stop()


def bare() -> dict[str, float]:
    """Many bare Jobs at once."""
    with place() as here:
        return _children_of_many(here, post_all(here.cluster, JOBS, map(bare_job, _names("many", AT_ONCE))), AT_ONCE)


def under_load() -> dict[str, float]:
    """TrainingJobs: one at a time, many at once, a restart with them standing, and the same with many more."""
    with place() as here:
        process = here.operator.start()
        found = {"idle": _idle_seconds(here, process)}
        began = post_all(here.cluster, TRAININGJOBS, map(training_job, _names("many", AT_ONCE)))
        standing = AT_ONCE + IDLE
        found |= _children_of_many(here, began, standing)
        _wait_reported(here, process, standing)
        found["statuses"] = time.perf_counter() - began
        here.operator.kill(process)
        process, found["restart"] = _restarted(here.operator, standing)
        found["restart writes"] = sum(here.operator.writes(process).values())
        post_all(here.cluster, TRAININGJOBS, map(training_job, _names("more", STANDING - standing)))
        _wait_reported(here, process, STANDING)
        before = _peak_megabytes(process)
        here.operator.kill(process)
        again, found["restart with more"] = _restarted(here.operator, STANDING)
        found["megabytes"] = max(before, _peak_megabytes(again))
        return found


def one_run() -> dict[str, float]:
    """The writes of one run that goes well, and how long a second operator takes to act in place of a killed one."""
    with place() as here, simulated_node_registered(here.cluster.client()) as node:
        jobs = TrainingJobs(here.cluster, NAMESPACE, node)
        first, second = (
            here.operator.start(POD_NAMESPACE=SYSTEM_NAMESPACE, POD_NAME=name) for name in ("first", "second")
        )
        jobs.apply()
        jobs.succeed(jobs.running())
        wait_until(lambda: here.operator.writes(first).get("PATCH jobs") == 1, "the Job has its time to live")
        writes = sum(here.operator.writes(first).values())
        here.operator.kill(first)
        began = time.perf_counter()
        jobs.apply("next")
        wait_until(lambda: here.operator.writes(second).get("POST jobs") == 1, "the second operator acts")
        return {"writes": writes, "standby": time.perf_counter() - began}


def _names(prefix: str, number: int) -> Iterator[str]:
    return (f"{prefix}-{each}" for each in range(number))


def _children_of_many(here: Place, began: float, number: int) -> dict[str, float]:
    """Seconds until so many Jobs are there, and their pods."""
    client, seconds = here.cluster.client(), {}
    for name, path in (("jobs", JOBS), ("pods", PODS)):
        wait_until(
            lambda path=path: count(client, path) >= number,  # type: ignore[misc]
            f"{number} {name}",
            patience_seconds=PATIENCE_SECONDS,
            poll_seconds=0.1,
        )
        seconds[name] = time.perf_counter() - began
    return seconds


def _idle_seconds(here: Place, process: Server) -> float:
    """Median seconds from one creation to its Job, the one before being dealt with."""
    client, events, seconds = here.cluster.client(), watch(here.cluster.client(), JOBS), []
    for number, name in enumerate(_names("idle", IDLE), start=1):
        began = time.perf_counter()
        request(client, "POST", TRAININGJOBS, training_job(name))
        next(event for event in events if event["type"] == "ADDED")
        seconds.append(time.perf_counter() - began)
        _wait_reported(here, process, number)
    return statistics.median(seconds)


def _wait_reported(here: Place, process: Server, number: int) -> None:
    """Waits until the status of so many TrainingJobs says that there is no node for them."""
    wait_until(
        lambda: here.operator.metric(process, "trainingjob_operator_trainingjobs", phase="Queued") >= number,
        f"{number} TrainingJobs are queued",
        [process],
        patience_seconds=PATIENCE_SECONDS,
        poll_seconds=POLL_SECONDS,
    )


def _restarted(operator: Operator, number: int) -> tuple[Server, float]:
    """Starts the operator beside what stands, and waits until it has reconciled all of it."""
    began = time.perf_counter()
    process = operator.start()
    wait_until(
        lambda: operator.metric(process, "trainingjob_operator_reconciliations_total") >= number,
        "everything that stands is reconciled",
        patience_seconds=PATIENCE_SECONDS,
    )
    return process, time.perf_counter() - began


def _peak_megabytes(server: Server) -> float:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Measures and prints."""
    console = wide_console()
    console.print(machine())
    try:
        _show(console, "operator-latency", operator_latency.latency_table(operator_latency.measure()))
    except ClusterUnavailableError as missing:
        console.print(f"Not measured on a node: {missing}")
    bare_jobs, training_jobs = [], []
    for repeat in range(REPEATS):
        console.print(f"  round {repeat + 1} of {REPEATS}")
        bare_jobs.append(bare())
        training_jobs.append(under_load())
    _show(console, "operator", operator_table(bare_jobs, training_jobs, one_run()))


def _show(console: Console, name: str, table: Table) -> None:
    print_table(console, table)
    console.print(str(write_results(name, [table])))


if __name__ == "__main__":
    try:
        main()
    except ProgramError as failure:
        sys.exit(f"error: {failure}")
