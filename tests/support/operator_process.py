"""The operator as a process with its service account, and operations on TrainingJobs for tests."""

import contextlib
import json
import math
import os
import signal
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import BatchV1Api, CoreV1Api, CustomObjectsApi
from prometheus_client import CollectorRegistry, Enum, Gauge, start_http_server

from cluster.clusters import Cluster
from cluster.processes import Server, free_ports, start_server, wait_until
from cluster.simulated_node import SimulatedNode
from support.api_schema import CRD_FILE

BASE = Path(__file__).parents[2] / "manifests" / "base"
SYSTEM_NAMESPACE = "trainingjob-system"
GROUP, VERSION, PLURAL = "training.pumphealth.io", "v1alpha1", "trainingjobs"
LABEL_NAME = f"{GROUP}/name"
CONFIGURATION = {
    "TRAINER_IMAGE_CPU": "trainer:cpu",
    "TRAINER_IMAGES_ACCELERATOR": '{"nvidia.com/gpu": "trainer:gpu"}',
    "ACCELERATOR_POLICY_GRU": "Disabled",
    "TRAINER_RESOURCES": '{"requests": {"cpu": "1"}}',
    "PROGRESS_INTERVAL_SECONDS": "1",
}


class Operator:
    """Operator processes that look after one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        """Takes over a namespace; nothing runs yet."""
        self._kubeconfig, self._namespace, self._folder = kubeconfig, namespace, folder
        self.processes: list[Server] = []
        self._ports: dict[int, int] = {}

    def start(self, *, wait: bool = True, **configuration: str) -> Server:
        """Starts one more process, and waits until it is ready."""
        (port,) = free_ports(1)
        environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(self._kubeconfig),
            "WATCH_NAMESPACES": self._namespace,
            "METRICS_PORT": str(port),
            **CONFIGURATION,
            **configuration,
        }
        server = start_server(
            [sys.executable, "-m", "trainingjob_operator"],
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
            "the operator has read what there is, and watches it",
            [server],
        )
        return server

    def kill(self, server: Server) -> None:
        """Kills a process (SIGKILL)."""
        server.stop(signal.SIGKILL)

    def metric(self, server: Server, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        url = f"http://127.0.0.1:{self._ports[server.process.pid]}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        samples = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples if all(want in line for want in wanted))

    def probe(self, server: Server, path: str) -> tuple[int, str]:
        """What the operator answers to a probe of the kubelet: status and text."""
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
            for resource in ("trainingjobs", "jobs")
        }
        return {what: count for what, count in made.items() if count}

    def stop(self) -> None:
        """Ends every process that still runs."""
        for server in self.processes:
            server.stop(signal.SIGKILL)


class TrainingJobs:
    """The TrainingJobs of one namespace, as a person with kubectl handles them."""

    def __init__(self, cluster: Cluster, namespace: str, node: SimulatedNode) -> None:
        """Takes over a namespace."""
        client = cluster.client()
        self.namespace, self.node = namespace, node
        self._objects, self._batch, self._core = CustomObjectsApi(client), BatchV1Api(client), CoreV1Api(client)

    def apply(self, name: str = "pump", annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """Creates a TrainingJob."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "TrainingJob",
            "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}, **spec},
        }
        created: dict[str, Any] = self._objects.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, body
        )
        return created

    def patch(self, name: str = "pump", annotations: Mapping[str, str] | None = None, **spec: Any) -> None:
        """Merges changes into a TrainingJob."""
        body: dict[str, Any] = {"spec": spec} if spec else {}
        if annotations is not None:
            body["metadata"] = {"annotations": dict(annotations)}
        self._objects.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, name, body, _content_type="application/merge-patch+json"
        )

    def delete(self, name: str = "pump") -> None:
        """Deletes a TrainingJob as kubectl does."""
        self._objects.delete_namespaced_custom_object(
            GROUP, VERSION, self.namespace, PLURAL, name, body={"propagationPolicy": "Background"}
        )

    def get(self, name: str = "pump") -> dict[str, Any]:
        """The TrainingJob as it is now."""
        found: dict[str, Any] = self._objects.get_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)
        return found

    def status(self, name: str = "pump") -> dict[str, Any]:
        """Its status, empty before there is one."""
        status: dict[str, Any] = self.get(name).get("status", {})
        return status

    def jobs(self, name: str = "pump") -> list[Any]:
        """The Jobs of a TrainingJob, oldest first."""
        jobs = self._batch.list_namespaced_job(self.namespace, label_selector=f"{LABEL_NAME}={name}").items
        return sorted(jobs, key=lambda job: (job.metadata.creation_timestamp, job.metadata.name))

    def delete_job(self, name: str) -> None:
        """Deletes a Job by hand, and its pods with it."""
        self._batch.delete_namespaced_job(name, self.namespace, propagation_policy="Background")

    def release(self, job_name: str) -> None:
        """Resumes a Job that a queue held."""
        self._batch.patch_namespaced_job(job_name, self.namespace, {"spec": {"suspend": False}})

    def set_quota(self, hard: Mapping[str, str]) -> None:
        """Limits what the namespace may hold, and waits until the limit is counted."""
        body = {"metadata": {"name": "quota"}, "spec": {"hard": dict(hard)}}
        if self._core.list_namespaced_resource_quota(self.namespace).items:
            self._core.patch_namespaced_resource_quota("quota", self.namespace, body)
        else:
            self._core.create_namespaced_resource_quota(self.namespace, body)
        wait_until(
            lambda: self._core.read_namespaced_resource_quota("quota", self.namespace).status.hard == dict(hard),
            "the quota is counted",
        )

    def wait_gone(self, job_name: str) -> None:
        """Removes deleted pods, as the kubelet does, until a Job is gone."""

        def gone() -> bool:
            self.node.remove_deleted(self.namespace)
            jobs = self._batch.list_namespaced_job(self.namespace, field_selector=f"metadata.name={job_name}")
            return not jobs.items

        wait_until(gone, f"Job {job_name} is gone")

    def events(self, name: str = "pump") -> list[str]:
        """The reasons of the Events about a TrainingJob."""
        selector = f"involvedObject.kind=TrainingJob,involvedObject.name={name}"
        return [
            event.reason for event in self._core.list_namespaced_event(self.namespace, field_selector=selector).items
        ]

    def wait(
        self, what: Callable[[dict[str, Any]], object], *, name: str = "pump", seconds: float = 60
    ) -> dict[str, Any]:
        """Waits until a status is as wanted, and gives it."""
        last: dict[str, Any] = {}

        def holds() -> bool:
            last.clear()
            last.update(self.status(name))
            return bool(what(last))

        try:
            wait_until(holds, "the status is as wanted", patience_seconds=seconds)
        except Exception as error:
            raise AssertionError(f"{error}; the status is {json.dumps(last, indent=1)}") from error
        return dict(last)

    def wait_phase(self, phase: str, *, name: str = "pump", run: int = 1) -> dict[str, Any]:
        """Waits for a phase of a run."""
        return self.wait(lambda status: (status.get("phase"), status.get("run")) == (phase, run), name=name)

    def running(self, name: str = "pump", run: int = 1, attempt: int = 1) -> Any:
        """Lets the pod of an attempt run, waits until the status says so, and gives the pod."""
        labels = f"{LABEL_NAME}={name},{GROUP}/run={run},{GROUP}/attempt={attempt}"
        pod = self.node.pod(self.namespace, labels)
        self.node.run(pod)
        self.wait_phase("Running", name=name, run=run)
        return pod

    def report(self, pod: Any, outcome: str = "Succeeded", **content: Any) -> str:
        """A termination message of the trainer in that pod."""
        labels = pod.metadata.labels
        return json.dumps(
            {
                "uid": labels[f"{GROUP}/uid"],
                "run": int(labels[f"{GROUP}/run"]),
                "attempt": int(labels[f"{GROUP}/attempt"]),
                "outcome": outcome,
                **content,
            }
        )

    def play_kubelet(self) -> None:
        """Takes every pod of the namespace a step further: pending pods run, running ones end well."""
        for pod in self.node.pods(self.namespace):
            if pod.metadata.deletion_timestamp is not None:
                continue
            if pod.status.phase == "Pending":
                self.node.run(pod)
            elif pod.status.phase == "Running":
                self.node.finish(pod, 0, self.report(pod, reason="Completed"))
        self.node.remove_deleted(self.namespace)

    def phases(self) -> Counter[str]:
        """How many TrainingJobs are in which phase."""
        found = self._objects.list_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL)
        return Counter(item.get("status", {}).get("phase", "") for item in found["items"])

    def job_names_ever(self) -> Counter[str]:
        """How many Jobs of each name were ever created, by the Events of the Job controller about their first pod."""
        events = self._core.list_namespaced_event(self.namespace, field_selector="reason=SuccessfulCreate").items
        created = {(e.involved_object.name, e.involved_object.uid) for e in events if e.involved_object.kind == "Job"}
        return Counter(name for name, _ in created)

    def succeed(self, pod: Any, **content: Any) -> dict[str, Any]:
        """Ends a pod with a report of success, and waits for the status."""
        content = {"reason": "Completed", "summary": "skill 0.31", "metrics": {"skill": 0.31}, **content}
        self.node.finish(pod, 0, self.report(pod, **content))
        return self.wait_phase(
            "Succeeded", name=pod.metadata.labels[LABEL_NAME], run=int(pod.metadata.labels[f"{GROUP}/run"])
        )


class TrainerMetrics:
    """A server of progress metrics, like that of a trainer."""

    def __init__(self, address: str) -> None:
        """Serves no metrics yet."""
        self.address = address
        self._registry = CollectorRegistry()
        stages = ["Starting", "Loading", "Preparing", "Training", "Evaluating", "Publishing", "Registering"]
        self._stage = Enum("trainingjob_stage", "Stage", states=stages, registry=self._registry)
        names = {"ratio": "progress_ratio", "epoch": "epoch", "epochs": "epochs", "loss": "loss"}
        self._gauges = {key: Gauge(f"trainingjob_{name}", key, registry=self._registry) for key, name in names.items()}
        for gauge in self._gauges.values():
            gauge.set(math.nan)

    def update(self, stage: str | None = None, **figures: float) -> None:
        """Serves new metrics."""
        if stage is not None:
            self._stage.state(stage)
        for name, value in figures.items():
            self._gauges[name].set(value)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Answers on the trainer's port, once no other program of this machine has it on every address."""
        started = []

        def start() -> bool:
            started.append(start_http_server(8080, self.address, self._registry))
            return True

        wait_until(start, f"port 8080 of {self.address} is free")
        ((server, thread),) = started
        yield
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def trainer_metrics(address: str) -> Iterator[TrainerMetrics]:
    """Serves a trainer's metrics at a loopback address that becomes a pod's."""
    figures = TrainerMetrics(address)
    with figures.serving():
        yield figures


def condition(status: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Status and reason of a condition, both empty before there is one."""
    found = [c for c in status.get("conditions", ()) if c["type"] == kind]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def message(status: Mapping[str, Any]) -> str:
    """What the conditions say, nothing before there are any."""
    return str(next((c["message"] for c in status.get("conditions", ())), ""))


def apply_training_job_api(cluster: Cluster) -> None:
    """Applies the CRD and waits until the API server serves it."""
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRD_FILE}")
    cluster.run_kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={CRD_FILE}")


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


@pytest.fixture
def jobs(cluster: Cluster, namespace: str, simulated_node: SimulatedNode) -> TrainingJobs:
    """The TrainingJobs of the test's namespace, on a node that takes every pod."""
    return TrainingJobs(cluster, namespace, simulated_node)
