"""The definitions of custom resources in a cluster."""

from typing import Any

from kubernetes.client import ApiextensionsV1Api

from cluster.clusters import Cluster
from cluster.processes import wait_until


def wait_established(cluster: Cluster) -> None:
    """Waits until the API server serves every custom resource. `kubectl wait` fails on one without a condition yet."""
    api = ApiextensionsV1Api(cluster.client())

    def established() -> bool:
        definitions: list[Any] = api.list_custom_resource_definition().items
        return all(
            any(each.type == "Established" and each.status == "True" for each in definition.status.conditions or ())
            for definition in definitions
        )

    wait_until(established, "every custom resource is served")
