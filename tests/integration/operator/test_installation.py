"""An operator with the rights of a namespaced installation, and the pods of trainers in a restricted namespace."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.clusters import Cluster
from support.manifests import BASE, COMPONENTS, as_list, compose, render, training_namespace
from support.operator_process import Operator
from support.training_fleets import TrainingFleets
from support.training_jobs import TrainingJobs

pytestmark = pytest.mark.needs("controllers")
ADDED = ("Namespace", "Role", "RoleBinding", "ServiceAccount")
SYSTEM_NAMESPACE = "trainingjob-system"


@pytest.fixture
def system_namespace(cluster: Cluster) -> Iterator[str]:
    """The name of another namespace for the operator: in the usual one its account has more rights by other tests."""
    name = f"test-{secrets.token_hex(4)}"
    yield name
    cluster.run_kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def installed(cluster: Cluster, namespace: str, system_namespace: str, tmp_path: Path) -> list[dict[str, Any]]:
    """The objects of a namespaced installation; those with its rights are on the API server."""
    training = training_namespace(tmp_path / "models", namespace, "namespaced/training_namespace")
    overlay = compose(tmp_path / "overlay", [BASE, training], [COMPONENTS / "namespaced/operator_namespace"])
    text = yaml.safe_dump_all(render(cluster, overlay)).replace(SYSTEM_NAMESPACE, system_namespace)
    documents = list(yaml.load_all(text, yaml.CSafeLoader))
    # The namespace first, as kubectl applies them.
    wanted = [document for kind in ADDED for document in documents if document["kind"] == kind]
    cluster.run_kubectl("apply", "--server-side", "--filename=-", stdin=as_list(wanted))
    return documents


@pytest.fixture
def narrow(
    cluster: Cluster,
    namespace: str,
    system_namespace: str,
    installed: list[dict[str, Any]],
    operator_kubeconfig: Path,
    tmp_path: Path,
) -> Iterator[Operator]:
    """The operator with the account of the namespaced installation."""
    config = yaml.safe_load(operator_kubeconfig.read_text())
    account = ["trainingjob-operator", f"--namespace={system_namespace}"]
    config["users"][0]["user"] = {"token": cluster.run_kubectl("create", "token", *account).strip()}
    kubeconfig = tmp_path / "narrow.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    processes = Operator(kubeconfig, namespace, tmp_path)
    yield processes
    processes.stop()


def test_a_namespaced_operator_trains_without_any_right_in_the_cluster(
    narrow: Operator, jobs: TrainingJobs, system_namespace: str, installed: list[dict[str, Any]]
) -> None:
    of_the_cluster = {document["kind"] for document in installed if "namespace" not in document["metadata"]}
    assert of_the_cluster == {"CustomResourceDefinition", "Namespace"}
    process = narrow.start(POD_NAMESPACE=system_namespace)
    jobs.apply()
    pod = jobs.running()
    jobs.node.finish(pod, 0, jobs.report(pod, reason="Completed"))
    jobs.wait_phase("Succeeded")
    assert narrow.metric(process, "trainingjob_operator_missing_rights") == 0
    assert narrow.probe(process, "/healthz") == (200, "ok")


def restrict(cluster: Cluster, namespace: str) -> None:
    cluster.run_kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")


def test_a_restricted_namespace_admits_the_pods_of_every_trainer(
    cluster: Cluster, operator: Operator, jobs: TrainingJobs
) -> None:
    restrict(cluster, jobs.namespace)
    operator.start(TRAINER_CACHE_VOLUME='{"emptyDir": {}}')
    jobs.apply("gru")
    jobs.apply("xgb", machine="ITU-415", model={"type": "xgb"})
    jobs.apply("accelerator", accelerator={"policy": "Required"})
    for name in ("gru", "xgb", "accelerator"):
        jobs.running(name)


def test_a_restricted_namespace_admits_the_workers_of_a_fleet(
    cluster: Cluster, operator: Operator, fleets: TrainingFleets
) -> None:
    restrict(cluster, fleets.namespace)
    operator.start()
    fleets.apply()
    fleets.workers()
