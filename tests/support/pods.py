"""Restarts and errors of the pods of operator and trainer during a test."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

SYSTEM_NAMESPACE = "trainingjob-system"
OPERATOR = "app.kubernetes.io/name=trainingjob-operator"
TRAINER = "app.kubernetes.io/managed-by=trainingjob-operator"
# A line of TensorFlow's or XLA's own log, or an uncaught exception.
_TRAINER_ERROR = re.compile(r"^[EF]\d{4} |^\S+ \S+: [EF] |^Traceback ")


def faults(client: ApiClient, namespace: str, since: datetime, provoked: Sequence[str]) -> list[str]:
    """Restarts of containers, and log lines of level ERROR since a time, without those that the test provoked.

    Args:
        client: of the cluster.
        namespace: of the trainers.
        since: when the test began.
        provoked: regular expressions of lines that the test provoked.
    """
    found = []
    core = CoreV1Api(client)
    for pod_namespace, selector, is_error_text in (
        (SYSTEM_NAMESPACE, OPERATOR, lambda text: True),
        (namespace, TRAINER, _TRAINER_ERROR.search),
    ):
        for pod in core.list_namespaced_pod(pod_namespace, label_selector=selector).items:
            name = pod.metadata.name
            found += [
                f"{name}: container {container.name} restarted {container.restart_count} times"
                for container in pod.status.container_statuses or ()
                if container.restart_count
            ]
            found += [
                f"{name}: {line}"
                for line in _log(core, pod, since)
                if _is_error(line, is_error_text) and not any(re.search(expression, line) for expression in provoked)
            ]
    return found


def operator_pods(client: ApiClient) -> list[Any]:
    """The pods of the operator that are not being deleted."""
    pods = CoreV1Api(client).list_namespaced_pod(SYSTEM_NAMESPACE, label_selector=OPERATOR).items
    return [pod for pod in pods if pod.metadata.deletion_timestamp is None]


def metric(client: ApiClient, pod: Any, name: str, **labels: str) -> float:
    """The sum of an operator's samples with these labels, read through the API server."""
    proxy = CoreV1Api(client).connect_get_namespaced_pod_proxy_with_path
    lines = proxy(f"{pod.metadata.name}:8080", pod.metadata.namespace, "metrics").splitlines()
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    samples = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
    return sum(float(line.rsplit(" ", 1)[1]) for line in samples if all(want in line for want in wanted))


def _log(core: CoreV1Api, pod: Any, since: datetime) -> Iterator[str]:
    if all(container.state.waiting for container in pod.status.container_statuses or ()):
        return
    log = core.read_namespaced_pod_log(pod.metadata.name, pod.metadata.namespace, timestamps=True)
    for line in log.splitlines():
        moment, _, text = line.partition(" ")
        if datetime.fromisoformat(moment) >= since:
            yield text


def _is_error(line: str, is_error_text: Callable[[str], object]) -> bool:
    """Whether a line of the log has level ERROR or above; ``is_error_text`` judges a line that is not JSON."""
    try:
        entry = json.loads(line)
    except ValueError:
        return bool(is_error_text(line))
    return not isinstance(entry, dict) or entry.get("level") not in {"DEBUG", "INFO", "WARNING"}
