"""A node without a kubelet: the scheduler binds pods to it, and a test sets their status."""

import contextlib
import datetime
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from kubernetes.client import (
    ApiClient,
    ApiException,
    CoreV1Api,
    V1DeleteOptions,
    V1Node,
    V1NodeCondition,
    V1NodeStatus,
    V1ObjectMeta,
)

from cluster.processes import wait_until

# In the client's Pod every field is optional for a type checker; a pod that was read has them.
Pod: TypeAlias = Any

_CAPACITY = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "10Ti", "pods": "5000", "nvidia.com/gpu": "8"}
# 128 + SIGKILL: the exit code of a process that the kernel kills over its memory limit.
_KILLED = 137


class SimulatedNode:
    """Writes the status of the pods of one node, in place of a kubelet.

    Attributes:
        name: of the node.
    """

    def __init__(self, client: ApiClient, name: str) -> None:
        """Acts for the kubelet of a node that exists.

        Args:
            client: of an administrator.
            name: of the node.
        """
        self.name = name
        self._core = CoreV1Api(client)

    def pods(self, namespace: str, label_selector: str = "", *, unfinished: bool = False) -> list[Pod]:
        """The pods of a namespace that are bound to this node, the oldest first; all, or those that have not ended."""
        fields = f"spec.nodeName={self.name}"
        if unfinished:
            fields += ",status.phase!=Succeeded,status.phase!=Failed"
        pods = self._core.list_namespaced_pod(namespace, label_selector=label_selector, field_selector=fields).items
        return sorted(pods, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name))

    def pod(self, namespace: str, label_selector: str = "") -> Pod:
        """Waits for the one pod that has not ended yet, and returns it."""

        def unfinished() -> list[Pod]:
            return self.pods(namespace, label_selector, unfinished=True)

        wait_until(lambda: len(unfinished()) == 1, f"one pod {label_selector} of {namespace} on {self.name}")
        return unfinished()[0]

    def run(self, pod: Pod, address: str = "127.0.0.1") -> None:
        """Sets a pod to running.

        Args:
            pod: as read before.
            address: the IP address of the pod.
        """
        state = {"running": {"startedAt": _now()}}
        self._write(pod, "Running", state, ready=True, podIP=address, podIPs=[{"ip": address}], startTime=_now())

    def fail_to_pull_image(self, pod: Pod) -> None:
        """Sets a pod to waiting for an image that does not exist."""
        self._write(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})

    def finish(self, pod: Pod, exit_code: int = 0, message: str = "") -> None:
        """Sets the containers of a pod to terminated, with a termination message."""
        reason = "Completed" if exit_code == 0 else "Error"
        self._terminate(pod, exit_code, reason, message)

    def run_out_of_memory(self, pod: Pod) -> None:
        """Sets the containers of a pod to killed over the memory limit, without a termination message."""
        self._terminate(pod, _KILLED, "OOMKilled")

    def evict(self, pod: Pod, exit_code: int = _KILLED, message: str = "") -> None:
        """Sets a pod to evicted because the node is short of a resource."""
        disrupted = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationByKubelet",
            "message": "The node was low on resource: memory.",
            "lastTransitionTime": _now(),
        }
        self._terminate(pod, exit_code, "Error", message, condition=disrupted, reason_of_pod="Evicted")

    def remove_deleted(self, namespace: str) -> None:
        """Removes deleted pods, as a kubelet does when their containers have ended."""
        for pod in self.pods(namespace):
            if pod.metadata.deletion_timestamp is not None:
                self.remove(pod)

    def remove(self, pod: Pod) -> None:
        """Removes a pod at once."""
        with contextlib.suppress(ApiException):
            self._core.delete_namespaced_pod(
                pod.metadata.name, pod.metadata.namespace, body=V1DeleteOptions(grace_period_seconds=0)
            )

    def _terminate(
        self,
        pod: Pod,
        exit_code: int,
        reason: str,
        message: str = "",
        *,
        condition: Mapping[str, str] | None = None,
        reason_of_pod: str | None = None,
    ) -> None:
        terminated = {
            "exitCode": exit_code,
            "reason": reason,
            "message": message,
            "startedAt": _now(),
            "finishedAt": _now(),
        }
        status: dict[str, Any] = {"reason": reason_of_pod} if reason_of_pod else {}
        phase = "Succeeded" if exit_code == 0 and condition is None else "Failed"
        self._write(pod, phase, {"terminated": terminated}, condition=condition, **status)

    def _write(
        self,
        pod: Pod,
        phase: str,
        state: Mapping[str, Any],
        *,
        ready: bool = False,
        condition: Mapping[str, str] | None = None,
        **status: Any,
    ) -> None:
        conditions = [
            {"type": kind, "status": str(ready), "lastTransitionTime": _now()} for kind in ("Ready", "ContainersReady")
        ]
        containers = [
            {
                "name": container.name,
                "image": container.image,
                "imageID": "",
                "ready": ready,
                "started": ready,
                "restartCount": 0,
                "state": state,
            }
            for container in pod.spec.containers
        ]
        body = {
            "status": {
                "phase": phase,
                "conditions": [*conditions, *([condition] if condition else [])],
                "containerStatuses": containers,
                **status,
            }
        }
        self._core.patch_namespaced_pod_status(pod.metadata.name, pod.metadata.namespace, body)


@contextlib.contextmanager
def simulated_node_registered(client: ApiClient) -> Iterator[SimulatedNode]:
    """Registers a node with room for everything, and removes it and its pods at the end of the context."""
    core = CoreV1Api(client)
    name = f"simulated-{secrets.token_hex(4)}"
    ready = V1NodeCondition(type="Ready", status="True", reason="Simulated")
    status = V1NodeStatus(capacity=_CAPACITY, allocatable=_CAPACITY, conditions=[ready])
    core.create_node(V1Node(metadata=V1ObjectMeta(name=name), status=status))
    node = SimulatedNode(client, name)
    try:
        yield node
    finally:
        core.delete_node(name)
        for pod in core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={name}").items:
            node.remove(pod)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
