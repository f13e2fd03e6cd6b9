"""The selection of the cluster for tests."""

from collections.abc import Mapping

import pytest

from cluster.clusters import ClusterUnavailableError, choose_kind

EXISTING = {"USE_EXISTING_CLUSTER": "true", "KUBECONFIG": "/home/me/.kube/config"}
ASSETS = {"KUBEBUILDER_ASSETS": "/usr/local/kubebuilder/bin"}


@pytest.mark.parametrize(
    ("wanted", "environment", "has_go", "kind"),
    [
        ("auto", EXISTING | ASSETS, True, "existing"),
        ("auto", ASSETS, True, "assets"),
        ("auto", {}, True, "build"),
        ("build", EXISTING | ASSETS, True, "build"),
        ("assets", EXISTING | ASSETS, True, "assets"),
        ("existing", EXISTING, False, "existing"),
    ],
)
def test_the_requested_kind_or_the_first_available_is_selected(
    wanted: str, environment: Mapping[str, str], has_go: bool, kind: str
) -> None:
    assert choose_kind(wanted, environment, has_go=has_go) == kind


@pytest.mark.parametrize(
    "environment", [{"KUBECONFIG": "/home/me/.kube/config"}, EXISTING | {"USE_EXISTING_CLUSTER": "false"}]
)
def test_a_kubeconfig_alone_does_not_select_the_existing_cluster(environment: Mapping[str, str]) -> None:
    assert choose_kind("auto", environment, has_go=True) == "build"


@pytest.mark.parametrize("wanted", ["auto", "build", "assets", "existing"])
def test_the_message_names_what_is_missing(wanted: str) -> None:
    missing = {"build": "Go", "assets": "KUBEBUILDER_ASSETS", "existing": "USE_EXISTING_CLUSTER"}
    with pytest.raises(ClusterUnavailableError) as refusal:
        choose_kind(wanted, {}, has_go=False)
    for kind, name in missing.items():
        assert (name in str(refusal.value)) == (wanted in ("auto", kind))
