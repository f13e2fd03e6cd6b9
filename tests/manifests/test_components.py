"""What the kustomize components add to the base, and what the production example makes of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException, CoreV1Api, PolicyV1Api, V1Eviction, V1ObjectMeta

from cluster.clusters import Cluster
from cluster.processes import wait_until
from cluster.simulated_node import SimulatedNode, simulated_node_registered
from support.manifests import BASE, COMPONENTS, MANIFESTS, as_list, compose, one, render, training_namespace
from trainingjob_api.names import METRICS_PORT
from trainingjob_operator.config import Configuration

PRODUCTION = MANIFESTS / "overlays" / "production"
TRAINER = {"app.kubernetes.io/name": "trainingjob-trainer"}
OPERATOR = {"app.kubernetes.io/name": "trainingjob-operator"}
SYSTEM = {"matchLabels": {"kubernetes.io/metadata.name": "trainingjob-system"}}
MONITORING = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
DNS = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]


def test_a_namespaced_installation_has_the_rules_of_the_base(cluster: Cluster, tmp_path: Path) -> None:
    base = render(cluster, BASE)
    namespaced = render(cluster, training_namespace(tmp_path, "models", "namespaced/training_namespace"))
    for name in ("trainingjob-operator", "trainingjob-edit", "trainingjob-view"):
        role = one(namespaced, "Role", name)
        assert (role["metadata"]["namespace"], role["rules"]) == ("models", one(base, "ClusterRole", name)["rules"])
    (subject,) = one(namespaced, "RoleBinding", "trainingjob-operator")["subjects"]
    assert subject == one(base, "ClusterRoleBinding", "trainingjob-operator")["subjects"][0]


def test_the_production_example_watches_the_namespaces_that_it_has_rights_in(cluster: Cluster) -> None:
    documents = render(cluster, PRODUCTION)
    configuration = Configuration.read(one(documents, "ConfigMap", "trainingjob-operator-.*")["data"])
    bound = {each["metadata"]["namespace"] for each in documents if each["kind"] == "RoleBinding"}
    assert bound == {"trainingjob-system", *configuration.namespaces}
    restricted = {each["metadata"]["namespace"] for each in documents if each["kind"] == "NetworkPolicy"}
    assert restricted == bound
    assert not [each for each in documents if each["kind"].startswith("ClusterRole")]


@pytest.fixture
def two_nodes(cluster: Cluster) -> Iterator[list[SimulatedNode]]:
    """Two nodes that have the label of a kubelet."""
    client = cluster.client()
    with simulated_node_registered(client) as first, simulated_node_registered(client) as second:
        for node in (first, second):
            cluster.run_kubectl("label", "node", node.name, f"kubernetes.io/hostname={node.name}")
        yield [first, second]


@pytest.mark.needs("controllers")
def test_two_replicas_are_on_two_nodes_and_only_one_may_be_evicted(
    cluster: Cluster, namespace: str, two_nodes: list[SimulatedNode], tmp_path: Path
) -> None:
    documents = render(cluster, compose(tmp_path, [BASE], [COMPONENTS / "high_availability"]))
    kinds = ("ServiceAccount", "Deployment", "PodDisruptionBudget")
    for document in (wanted := [document for document in documents if document["kind"] in kinds]):
        document["metadata"]["namespace"] = namespace
    cluster.run_kubectl("apply", "--filename=-", stdin=as_list(wanted))
    pods = [node.pod(namespace) for node in two_nodes]
    for node, pod in zip(two_nodes, pods, strict=True):
        node.run(pod)
    core, budgets = CoreV1Api(cluster.client()), PolicyV1Api(cluster.client())

    def evict(pod: Any) -> None:
        metadata = V1ObjectMeta(name=pod.metadata.name, namespace=namespace)
        core.create_namespaced_pod_eviction(pod.metadata.name, namespace, V1Eviction(metadata=metadata))

    def allowed() -> int:
        status = budgets.read_namespaced_pod_disruption_budget("trainingjob-operator", namespace).status
        return int(status.disruptions_allowed or 0)

    wait_until(lambda: allowed() == 1, "the budget allows one disruption")
    evict(pods[0])
    with pytest.raises(ApiException) as refused:
        evict(pods[1])
    assert refused.value.status == 429


def test_replicas_elect_a_leader_in_their_namespace(cluster: Cluster, tmp_path: Path) -> None:
    documents = render(cluster, compose(tmp_path, [BASE], [COMPONENTS / "high_availability"]))
    deployment = one(documents, "Deployment", "trainingjob-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    sources = {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in container["env"]}
    assert deployment["spec"]["replicas"] == 2
    assert sources == {"POD_NAMESPACE": "metadata.namespace", "POD_NAME": "metadata.name"}
    role = one(documents, "Role", "trainingjob-operator")
    assert role["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
    ]


def policies(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == "NetworkPolicy"}


def test_the_operator_reaches_dns_trainers_and_the_api_server_only(cluster: Cluster, tmp_path: Path) -> None:
    documents = render(cluster, compose(tmp_path, [BASE], [COMPONENTS / "network_policies/operator_namespace"]))
    found = policies(documents)
    pod = one(documents, "Deployment", "trainingjob-operator")["spec"]["template"]["metadata"]["labels"]
    assert found.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert all(spec["podSelector"]["matchLabels"].items() <= pod.items() for spec in found.values())
    operator = found.pop("trainingjob-operator")
    dns, trainers = operator["egress"]
    assert dns["ports"] == DNS
    assert trainers == {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": TRAINER}}],
        "ports": [{"port": METRICS_PORT}],
    }
    assert operator["ingress"] == [{"from": [{"namespaceSelector": MONITORING}], "ports": [{"port": "metrics"}]}]
    (api_server,) = found.values()
    assert api_server["egress"] == [{"ports": [{"port": 443}, {"port": 6443}]}]
    assert api_server["policyTypes"] == ["Egress"]


def test_a_trainer_reaches_dns_and_its_servers_but_no_api_server(cluster: Cluster, tmp_path: Path) -> None:
    component = "network_policies/training_namespace"
    found = policies(render(cluster, training_namespace(tmp_path, "models", component)))
    assert all(spec["podSelector"] == {"matchLabels": TRAINER} for spec in found.values())
    trainer = found["trainingjob-trainer"]
    assert trainer["policyTypes"] == ["Ingress", "Egress"]
    operator = {"namespaceSelector": SYSTEM, "podSelector": {"matchLabels": OPERATOR}}
    assert trainer["ingress"] == [
        {"from": [operator, {"namespaceSelector": MONITORING}], "ports": [{"port": "metrics"}]}
    ]
    ports = [port for spec in found.values() for rule in spec["egress"] for port in rule["ports"]]
    assert ports == [*DNS, {"port": 5432}, {"port": 9000}]
