"""The operator as a process with the rights of its service account, and the fixtures of its tests."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from cluster.clusters import Cluster
from cluster.definitions import wait_established
from cluster.processes import Server, free_ports, start_server, wait_until
from cluster.simulated_node import SimulatedNode
from support.api_proxy import ApiProxy, write_kubeconfig_through
from support.api_schema import CRD_FILES
from support.training_fleets import TrainingFleets
from support.training_jobs import TrainingJobs

BASE = Path(__file__).parents[2] / "manifests" / "base"
SYSTEM_NAMESPACE = "trainingjob-system"
MODULE = ["-m", "trainingjob_operator"]
WITH_OTHER_CLOCK = Path(__file__).with_name("operator_with_other_clock.py")
CONFIGURATION = {
    "TRAINER_IMAGE_CPU": "trainer:cpu",
    "TRAINER_IMAGES_ACCELERATOR": '{"nvidia.com/gpu": "trainer:gpu"}',
    "ACCELERATOR_POLICY_GRU": "Disabled",
    "TRAINER_RESOURCES": '{"requests": {"cpu": "1"}}',
    "PROGRESS_INTERVAL_SECONDS": "1",
}


class Operator:
    """Operator processes that watch one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        """Starts no process yet."""
        self._kubeconfig, self._namespace, self._folder = kubeconfig, namespace, folder
        self.processes: list[Server] = []
        self._ports: dict[int, int] = {}

    def start(self, *, wait: bool = True, clock_error_seconds: int = 0, **configuration: str) -> Server:
        """Starts another process, and waits until it is ready.

        Args:
            wait: Whether to wait.
            clock_error_seconds: How far its clock is ahead of the clock of the other processes.
            configuration: Further variables.
        """
        (port,) = free_ports(1)
        environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(self._kubeconfig),
            "WATCH_NAMESPACES": self._namespace,
            "METRICS_PORT": str(port),
            **CONFIGURATION,
            **configuration,
        }
        program = ["-P", str(WITH_OTHER_CLOCK), str(clock_error_seconds)] if clock_error_seconds else MODULE
        server = start_server(
            [sys.executable, *program],
            self._folder / f"operator-{len(self.processes)}.log",
            name="operator",
            environment=environment,
        )
        self.processes.append(server)
        self._ports[server.process.pid] = port
        if not wait:
            return server
        wait_until(
            lambda: self.probe(server, "/readyz")[0] == 200,
            "the operator is ready",
            [server],
        )
        return server

    def kill(self, server: Server) -> None:
        """Kills a process (SIGKILL)."""
        server.stop(signal.SIGKILL)

    def address(self, server: Server) -> str:
        """Host and port of the metrics of a process."""
        return f"127.0.0.1:{self._ports[server.process.pid]}"

    def metric(self, server: Server, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        url = f"http://127.0.0.1:{self._ports[server.process.pid]}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        samples = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples if all(want in line for want in wanted))

    def probe(self, server: Server, path: str) -> tuple[int, str]:
        """The response to a probe of the kubelet: status and text."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._ports[server.process.pid]}{path}", timeout=5
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def writes(self, server: Server) -> dict[str, int]:
        """The writes that a process made so far, by verb and resource."""
        made = {
            f"{verb} {resource}": int(
                self.metric(server, "trainingjob_operator_api_requests_total", verb=verb, resource=resource)
            )
            for verb in ("POST", "PATCH", "DELETE", "PUT")
            for resource in ("trainingjobs", "trainingfleets", "jobs")
        }
        return {what: count for what, count in made.items() if count}

    def stop(self) -> None:
        """Kills every process that still runs."""
        for server in self.processes:
            server.stop(signal.SIGKILL)


def apply_training_job_api(cluster: Cluster) -> None:
    """Applies the CRDs and waits until the API server serves them."""
    files = [f"--filename={file}" for file in CRD_FILES.values()]
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", *files)
    wait_established(cluster)
    # kubectl still has its list of resources from before; it reads them again when it does not find one, but not for a
    # short name.
    cluster.run_kubectl("get", ",".join(file.stem for file in CRD_FILES.values()), "--all-namespaces")


def write_operator_kubeconfig(cluster: Cluster, folder: Path) -> Path:
    """Writes a kubeconfig with nothing but the rights that the manifests give to the operator."""
    for file in ("namespace.yaml", "service_account.yaml", "operator_roles.yaml"):
        for document in yaml.safe_load_all((BASE / file).read_text()):
            if not document["kind"].startswith("Cluster") and document["kind"] != "Namespace":
                document["metadata"]["namespace"] = SYSTEM_NAMESPACE
            cluster.run_kubectl("apply", "--filename=-", stdin=yaml.safe_dump(document))
    token = cluster.run_kubectl(
        "create", "token", "trainingjob-operator", f"--namespace={SYSTEM_NAMESPACE}", "--duration=8h"
    ).strip()
    config = yaml.safe_load(cluster.run_kubectl("config", "view", "--raw", "--minify", "--flatten"))
    config["users"][0]["user"] = {"token": token}
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster, training_job_api: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of the operator."""
    return write_operator_kubeconfig(cluster, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def operator(operator_kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """The operator of the test's namespace; nothing runs before the test starts it."""
    processes = Operator(operator_kubeconfig, namespace, tmp_path)
    yield processes
    processes.stop()


@contextmanager
def operator_behind(proxy: ApiProxy, kubeconfig: Path, namespace: str, folder: Path) -> Iterator[Operator]:
    """The operator of a namespace, which reaches the API server through a proxy; its processes end with the context."""
    processes = Operator(write_kubeconfig_through(proxy, kubeconfig, folder / "proxied.kubeconfig"), namespace, folder)
    yield processes
    processes.stop()


@pytest.fixture
def fleets(cluster: Cluster, namespace: str, simulated_node: SimulatedNode) -> TrainingFleets:
    """The TrainingFleets of the test's namespace, on a node that takes every pod."""
    return TrainingFleets(cluster, namespace, simulated_node)


@pytest.fixture
def jobs(cluster: Cluster, namespace: str, simulated_node: SimulatedNode) -> TrainingJobs:
    """The TrainingJobs of the test's namespace, on a node that takes every pod."""
    return TrainingJobs(cluster, namespace, simulated_node)
