"""Two operators on a control plane under faults: nothing is lost, nothing is doubled, nothing is counted wrong."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.clusters import Cluster
from cluster.control_plane import ControlPlane
from cluster.processes import Server, ServerError, wait_until
from cluster.simulated_node import SimulatedNode
from support.api_proxy import ApiProxy, api_proxy
from support.chaos.audit import audit_log, read_audit
from support.chaos.faults import ControlPlaneFaults
from support.chaos.kubelet import Kubelet
from support.chaos.plan import LONG, SHORT, Fault, Plan, make_plan
from support.chaos.user import User
from support.chaos.verdict import Observations, Row, failed_pods, table, verdict
from support.operator_process import Operator, operator_behind
from support.training_jobs import TrainingJobs

pytestmark = pytest.mark.needs("controllers")
PATIENCE_SECONDS = 150

logger = logging.getLogger("cluster.chaos")


@pytest.fixture
def plan(pytestconfig: pytest.Config) -> Plan:
    """The plan of the faults."""
    size = LONG if pytestconfig.getoption("--chaos") == "long" else SHORT
    return make_plan(pytestconfig.getoption("--chaos-seed"), size)


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[ApiProxy]:
    """A proxy that the operators use as their API server."""
    with api_proxy(cluster) as proxy:
        yield proxy


@pytest.fixture
def operator(proxy: ApiProxy, operator_kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """The operators of the test's namespace."""
    with operator_behind(proxy, operator_kubeconfig, namespace, tmp_path) as processes:
        yield processes


@pytest.fixture
def user(plan: Plan, cluster: Cluster, namespace: str) -> User:
    """The users of the TrainingJobs."""
    return User(cluster.client(), namespace, plan.arrivals)


@pytest.fixture
def kubelet(plan: Plan, cluster: Cluster, namespace: str, simulated_node: SimulatedNode, user: User) -> Kubelet:
    """The kubelet of the only node."""
    jobs = TrainingJobs(cluster, namespace, simulated_node)
    return Kubelet(cluster.client(), simulated_node, jobs, plan.arrivals, user.records)


@pytest.fixture
def faults(
    control_plane: ControlPlane,
    cluster: Cluster,
    namespace: str,
    operator: Operator,
    proxy: ApiProxy,
    started_servers: list[Server],
) -> Iterator[ControlPlaneFaults]:
    """The faults; the API server runs at the end."""
    faults = ControlPlaneFaults(control_plane, cluster.client(), namespace, operator, proxy, started_servers)
    yield faults
    faults.start_api_server()


@contextmanager
def acting(kubelet: Kubelet, user: User) -> Iterator[list[Future[None]]]:
    """Lets kubelet and users act until the context ends."""
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        actors = [threads.submit(kubelet.play, stop), threads.submit(user.act, stop)]
        try:
            yield actors
        finally:
            stop.set()


def inject_all(plan: Plan, faults: ControlPlaneFaults, actors: list[Future[None]]) -> None:
    """Injects each fault at its time; what comes later waits until it can have an effect."""
    began = time.monotonic()
    for injection in plan.injections:
        threading.Event().wait(max(0.0, began + injection.at - time.monotonic()))
        check(actors)
        waits = time.monotonic()
        faults.wait_until_met(injection.fault)
        began += time.monotonic() - waits
        faults.inject(injection)


def check(actors: list[Future[None]]) -> None:
    """Raises the error of a thread that has ended."""
    for actor in actors:
        if actor.done():
            actor.result()


def writes_after_a_restart(operator: Operator, plan: Plan) -> int:
    """How many writes an operator makes that starts when all is done."""
    process = operator.start()
    wait_until(
        lambda: operator.metric(process, "trainingjob_operator_reconciliations_total") >= len(plan.arrivals),
        "everything is reconciled",
        [process],
    )
    return sum(operator.writes(process).values())


def observe(control_plane: ControlPlane, user: User, kubelet: Kubelet, faults: ControlPlaneFaults) -> Observations:
    """Reads what is there at the end, and what the API server recorded."""
    with audit_log(control_plane.folder).open() as lines:
        audit = read_audit(lines, user.namespace)
    return Observations(
        user.records,
        user.training_jobs(),
        faults.jobs(),
        audit,
        failed_pods((pod.job, pod.failed) for pod in kubelet.ended.values()),
        faults.deleted_pods,
        frozenset(kubelet.doubled),
        kubelet.with_pods(),
    )


def injected(faults: ControlPlaneFaults) -> list[Row]:
    return [
        *(Row(f"Fault: {fault.value}", faults.injected[fault]) for fault in Fault),
        Row("Operators with a clock that is an hour off", faults.clock_errors),
        Row("Answers 401 to operators", faults.answers[401]),
        Row("Answers 410 to operators", faults.answers[410]),
        Row("Answers to operators that were lost", faults.answers[0]),
    ]


def test_nothing_is_lost_or_doubled_under_faults(
    plan: Plan,
    control_plane: ControlPlane,
    user: User,
    kubelet: Kubelet,
    faults: ControlPlaneFaults,
    operator: Operator,
) -> None:
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logger.info("Seed %d: %d TrainingJobs, %.0f s of faults", plan.seed, len(plan.arrivals), plan.seconds)

    def all_settled() -> bool:
        check(actors)
        return not user.unsettled

    with acting(kubelet, user) as actors:
        inject_all(plan, faults, actors)
        faults.heal()
        # The table names those that are not.
        with contextlib.suppress(ServerError):
            wait_until(all_settled, "every TrainingJob is at the end of its story", patience_seconds=PATIENCE_SECONDS)
    operator.stop()
    seen = observe(control_plane, user, kubelet, faults)
    writes = writes_after_a_restart(operator, plan)
    rows = [
        *injected(faults),
        Row("TrainingJobs of which the Job controller created a pod twice", len(kubelet.twins)),
        *verdict(seen),
        Row("Writes of an operator that starts when all is done", writes, ("writes",) if writes else ()),
    ]
    logger.info("Seed %d:\n%s", plan.seed, table(rows))
    assert [row for row in rows if row.offenders] == []
    assert min(faults.answers[status] for status in (0, 401)) > 0
