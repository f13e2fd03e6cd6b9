"""A real node on this machine: a kubelet over containerd, in which pods run."""

import contextlib
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from kubernetes.client import CoreV1Api, V1DeleteOptions

from cluster import cache, host
from cluster.binaries import Binaries
from cluster.certificates import KeyPair
from cluster.clusters import cluster_of
from cluster.container_runtime import SOCKET, containerd_running
from cluster.control_plane import ControlPlane, write_kubeconfig
from cluster.processes import Server, ServerError, free_ports, start_server, wait_until

NAME = "local"
_POD_LOGS = host.FOLDER / "logs"


@contextlib.contextmanager
def node_running(control_plane: ControlPlane, binaries: Binaries) -> Iterator[Server]:
    """Runs a node of the control plane until the context ends; then its pods are deleted first.

    Args:
        control_plane: listens where pods reach it.
        binaries: of the same version.

    Yields:
        The kubelet.

    Raises:
        ServerError: a component did not come up.
    """
    identity = control_plane.authority.issue(
        "kubelet", f"system:node:{NAME}", organization="system:nodes", hosts=[host.BRIDGE_ADDRESS, NAME]
    )
    kubeconfig = write_kubeconfig(control_plane.folder, control_plane.url, control_plane.authority, identity)
    core = CoreV1Api(cluster_of(control_plane, binaries).client())
    with containerd_running(binaries["pause"]) as containerd:
        folder = host.FOLDER / "kubelet"
        folder.mkdir()
        configuration = folder / "configuration.json"
        configuration.write_text(json.dumps(_configuration(folder, control_plane, identity), indent=2))
        command: list[str | Path] = [
            binaries["kubelet"],
            f"--config={configuration}",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={NAME}",
            f"--node-ip={host.BRIDGE_ADDRESS}",
            f"--root-dir={folder}",
        ]
        kubelet = start_server(command, host.FOLDER / "kubelet.log")
        try:
            wait_until(lambda: _is_ready(core), "the node is ready", [kubelet, containerd, *control_plane.servers])
            yield kubelet
        finally:
            # The kubelet must still run, to remove the shims, mounts and interfaces of the pods.
            with contextlib.suppress(ServerError):
                _delete_pods(core, control_plane)
            kubelet.stop()


def keep_pod_logs() -> Path:
    """Copies the logs of the node's containers into the cache, replaces an earlier copy, and returns the folder."""
    kept = cache.ROOT / "pods"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(_POD_LOGS, kept)
    return kept


def _is_ready(core: CoreV1Api) -> bool:
    nodes = core.list_node(field_selector=f"metadata.name={NAME}").items
    conditions = nodes[0].status.conditions if nodes and nodes[0].status else None
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions or ())


def _delete_pods(core: CoreV1Api, control_plane: ControlPlane) -> None:
    for server in control_plane.servers:
        if server.name in ("kube-controller-manager", "kube-scheduler"):
            server.stop(by=signal.SIGKILL)

    def none_left() -> bool:
        pods = core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={NAME}").items
        for pod in pods:
            if pod.metadata and pod.metadata.name and pod.metadata.namespace and not pod.metadata.deletion_timestamp:
                options = V1DeleteOptions(grace_period_seconds=1)
                core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, body=options)
        return not pods

    wait_until(none_left, "the pods of the node are gone", control_plane.servers[:2], patience_seconds=30)


def _configuration(folder: Path, control_plane: ControlPlane, identity: KeyPair) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": host.BRIDGE_ADDRESS,
        "port": free_ports(1, host.BRIDGE_ADDRESS)[0],
        "readOnlyPort": 0,
        "healthzPort": 0,
        "tlsCertFile": str(identity.public),
        "tlsPrivateKeyFile": str(identity.private),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(control_plane.authority.certificate_file)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{host.CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(_POD_LOGS),
        "volumePluginDir": str(folder / "plugins"),
        # There is no DNS: pods get IP addresses.
        "resolvConf": "",
        "maxPods": 200,
        "nodeStatusUpdateFrequency": "5s",
        # The images are loaded from archives; the kubelet could not pull them again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
    }
