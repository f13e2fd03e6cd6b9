"""The kustomizations render to valid manifests, and grant the operator exactly the permissions that it needs."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.clusters import Cluster
from cluster.definitions import wait_established
from cluster.processes import wait_until
from cluster.programs import ProgramError
from support.api_schema import CRD_FILES
from support.manifests import MANIFESTS, compose, one, render
from trainingjob_operator.config import Configuration
from trainingjob_trainer.documents.run_of_file import load_run

OVERLAYS = ["base", "overlays/local", "overlays/kind", "overlays/production"]
ACCOUNT = "system:serviceaccount:trainingjob-system:trainingjob-operator"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_operator_reads_its_configuration(cluster: Cluster, overlay: str) -> None:
    documents = render(cluster, MANIFESTS / overlay)
    settings = one(documents, "ConfigMap", "trainingjob-operator-.*")["data"]
    configuration = Configuration.read(settings)
    known = {variable for variable, _, _ in Configuration.table()}
    assert set(settings) <= known
    pod = one(documents, "Deployment", "trainingjob-operator")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": configuration.metrics_port}]
    if overlay != "base":
        assert (configuration.policy("gru"), configuration.policy("xgb")) == ("Disabled", "Disabled")


def test_the_operator_cannot_write_to_its_image(cluster: Cluster) -> None:
    deployment = one(render(cluster, MANIFESTS / "base"), "Deployment", "trainingjob-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


LABELS = {"app.kubernetes.io/part-of": "argocd"}
# The ConfigMap in the install.yaml of Argo CD has neither namespace nor data.
ARGOCD_CM: dict[str, dict[str, Any]] = {
    "as Argo CD installs it": {"metadata": {"name": "argocd-cm", "labels": LABELS}},
    "with a namespace and data": {
        "metadata": {"name": "argocd-cm", "namespace": "argocd", "labels": LABELS},
        "data": {"url": "https://argocd.example.com"},
    },
}


def installation(folder: Path, config_map: dict[str, Any], **kustomization: str) -> Path:
    """A kustomization with a ConfigMap and the component."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", **config_map}))
    return compose(folder, [folder / "config.yaml"], [MANIFESTS / "argocd"], **kustomization)


@pytest.mark.parametrize("kustomization", [{"namespace": "argocd"}, {}], ids=["its namespace", "no namespace"])
@pytest.mark.parametrize("before", ARGOCD_CM.values(), ids=list(ARGOCD_CM))
def test_the_argo_cd_component_keeps_the_existing_settings(
    cluster: Cluster, tmp_path: Path, before: dict[str, Any], kustomization: dict[str, str]
) -> None:
    (argocd_cm,) = render(cluster, installation(tmp_path, before, **kustomization))
    assert argocd_cm["metadata"] == before["metadata"] | kustomization
    assert argocd_cm["data"] == {
        **before.get("data", {}),
        **{
            f"resource.customizations.{part}.training.pumphealth.io_{kind}": (MANIFESTS / "argocd" / file).read_text()
            for kind in CRD_FILES
            for part, file in (("health", "health.lua"), ("actions", "actions.yaml"))
        },
    }


def test_the_argo_cd_component_is_refused_without_argo_cd(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as refused:
        render(cluster, installation(tmp_path, {"metadata": {"name": "other"}}))
    assert "argocd-cm" in refused.value.said


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> None:
    """The operator's permissions, on the API server; the operator itself is not started."""
    documents = render(cluster, MANIFESTS / "overlays/local")
    wanted = [document for document in documents if document["kind"] not in ("Deployment", "ConfigMap", "Service")]
    text = yaml.safe_dump_all(wanted)
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=text)
    wait_established(cluster)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("verb", "resource", "allowed"),
    [
        ("list", "trainingjobs.training.pumphealth.io", True),
        ("watch", "trainingjobs.training.pumphealth.io", True),
        ("patch", "trainingjobs.training.pumphealth.io/status", True),
        ("patch", "trainingjobs.training.pumphealth.io", False),
        ("delete", "trainingjobs.training.pumphealth.io", False),
        ("watch", "trainingfleets.training.pumphealth.io", True),
        ("patch", "trainingfleets.training.pumphealth.io/status", True),
        ("patch", "trainingfleets.training.pumphealth.io", False),
        ("delete", "trainingfleets.training.pumphealth.io", False),
        ("create", "jobs.batch", True),
        ("patch", "jobs.batch", True),
        ("delete", "jobs.batch", True),
        ("get", "jobs.batch", True),
        ("watch", "pods", True),
        ("delete", "pods", True),
        ("create", "pods", False),
        ("get", "pods/log", False),
        ("create", "events", True),
        ("list", "events", True),
        ("watch", "events", False),
        ("list", "workloads.kueue.x-k8s.io", False),
        ("get", "secrets", False),
        ("list", "secrets", False),
        ("create", "leases.coordination.k8s.io", False),
    ],
)
def test_the_cluster_role_grants_exactly_the_needed_rights(
    cluster: Cluster, verb: str, resource: str, allowed: bool
) -> None:
    assert may(cluster, verb, resource, "default") is allowed


def test_the_kueue_component_adds_only_the_right_to_list_workloads(cluster: Cluster, tmp_path: Path) -> None:
    compose(tmp_path, [MANIFESTS / "base"], [MANIFESTS / "components/kueue"])
    base, documents = render(cluster, MANIFESTS / "base"), render(cluster, tmp_path)
    added = [document for document in documents if document not in base]
    assert {document["kind"] for document in added} == {"ClusterRole", "ClusterRoleBinding"}
    rules = one(added, "ClusterRole", ".*")["rules"]
    assert rules == [{"apiGroups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": ["list"]}]
    binding = one(added, "ClusterRoleBinding", ".*")
    assert binding["subjects"] == one(base, "ClusterRoleBinding", "trainingjob-operator")["subjects"]


@pytest.mark.usefixtures("installed")
def test_the_operator_can_hold_a_lease_in_its_own_namespace(cluster: Cluster) -> None:
    for verb in ("get", "create", "update"):
        assert may(cluster, verb, "leases.coordination.k8s.io", "trainingjob-system")


def may(cluster: Cluster, verb: str, resource: str, namespace: str, user: str = ACCOUNT) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": _attributes(verb, resource) | {"namespace": namespace}},
    }
    answer = cluster.run_kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


def _attributes(verb: str, resource: str) -> dict[str, str]:
    whole, _, subresource = resource.partition("/")
    name, _, group = whole.partition(".")
    return {"verb": verb, "group": group, "resource": name, "subresource": subresource}


SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("options", [[], ["--server-side"]], ids=["client-side", "server-side"])
@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_the_api_server_accepts_each_sample(cluster: Cluster, namespace: str, sample: Path, options: list[str]) -> None:
    cluster.run_kubectl("apply", f"--namespace={namespace}", *options, f"--filename={sample}")


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
def test_the_trainer_reads_each_sample(sample: Path) -> None:
    documents = list(yaml.safe_load_all(sample.read_text()))
    trained = [document for document in documents if document["kind"] in CRD_FILES]
    for document in trained:
        data = document["spec"].get("template", document["spec"])["data"]
        dates = [value for field, value in data.items() if field in ("startDate", "endDate")]
        assert all(isinstance(date, str) for date in dates), "unquoted, it is a date and no string to most programs"
    if trained:
        assert load_run(sample.read_text()).name == trained[0]["metadata"]["name"]


@pytest.mark.usefixtures("installed")
@pytest.mark.needs("controllers")
@pytest.mark.parametrize("plural", ["trainingjobs", "trainingfleets"])
def test_editors_can_edit_objects_but_not_their_status(cluster: Cluster, namespace: str, plural: str) -> None:
    cluster.run_kubectl(
        "create", "rolebinding", "jane", f"--namespace={namespace}", "--clusterrole=edit", "--user=jane"
    )
    resource = f"{plural}.training.pumphealth.io"
    wait_until(lambda: may(cluster, "create", resource, namespace, "jane"), "the role edit has the aggregated rules")
    assert not may(cluster, "patch", f"{resource}/status", namespace, "jane")
