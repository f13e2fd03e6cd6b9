"""Kueue as a process beside a control plane, and the queues of a test."""

import base64
import contextlib
import logging
import os
import shutil
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cluster import cache
from cluster.binaries import Binaries
from cluster.clusters import Cluster, cluster_of
from cluster.control_plane import LOOPBACK, ControlPlane
from cluster.definitions import wait_established
from cluster.go_modules import compile_packages, copy_module_files, module_key
from cluster.processes import Server, free_ports, start_server, wait_until

_MODULE = "sigs.k8s.io/kueue"
_SOURCE = Path(__file__).parent / "go" / "kueue"
# Read from this folder only, when Kueue does not manage its own certificates.
_METRICS_CERTIFICATES = Path("/etc/kueue/metrics/certs")
_API = "kueue.x-k8s.io/v1beta2"

logger = logging.getLogger(__name__)


def built_kueue() -> Path:
    """A folder with the program `kueue` and its manifests, compiled when it is not in the cache.

    Raises:
        ProgramError: there is no Go, or it failed.
    """

    def waiting() -> None:
        logger.info("Waiting for another program that is compiling Kueue")

    return cache.folder("kueue", module_key(_SOURCE), _build, waiting)


def _build(folder: Path) -> None:
    compile_packages("Kueue", _SOURCE, [f"{_MODULE}/cmd/kueue"], folder, variables={}, minutes=4)
    patterns = [
        "config/components/crd/**/*.yaml",
        "config/components/webhook/*.yaml",
        "config/components/manager/*.yaml",
    ]
    copy_module_files(_SOURCE, _MODULE, patterns, folder)


class Kueue:
    """Kueue's manager with its webhooks, which can be stopped and started."""

    def __init__(self, control_plane: ControlPlane, built: Path, folder: Path) -> None:
        """Starts no process yet.

        Args:
            control_plane: where it is installed.
            built: its program and manifests.
            folder: for its files.
        """
        self._built, self._folder, self._kubeconfig = built, folder, control_plane.kubeconfig
        self._webhook, self._health, self._metrics = free_ports(3)
        self._certificates = folder / "certificates"
        self._certificates.mkdir()
        pair = control_plane.authority.issue("kueue", "kueue", hosts=[LOOPBACK])
        shutil.copy(pair.public, self._certificates / "tls.crt")
        shutil.copy(pair.private, self._certificates / "tls.key")
        self._bundle = base64.b64encode(control_plane.authority.certificate_file.read_bytes()).decode()
        self._server: Server | None = None

    def install(self, cluster: Cluster) -> None:
        """Applies CRDs and webhooks, with an address on loopback in place of Kueue's Service."""
        components = self._built / "config" / "components"
        patches = [yaml.safe_load(file.read_text()) for file in (components / "crd" / "patches").glob("webhook_*.yaml")]
        conversions = {patch["metadata"]["name"]: patch["spec"]["conversion"] for patch in patches}
        documents = [yaml.safe_load(file.read_text()) for file in sorted((components / "crd" / "bases").glob("*.yaml"))]
        for crd in documents:
            conversion = conversions.get(crd["metadata"]["name"])
            if conversion:
                webhook = {**conversion["webhook"], "clientConfig": self._client("/convert")}
                crd["spec"]["conversion"] = {**conversion, "webhook": webhook}
        _apply(cluster, *documents)
        wait_established(cluster)
        webhooks = list(yaml.safe_load_all((components / "webhook" / "manifests.yaml").read_text()))
        for configuration in webhooks:
            for webhook in configuration["webhooks"]:
                webhook["clientConfig"] = self._client(webhook["clientConfig"]["service"]["path"])
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kueue-system"}}
        _apply(cluster, namespace, *webhooks)

    def start(self) -> None:
        """Starts it with its published configuration, and waits until its webhooks answer."""
        file = self._built / "config" / "components" / "manager" / "controller_manager_config.yaml"
        configuration = {
            **yaml.safe_load(file.read_text()),
            "namespace": "kueue-system",
            "health": {"healthProbeBindAddress": f"{LOOPBACK}:{self._health}"},
            "metrics": {"bindAddress": f"{LOOPBACK}:{self._metrics}"},
            "webhook": {"host": LOOPBACK, "port": self._webhook, "certDir": str(self._certificates)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
        }
        path = self._folder / "configuration.yaml"
        path.write_text(yaml.safe_dump(configuration))
        # The server of pending workloads wants certificates of its own.
        command: list[str | Path] = [
            self._built / "kueue",
            f"--config={path}",
            "--feature-gates=VisibilityOnDemand=false",
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "KUBECONFIG": str(self._kubeconfig)}
        server = start_server(command, self._folder / "kueue.log", environment=environment)
        self._server = server
        wait_until(lambda: _answers(f"http://{LOOPBACK}:{self._health}/readyz"), "Kueue is ready", [server])

    def stop(self) -> None:
        """Kills it."""
        if self._server is not None:
            self._server.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def metrics_certificates(self) -> Iterator[None]:
        """Puts its certificate where it reads that of its metrics."""
        # A run that was killed has left it.
        _METRICS_CERTIFICATES.mkdir(parents=True, exist_ok=True)
        try:
            for file in self._certificates.iterdir():
                shutil.copy(file, _METRICS_CERTIFICATES)
            yield
        finally:
            shutil.rmtree(_METRICS_CERTIFICATES.parents[1])

    def _client(self, path: str) -> dict[str, str]:
        return {"url": f"https://{LOOPBACK}:{self._webhook}{path}", "caBundle": self._bundle}


@contextlib.contextmanager
def kueue_running(control_plane: ControlPlane, binaries: Binaries, built: Path, folder: Path) -> Iterator[Kueue]:
    """Installs Kueue and runs it until the context ends.

    Args:
        control_plane: where it is installed.
        binaries: those of the control plane.
        built: its program and manifests.
        folder: an existing, empty folder for its files.
    """
    kueue = Kueue(control_plane, built, folder)
    kueue.install(cluster_of(control_plane, binaries))
    with kueue.metrics_certificates():
        try:
            kueue.start()
            yield kueue
        finally:
            kueue.stop()


class Queue:
    """A LocalQueue `models` of a namespace, with a ClusterQueue of its own.

    Attributes:
        name: of the LocalQueue.
    """

    name = "models"

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Creates nothing yet."""
        self._cluster, self._namespace = cluster, namespace

    def create(self, *flavors: Mapping[str, Any]) -> None:
        """Creates the queue.

        Args:
            flavors: in the order of preference: `quota` by resource, and optionally `spec` of the ResourceFlavor.
        """
        names = [f"{self._namespace}-{number}" for number in range(len(flavors))]
        for name, flavor in zip(names, flavors, strict=True):
            self._create("ResourceFlavor", name, dict(flavor.get("spec", {})))
        group = {
            "coveredResources": list(flavors[0]["quota"]),
            "flavors": [
                {"name": name, "resources": [{"name": key, "nominalQuota": n} for key, n in flavor["quota"].items()]}
                for name, flavor in zip(names, flavors, strict=True)
            ],
        }
        preemption = {"withinClusterQueue": "LowerPriority"}
        spec = {"namespaceSelector": {}, "resourceGroups": [group], "preemption": preemption}
        self._create("ClusterQueue", self._namespace, spec)
        self._create("LocalQueue", self.name, {"clusterQueue": self._namespace}, namespace=self._namespace)

    def workloads(self) -> list[dict[str, Any]]:
        """The Workloads of the namespace."""
        found = self._cluster.run_kubectl("get", "workloads", f"--namespace={self._namespace}", "--output=yaml")
        workloads: list[dict[str, Any]] = yaml.safe_load(found)["items"]
        return workloads

    def _create(self, kind: str, name: str, spec: Mapping[str, Any], **metadata: str) -> None:
        _apply(
            self._cluster,
            {"apiVersion": _API, "kind": kind, "metadata": {"name": name, **metadata}, "spec": dict(spec)},
        )


def _apply(cluster: Cluster, *documents: Mapping[str, Any]) -> None:
    cluster.run_kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(documents))


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
