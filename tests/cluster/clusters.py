"""The interface to a cluster of any kind, and the selection of the kind."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from cluster.binaries import Binaries, built_binaries
from cluster.control_plane import ControlPlane
from cluster.programs import run_program

CONTROLLERS = "controllers"
NODE = "node"
KINDS = ("existing", "assets", "build")


class ClusterUnavailableError(Exception):
    """No cluster of the requested kind is available; the message says what is missing."""


@dataclass(frozen=True)
class Cluster:
    """A cluster with the rights of an administrator.

    Attributes:
        kubeconfig: of an administrator.
        kubectl: a kubectl of a compatible version.
        capabilities: `controllers` (Jobs make pods, namespaces vanish, service accounts get tokens) and `node` (pods
            run).
    """

    kubeconfig: Path
    kubectl: Path
    capabilities: frozenset[str]

    def client(self) -> ApiClient:
        """A new client of the administrator."""
        client: ApiClient = new_client_from_config(config_file=str(self.kubeconfig))  # type: ignore[no-untyped-call]
        return client

    def run_kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Runs kubectl as the administrator and returns what it prints.

        Raises:
            ProgramError: it failed.
        """
        return run_program([self.kubectl, *arguments], environment={"KUBECONFIG": str(self.kubeconfig)}, stdin=stdin)


def choose_kind(wanted: str, environment: Mapping[str, str], *, has_go: bool) -> str:
    """Chooses the kind of cluster.

    A kubeconfig alone does not select an existing cluster, because somebody may work with it.

    Args:
        wanted: one of KINDS, or `auto`: the first of them that is available.
        environment: of the process.
        has_go: whether Kubernetes can be compiled.

    Raises:
        ClusterUnavailableError: it is not available; the message says why.
    """
    obstacles = {
        "existing": None
        if environment.get("USE_EXISTING_CLUSTER") == "true" and environment.get("KUBECONFIG")
        else "USE_EXISTING_CLUSTER=true and KUBECONFIG are not both set",
        "assets": None if environment.get("KUBEBUILDER_ASSETS") else "KUBEBUILDER_ASSETS is not set",
        "build": None if has_go else "there is no Go on PATH",
    }
    candidates = KINDS if wanted == "auto" else (wanted,)
    for kind in candidates:
        if obstacles[kind] is None:
            return kind
    reasons = "; ".join(f"{kind}: {obstacles[kind]}" for kind in candidates)
    raise ClusterUnavailableError(f"no Kubernetes to test on ({reasons})")


def existing_cluster(environment: Mapping[str, str]) -> Cluster:
    """The cluster that KUBECONFIG names.

    Raises:
        ClusterUnavailableError: there is no kubectl.
    """
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ClusterUnavailableError("an existing cluster needs kubectl on PATH")
    cluster = Cluster(Path(environment["KUBECONFIG"]), Path(kubectl), frozenset({CONTROLLERS}))
    nodes = json.loads(cluster.run_kubectl("get", "nodes", "--output=json"))["items"]
    return Cluster(cluster.kubeconfig, cluster.kubectl, cluster.capabilities | ({NODE} if nodes else set()))


def cluster_of(control_plane: ControlPlane, binaries: Binaries, *, has_node: bool = False) -> Cluster:
    """The cluster of a control plane that this program runs."""
    capabilities = {CONTROLLERS: control_plane.has_controllers, NODE: has_node}
    kubectl = binaries.find("kubectl") or Path(shutil.which("kubectl") or built_binaries()["kubectl"])
    return Cluster(
        control_plane.kubeconfig, kubectl, frozenset(name for name, present in capabilities.items() if present)
    )
