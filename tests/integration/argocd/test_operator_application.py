"""The manifests of the operator as an Application of a real Argo CD."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.processes import wait_until
from cluster.simulated_node import SimulatedNode
from peers.applications import SERVER_SIDE, Application, states
from peers.argocd import ArgoCD, Repository
from support.operator_process import SYSTEM_NAMESPACE, Operator, write_operator_kubeconfig
from support.training_jobs import TrainingJobs

pytestmark = [pytest.mark.needs("controllers"), pytest.mark.usefixtures("operator")]

ROOT = Path(__file__).parents[3]
CASCADE = "resources-finalizer.argocd.argoproj.io"


@pytest.fixture
def operator_application(argocd: ArgoCD, repository: Repository) -> Iterator[Application]:
    for folder in ("crds", "manifests"):
        shutil.copytree(ROOT / folder, repository.folder / folder)
    repository.commit()
    own = Application(argocd, repository, SYSTEM_NAMESPACE, path="manifests/base")
    yield own
    if not own.is_gone():
        own.delete()
        wait_until(own.is_gone, "the Application is deleted")


def sync_until_healthy(application: Application, node: SimulatedNode) -> None:
    """Syncs, plays the kubelet for the operator's pod, and waits until all is Synced and Healthy."""
    operation = application.sync()
    assert operation["phase"] == "Succeeded", operation["message"]

    def healthy() -> bool:
        for pod in node.pods(SYSTEM_NAMESPACE):
            if pod.status.phase == "Pending":
                node.run(pod)
        return states(application.get()["status"]) == ("Synced", "Healthy")

    wait_until(healthy, "the operator is Synced and Healthy")


@pytest.mark.parametrize("options", [(SERVER_SIDE,), ()], ids=["server-side", "client-side"])
def test_the_manifests_are_synced_and_healthy_without_a_difference(
    operator_application: Application, simulated_node: SimulatedNode, options: tuple[str, ...]
) -> None:
    operator_application.create(*options)
    sync_until_healthy(operator_application, simulated_node)
    assert operator_application.differences() == ""


def test_a_deleted_application_of_the_operator_keeps_trainingjobs_and_runs(
    operator_application: Application, jobs: TrainingJobs, operator: Operator, operator_kubeconfig: Path
) -> None:
    operator_application.create(SERVER_SIDE, finalizers=(CASCADE,))
    sync_until_healthy(operator_application, jobs.node)
    jobs.apply()
    pod = jobs.running()
    operator.stop()
    operator_application.delete()

    def gone() -> bool:
        jobs.node.remove_deleted(SYSTEM_NAMESPACE)
        return operator_application.is_gone()

    wait_until(gone, "the Application is deleted")
    assert [(each.metadata.name, each.metadata.deletion_timestamp) for each in jobs.node.pods(jobs.namespace)] == [
        (pod.metadata.name, None)
    ]
    operator_application.create(SERVER_SIDE)
    sync_until_healthy(operator_application, jobs.node)
    write_operator_kubeconfig(operator_application.cluster, operator_kubeconfig.parent)
    operator.start()
    status = jobs.succeed(pod)
    assert (status["run"], status["attempt"], len(jobs.jobs())) == (1, 1, 1)
