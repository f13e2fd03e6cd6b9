"""Objects on the API server: what may change, what kubectl prints, and by which fields they are selected."""

import re
import subprocess
from typing import Any

import pytest
import yaml
from kubernetes.client import CustomObjectsApi

from cluster.clusters import Cluster
from integration.operator.manifests import PLURALS, fleet_of, manifest, refusal
from integration.operator.valid_specs import GRU, VALID
from support.training_jobs import GROUP, PLURAL, VERSION
from trainingjob_api.names import FLEET_KIND

pytestmark = pytest.mark.usefixtures("training_job_api")

STATUS = {
    "phase": "Running",
    "run": 3,
    "progress": {"percentage": 42, "display": "42%", "estimatedCompletionTime": "2099-01-01T00:00:00Z"},
    "summary": "skill 0.31",
    "device": {"used": "CPU"},
    "conditions": [
        {
            "type": "Succeeded",
            "status": "Unknown",
            "reason": "Training",
            "message": "Epoch 42 of 100.",
            "lastTransitionTime": "2025-01-01T00:00:00Z",
        }
    ],
}


@pytest.fixture
def stored(objects: CustomObjectsApi, namespace: str) -> dict[str, Any]:
    """A TrainingJob that is stored."""
    body = manifest(GRU)
    created: dict[str, Any] = objects.create_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, body)
    return created


@pytest.fixture
def running(objects: CustomObjectsApi, namespace: str, stored: dict[str, Any]) -> dict[str, Any]:
    """A TrainingJob with a status."""
    patched: dict[str, Any] = objects.patch_namespaced_custom_object_status(
        GROUP, VERSION, namespace, PLURAL, stored["metadata"]["name"], {"status": STATUS}
    )
    return patched


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"machine": "OTHER"}, "spec.machine is immutable"),
        ({"model": {"type": "xgb"}}, "spec.model.type is immutable"),
        ({"model": {"seed": 7}, "data": {"lookbackDays": 5}, "runPolicy": {"suspend": True}}, None),
    ],
)
def test_only_machine_and_type_are_immutable(
    objects: CustomObjectsApi, namespace: str, stored: dict[str, Any], change: dict[str, Any], words: str | None
) -> None:
    name = stored["metadata"]["name"]
    told = refusal(
        lambda: objects.patch_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, {"spec": change})
    )
    assert (told is None) if words is None else (words in (told or ""))


def test_a_spec_is_stored_as_it_was_written(stored: dict[str, Any]) -> None:
    assert stored["spec"] == GRU


def test_kubectl_explains_a_default(cluster: Cluster) -> None:
    for path, default in [("reuse", "Equal"), ("runPolicy.suspend", "false"), ("data.table", "processed_data")]:
        explained = cluster.run_kubectl("explain", f"tj.spec.{path}")
        assert f"Default {default}." in " ".join(explained.split())


def test_kubectl_prints_what_one_wants_to_know(cluster: Cluster, namespace: str, running: dict[str, Any]) -> None:
    header, row = cluster.run_kubectl("get", "tj", f"--namespace={namespace}").splitlines()
    assert header.split() == ["NAME", "MACHINE", "MODEL", "PHASE", "PROGRESS", "RESULT", "DEVICE", "AGE"]
    assert row.split()[1:-1] == ["MOTOBOMBA-007", "gru", "Running", "42%", "skill", "0.31", "CPU"]
    header, row = cluster.run_kubectl("get", "ml", f"--namespace={namespace}", "--output=wide").splitlines()
    assert header.split()[-4:] == ["REASON", "ETA", "RUN", "AGE"]
    assert row.split()[-4:-1] == ["Training", "2099-01-01T00:00:00Z", "3"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("spec.machine=MOTOBOMBA-007", True),
        ("spec.machine=OTHER", False),
        ("spec.model.type=gru", True),
        ("spec.model.type=xgb", False),
        ("status.phase=Running", True),
        ("status.phase=Failed", False),
    ],
)
def test_a_field_selects(
    objects: CustomObjectsApi, namespace: str, running: dict[str, Any], selector: str, found: bool
) -> None:
    listed = objects.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, field_selector=selector)
    assert bool(listed["items"]) is found


def test_spec_and_status_are_written_apart(objects: CustomObjectsApi, namespace: str, running: dict[str, Any]) -> None:
    name = running["metadata"]["name"]
    both = {"spec": {"model": {"seed": 1}}, "status": {"phase": "Failed"}}
    by_user = objects.patch_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name, both)
    assert (by_user["spec"]["model"]["seed"], by_user["status"]["phase"]) == (1, "Running")
    both["spec"] = {"model": {"seed": 2}}
    by_operator = objects.patch_namespaced_custom_object_status(GROUP, VERSION, namespace, PLURAL, name, both)
    assert (by_operator["spec"]["model"]["seed"], by_operator["status"]["phase"]) == (1, "Failed")


def test_applying_again_what_was_applied_changes_nothing(cluster: Cluster, namespace: str) -> None:
    text = yaml.safe_dump(manifest(yaml.safe_load(VALID["a whole gru"])))
    cluster.run_kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=text)
    assert "unchanged" in cluster.run_kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=text)
    subprocess.run(
        [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", "diff", f"--namespace={namespace}", "--filename=-"],
        input=text,
        check=True,  # exit code 1 is a difference
        text=True,
    )


FLEET_STATUS = {
    "phase": "Running",
    "run": 3,
    "startTime": "2025-01-01T00:00:00Z",
    "nextScheduleTime": "2099-01-01T00:00:00Z",
    "machines": {"selected": 300, "registered": 126, "failed": 3, "display": "126/300"},
    "progress": {"percentage": 43, "display": "43%"},
}


@pytest.fixture
def running_fleet(objects: CustomObjectsApi, namespace: str) -> dict[str, Any]:
    """A TrainingFleet with a status."""
    arguments = (GROUP, VERSION, namespace, PLURALS[FLEET_KIND])
    objects.create_namespaced_custom_object(*arguments, manifest(fleet_of(GRU), kind=FLEET_KIND))
    patched: dict[str, Any] = objects.patch_namespaced_custom_object_status(
        *arguments, "example", {"status": FLEET_STATUS}
    )
    return patched


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"template": {"model": {"type": "xgb"}}}, "spec.template.model.type is immutable"),
        ({"machines": {"names": ["A", "B"]}, "template": {"data": {"lookbackDays": 5}}, "workers": 3}, None),
    ],
)
def test_only_the_type_of_a_fleet_is_immutable(
    objects: CustomObjectsApi,
    namespace: str,
    running_fleet: dict[str, Any],
    change: dict[str, Any],
    words: str | None,
) -> None:
    plural, name = PLURALS[FLEET_KIND], running_fleet["metadata"]["name"]
    told = refusal(
        lambda: objects.patch_namespaced_custom_object(GROUP, VERSION, namespace, plural, name, {"spec": change})
    )
    assert (told is None) if words is None else (words in (told or ""))


def test_a_status_of_a_fleet_is_stored_as_it_was_written(running_fleet: dict[str, Any]) -> None:
    assert running_fleet["status"] == FLEET_STATUS
    assert running_fleet["spec"] == fleet_of(GRU)


@pytest.mark.usefixtures("running_fleet")
def test_kubectl_prints_machines_and_runs_of_a_fleet(cluster: Cluster, namespace: str) -> None:
    header, row = cluster.run_kubectl("get", "tfl", f"--namespace={namespace}").splitlines()
    assert re.split(r"\s{2,}", header.strip()) == [
        *("NAME", "MODEL", "MACHINES", "FAILED", "PHASE", "PROGRESS", "LAST RUN", "NEXT RUN", "AGE")
    ]
    assert row.split()[1:6] == ["gru", "126/300", "3", "Running", "43%"]
    assert row.split()[7] == "2099-01-01T00:00:00Z"
    assert cluster.run_kubectl("get", "ml", f"--namespace={namespace}", "--output=name") == (
        "trainingfleet.training.pumphealth.io/example\n"
    )


@pytest.mark.usefixtures("running_fleet")
@pytest.mark.parametrize(
    ("selector", "found"),
    [("spec.template.model.type=gru", True), ("spec.template.model.type=xgb", False), ("status.phase=Running", True)],
)
def test_a_field_selects_a_fleet(objects: CustomObjectsApi, namespace: str, selector: str, found: bool) -> None:
    listed = objects.list_namespaced_custom_object(
        GROUP, VERSION, namespace, PLURALS[FLEET_KIND], field_selector=selector
    )
    assert bool(listed["items"]) is found
