"""An operator that watches several namespaces and lacks permissions in one of them."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.clusters import Cluster
from cluster.processes import wait_until
from support.operator_process import Operator
from support.training_jobs import TrainingJobs

pytestmark = pytest.mark.needs("controllers")
ROLE = "trainingjob-operator"


@pytest.fixture
def second_namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    cluster.run_kubectl("create", "namespace", name)
    yield name
    cluster.run_kubectl("delete", "namespace", name, "--wait=false")


def bind(cluster: Cluster, namespace: str, account: str) -> None:
    cluster.run_kubectl(
        "create",
        "rolebinding",
        ROLE,
        f"--namespace={namespace}",
        f"--clusterrole={ROLE}",
        f"--serviceaccount={account}",
    )


@pytest.fixture
def narrow(
    cluster: Cluster, namespace: str, second_namespace: str, operator_kubeconfig: Path, tmp_path: Path
) -> Iterator[Operator]:
    """An operator that is configured to watch both namespaces, with permissions only in the first one."""
    cluster.run_kubectl("create", "serviceaccount", "narrow", f"--namespace={namespace}")
    bind(cluster, namespace, f"{namespace}:narrow")
    config = yaml.safe_load(operator_kubeconfig.read_text())
    token = cluster.run_kubectl("create", "token", "narrow", f"--namespace={namespace}").strip()
    config["users"][0]["user"] = {"token": token}
    kubeconfig = tmp_path / "narrow.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    processes = Operator(kubeconfig, f"{namespace},{second_namespace}", tmp_path)
    yield processes
    processes.stop()


def test_a_namespace_without_rights_is_reported_and_does_not_affect_another(
    cluster: Cluster, narrow: Operator, jobs: TrainingJobs, second_namespace: str
) -> None:
    process = narrow.start()
    jobs.apply()
    jobs.running()
    status, text = narrow.probe(process, "/healthz")
    assert status == 200
    assert f"In namespace {second_namespace} the operator may not get/list/watch trainingjobs" in text
    assert "RoleBinding" in text
    missing = {"name": "trainingjob_operator_missing_rights", "namespace": second_namespace}
    assert narrow.metric(process, verb="list", resource="pods", **missing) == 1

    bind(cluster, second_namespace, f"{jobs.namespace}:narrow")
    second = TrainingJobs(cluster, second_namespace, jobs.node)
    second.apply()
    second.running()
    assert narrow.metric(process, **missing) == 0
    assert narrow.probe(process, "/healthz") == (200, "ok")
    assert narrow.metric(process, "trainingjob_operator_watch_restarts_total") == 0


def test_without_rights_anywhere_the_operator_is_alive_but_not_ready(
    cluster: Cluster, narrow: Operator, second_namespace: str
) -> None:
    process = narrow.start(wait=False, WATCH_NAMESPACES=second_namespace)
    wait_until(lambda: narrow.probe(process, "/healthz")[0] == 200, "the operator is up", [process])
    wait_until(
        lambda: second_namespace in narrow.probe(process, "/readyz")[1], "the probe names the namespace", [process]
    )
    assert narrow.probe(process, "/readyz")[0] == 500
