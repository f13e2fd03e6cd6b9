"""The test bed itself: properties of its node that all other tests rely on."""

import json

import pytest

from cluster.clusters import Cluster
from cluster.object_store import ObjectStore
from cluster.postgres import Database
from cluster.processes import wait_until

pytestmark = pytest.mark.needs("node")

IMAGE = "trainingjob-operator:dev"
RESTRICTED = {
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


def run_to_end(cluster: Cluster, namespace: str, program: str, memory: str = "256Mi") -> dict[str, object]:
    """Runs a Python program in a pod without privileges, and returns the terminated state of its container."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "program"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "program",
                    "image": IMAGE,
                    "command": ["python3", "-c", program],
                    "securityContext": RESTRICTED,
                    "resources": {"limits": {"memory": memory}},
                }
            ],
        },
    }
    cluster.run_kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(pod))

    def end() -> dict[str, object] | None:
        pod = json.loads(cluster.run_kubectl("get", "pod", "program", f"--namespace={namespace}", "--output=json"))
        containers = pod["status"].get("containerStatuses") or [{}]
        ended: dict[str, object] | None = containers[0].get("state", {}).get("terminated")
        return ended

    wait_until(lambda: end() is not None, "the pod has ended", patience_seconds=60)
    return end() or {}


def test_a_restricted_pod_reaches_the_api_server_by_its_environment(cluster: Cluster, namespace: str) -> None:
    program = """
import kubernetes
kubernetes.config.load_incluster_config()
version = kubernetes.client.VersionApi().get_code().git_version
open("/dev/termination-log", "w").write(version)
"""
    end = run_to_end(cluster, namespace, program)
    assert end["exitCode"] == 0
    assert str(end["message"]).startswith("v1.")


def test_a_restricted_pod_cannot_write_to_its_image_and_is_not_root(cluster: Cluster, namespace: str) -> None:
    program = """
import errno, os
try:
    open("/opt/file", "w")
except OSError as error:
    open("/dev/termination-log", "w").write(f"{errno.errorcode[error.errno]} {os.getuid()}")
"""
    assert run_to_end(cluster, namespace, program)["message"] == "EROFS 65532"


def test_a_pod_over_its_memory_limit_is_killed(cluster: Cluster, namespace: str) -> None:
    end = run_to_end(cluster, namespace, "b'1' * (1 << 30)", memory="64Mi")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


def test_a_pod_reaches_postgresql_and_s3(
    cluster: Cluster, namespace: str, database: Database, object_store: ObjectStore
) -> None:
    program = f"""
import socket, urllib.request, urllib.error
socket.create_connection(({database.host!r}, {database.port}), 5).close()
try:
    urllib.request.urlopen("http://{object_store.endpoint}/", timeout=5)
except urllib.error.HTTPError as refused:
    open("/dev/termination-log", "w").write(str(refused.code))
"""
    assert run_to_end(cluster, namespace, program)["message"] == "403"
