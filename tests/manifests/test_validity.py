"""Everything that the project renders is valid for two minor versions, for an API server and for Pod Security."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from cluster.clusters import Cluster
from cluster.definitions import wait_established
from cluster.processes import wait_until
from cluster.programs import ProgramError, run_program
from support.api_schema import CRD_FILES
from support.manifests import BASE, COMPONENTS, MANIFESTS, as_list, compose, one, parse, render, training_namespace

ROOT = MANIFESTS.parent
MINORS = ("1.34", "1.35")
OVERLAYS = sorted(file.parent for file in MANIFESTS.glob("overlays/*/kustomization.yaml"))
ON_BASE = sorted(file.parent for file in COMPONENTS.rglob("kustomization.yaml"))
SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))
# Kinds of other programs, whose CRDs this API server lacks.
FOREIGN = {"monitoring.coreos.com"}
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
Documents = list[dict[str, Any]]


def install_manifest(cluster: Cluster, **variables: str) -> Documents:
    """What `make install-manifest` writes."""
    path = {"PATH": f"{cluster.kubectl.parent}:{os.environ['PATH']}"}
    arguments = [f"{name}={value}" for name, value in variables.items()]
    run_program(["make", "--no-print-directory", "install-manifest", *arguments], folder=ROOT, environment=path)
    return parse((ROOT / "build" / "install.yaml").read_text())


def rendered(cluster: Cluster, folder: Path, what: Path) -> Documents:
    """Of a component only what it adds to the base or changes in it."""
    if what.is_relative_to(COMPONENTS):
        if what.name == "training_namespace":
            return render(cluster, training_namespace(folder, "models", str(what.relative_to(COMPONENTS))))
        base = render(cluster, BASE)
        return [each for each in render(cluster, compose(folder, [BASE], [what])) if each not in base]
    if what.suffix == ".yaml":
        return parse(what.read_text())
    return render(cluster, what)


@pytest.fixture(
    scope="module",
    params=[BASE, *OVERLAYS, *ON_BASE, *SAMPLES, None],
    ids=lambda what: str(what.relative_to(MANIFESTS)) if what else "install.yaml",
)
def documents(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Documents:
    """The objects of the base, of an overlay, of a component on the base, of a sample, or of install.yaml."""
    if request.param is None:
        return install_manifest(cluster, VERSION="1.2.3")
    return rendered(cluster, tmp_path_factory.mktemp("kustomization"), request.param)


@pytest.fixture(scope="module")
def existing(cluster: Cluster) -> Callable[[str], None]:
    """Creates a namespace unless it exists. The CRDs exist."""
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", f"--kustomize={ROOT / 'crds'}")
    wait_established(cluster)

    @functools.cache
    def create(name: str) -> None:
        def is_active() -> bool:
            phase = cluster.run_kubectl(
                "get", "namespace", name, "--ignore-not-found", "--output=jsonpath={.status.phase}"
            )
            if not phase:
                cluster.run_kubectl("create", "namespace", name)
            # Another test may have deleted it just now.
            return phase == "Active"

        wait_until(is_active, f"namespace {name} exists")

    return create


def workloads(documents: Documents) -> Documents:
    """The pods that workloads would create, with the service account that each namespace has."""
    pods = []
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            spec = document["spec"]["template"]["spec"] | {"serviceAccountName": "default"}
            metadata = {"name": document["metadata"]["name"]}
            pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return pods


def test_every_manifest_is_valid_for_two_minor_versions(documents: Documents) -> None:
    for document in documents:
        # The schema of a CRD is recursive, and only an API server checks it whole.
        if document["kind"] not in {"CustomResourceDefinition", *CRD_FILES} and not is_foreign(document):
            for minor in MINORS:
                kubernetes_validate.validate(document, minor, strict=True)


def is_foreign(document: dict[str, Any]) -> bool:
    return document["apiVersion"].partition("/")[0] in FOREIGN


def test_the_api_server_accepts_every_manifest(
    cluster: Cluster, documents: Documents, existing: Callable[[str], None]
) -> None:
    known = [document for document in documents if not is_foreign(document)]
    if not known:  # a component that only removes objects
        return
    for name in {document["metadata"].get("namespace", "default") for document in known}:
        existing(name)
    options = ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"]
    accepted = cluster.run_kubectl("apply", *options, "--filename=-", "--output=name", stdin=as_list(known))
    assert len(accepted.splitlines()) == len(known)


def test_every_pod_satisfies_the_restricted_pod_security_standard(
    cluster: Cluster, documents: Documents, namespace: str
) -> None:
    pods = workloads(documents)
    if pods:
        create_in_restricted_namespace(cluster, namespace, pods)


def create_in_restricted_namespace(cluster: Cluster, namespace: str, pods: Documents) -> None:
    cluster.run_kubectl("label", "namespace", namespace, RESTRICTED)
    arguments = ["create", f"--namespace={namespace}", "--dry-run=server", "--filename=-"]
    cluster.run_kubectl(*arguments, stdin=as_list(pods))


def test_pod_security_refuses_an_operator_that_may_be_root(cluster: Cluster, namespace: str) -> None:
    (pod,) = workloads(render(cluster, BASE))
    pod["spec"]["securityContext"] = {}
    with pytest.raises(ProgramError, match='violates PodSecurity "restricted'):
        create_in_restricted_namespace(cluster, namespace, [pod])


def test_the_install_manifest_is_the_base_with_the_images_of_the_version(cluster: Cluster) -> None:
    documents = install_manifest(cluster, VERSION="1.2.3", IMAGES="registry.example.com/pumps")
    images = "registry.example.com/pumps/trainingjob-{}:1.2.3"
    (container,) = one(documents, "Deployment", ".*")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == images.format("operator")
    settings = one(documents, "ConfigMap", ".*")["data"]
    assert settings == {"METRICS_PORT": "8080", "TRAINER_IMAGE_CPU": images.format("trainer-cpu")}
    base = render(cluster, BASE)
    differ = ("ConfigMap", "Deployment")
    assert [each for each in documents if each["kind"] not in differ] == [
        each for each in base if each["kind"] not in differ
    ]


def test_the_install_manifest_without_a_registry_names_local_images(cluster: Cluster) -> None:
    documents = install_manifest(cluster, VERSION="1.2.3")
    (container,) = one(documents, "Deployment", ".*")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "trainingjob-operator:1.2.3"
    assert one(documents, "ConfigMap", ".*")["data"]["TRAINER_IMAGE_CPU"] == "trainingjob-trainer-cpu:1.2.3"
