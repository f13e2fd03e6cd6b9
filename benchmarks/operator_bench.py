"""``make bench-operator``: the operator beside bare Jobs, on a control plane of its own without a node."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kubernetes.client import CoreV1Api, V1Namespace, V1ObjectMeta
from rich.console import Console
from rich.table import Table

from api_schema import CRD_FILE
from benchmarks.measure import machine, write_results
from benchmarks.operator_load import API, Object, bare_job, clocks, post, post_all, training_job
from cluster.binaries import built_binaries
from cluster.clusters import Cluster, cluster_of
from cluster.control_plane import control_plane_running
from cluster.processes import Server, wait_until
from cluster.simulated_node import simulated_node_registered
from operator_process import SYSTEM_NAMESPACE, Operator, TrainingJobs, write_operator_kubeconfig

AT_ONCE, STANDING, IDLE, REPEATS = 1000, 5000, 30, 3
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
        cluster.run_kubectl("apply", "--server-side", f"--filename={CRD_FILE}")
        cluster.run_kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={CRD_FILE}")
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
    """Bare Jobs: one at a time, then many at once."""
    with place() as here, clocks(here.cluster, {JOBS: _exists, PODS: _exists}) as (jobs, pods):
        idle = _one_by_one(here, JOBS, bare_job, jobs.seen, lambda name: name)
        with clocks(here.cluster, {JOBS: lambda job: job["status"].get("active")}) as (active,):
            began = post_all(here.cluster, JOBS, [bare_job(f"many-{number}") for number in range(AT_ONCE)])
            number = AT_ONCE + IDLE
            return {
                "idle": idle,
                "jobs": jobs.wait(number) - began,
                "pods": pods.wait(number) - began,
                "statuses": active.wait(number) - began,
            }


def under_load() -> dict[str, float]:
    """TrainingJobs: one at a time, many at once, a restart with them standing, and many more in memory."""
    with place() as here:
        process = here.operator.start()
        paths = {JOBS: _exists, PODS: _exists, TRAININGJOBS: _is_told}
        with clocks(here.cluster, paths) as (jobs, pods, told):
            idle = _one_by_one(here, TRAININGJOBS, training_job, jobs.seen, _parent)
            began = post_all(here.cluster, TRAININGJOBS, [training_job(f"many-{n}") for n in range(AT_ONCE)])
            number = AT_ONCE + IDLE
            found = {
                "idle": idle,
                "jobs": jobs.wait(number) - began,
                "pods": pods.wait(number) - began,
                "statuses": told.wait(number) - began,
            }
            here.operator.kill(process)
            process, found["restart"] = _restarted(here.operator, number)
            found["restart writes"] = sum(here.operator.writes(process).values())
            post_all(here.cluster, TRAININGJOBS, [training_job(f"more-{n}") for n in range(STANDING - number)])
            told.wait(STANDING)
        found["megabytes"] = _resident_megabytes(process)
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


def _one_by_one(
    here: Place, path: str, body: Callable[[str], Object], seen: Mapping[str, float], parent: Callable[[str], str]
) -> float:
    """Median seconds from one creation on an idle cluster to its Job.

    Args:
        here: Where.
        path: Of the collection to create in.
        body: Gives the object of a name.
        seen: When each Job was first seen, by its name.
        parent: Gives the name of the object that a Job of this name is of.
    """
    client = here.cluster.client()
    begins: dict[str, float] = {}
    for number in range(IDLE):
        begins[f"idle-{number}"] = post(client, path, body(f"idle-{number}"))
        wait_until(lambda: len(seen) == len(begins), "its Job is there")
    return statistics.median(at - begins[parent(job)] for job, at in seen.items())


def _restarted(operator: Operator, number: int) -> tuple[Server, float]:
    """Starts the operator beside what stands, and waits until it has looked at all of it."""
    began = time.perf_counter()
    process = operator.start()
    wait_until(
        lambda: operator.metric(process, "trainingjob_operator_reconciliations_total") >= number,
        "everything that stands is looked at",
    )
    return process, time.perf_counter() - began


def _resident_megabytes(server: Server) -> float:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def _exists(_: Object) -> bool:
    return True


def _is_told(trainingjob: Object) -> bool:
    return trainingjob.get("status", {}).get("phase") in ("Queued", "Running")


def _parent(job: str) -> str:
    """The TrainingJob of a Job, by its name: uid, run and attempt follow it."""
    return job.rsplit("-", 3)[0]


def main() -> None:
    """Measures and prints."""
    console = Console()
    console.print(machine())
    jobs, trainingjobs = [], []
    for repeat in range(REPEATS):
        console.print(f"  round {repeat + 1} of {REPEATS}")
        jobs.append(bare())
        trainingjobs.append(under_load())
    single = one_run()

    def middle(found: list[dict[str, float]], name: str) -> float:
        return statistics.median(each[name] for each in found)

    rows = [
        (
            "one, idle: its Job exists (median)",
            *(f"{middle(f, 'idle') * 1000:.0f} ms" for f in (jobs, trainingjobs)),
            "25 ms",
        )
    ]
    for name, words, goal in (
        ("jobs", "all Jobs exist", "6 s"),
        ("pods", "all pods exist", ""),
        ("statuses", "last status", "12 s"),
    ):
        both = (f"{middle(found, name):.1f} s" for found in (jobs, trainingjobs))
        rows.append((f"{AT_ONCE} at once: {words}", *both, goal))
    rows += [
        (f"restart with {AT_ONCE} standing", "", f"{middle(trainingjobs, 'restart'):.1f} s", "5 s"),
        ("writes of that restart", "", f"{max(each['restart writes'] for each in trainingjobs):.0f}", "0"),
        (f"memory with {STANDING} standing", "", f"{middle(trainingjobs, 'megabytes'):.0f} MB", "200 MB"),
        ("writes of one run", "", f"{single['writes']:.0f}", "5"),
        ("a standby acts after", "", f"{single['standby']:.0f} s", "20 s"),
    ]
    table = Table(title="The operator", caption="medians of the rounds")
    for heading in ("", "bare Jobs", "TrainingJobs", "goal, at most"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    measured = {"bare Jobs": jobs, "TrainingJobs": trainingjobs, "one run": single}
    console.print(str(write_results("operator", rows, measured)))


if __name__ == "__main__":
    main()
