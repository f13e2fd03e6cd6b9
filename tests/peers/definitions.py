"""The definitions of custom resources that a peer installs."""

from kubernetes.client import ApiextensionsV1Api

from cluster.clusters import Cluster
from cluster.processes import wait_until


def wait_established(cluster: Cluster) -> None:
    """Waits until the API server serves every custom resource. `kubectl wait` fails on one without a condition yet."""
    definitions = ApiextensionsV1Api(cluster.client())

    def established() -> bool:
        return all(
            any(each.type == "Established" and each.status == "True" for each in found.status.conditions or ())
            for found in definitions.list_custom_resource_definition().items
        )

    wait_until(established, "every custom resource is served")
