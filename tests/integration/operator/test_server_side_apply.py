"""A TrainingJob in Git, applied like Argo CD does with the sync option ServerSideApply=true."""

import json
from typing import Any

import pytest

from cluster.clusters import Cluster
from cluster.programs import ProgramError
from support.operator_process import Operator
from support.training_jobs import GROUP, VERSION, TrainingJobs

pytestmark = pytest.mark.usefixtures("training_job_api")

SPEC: dict[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}}


def apply(cluster: Cluster, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Applies a TrainingJob with this spec; returns the stored spec."""
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "TrainingJob", "metadata": {"name": "pump"}, "spec": spec}
    options = ["--server-side", "--force-conflicts", "--field-manager=argocd-controller", "--output=json"]
    answer = cluster.run_kubectl("apply", f"--namespace={namespace}", *options, "--filename=-", stdin=json.dumps(body))
    stored: dict[str, Any] = json.loads(answer)["spec"]
    return stored


def test_a_field_that_is_removed_from_the_manifest_is_removed(cluster: Cluster, namespace: str) -> None:
    spec = {**SPEC, "model": {"type": "gru", "seed": 7}, "reuse": "Never", "runPolicy": {"suspend": True}}
    assert apply(cluster, namespace, spec) == spec
    assert apply(cluster, namespace, SPEC) == SPEC


# A block as another client writes it first, and as Git has it afterwards.
BLOCKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "runPolicy": ({"runPolicy": {"suspend": True}}, {"runPolicy": {"suspend": False}}),
    "data": ({"data": {"columns": {"Oil_P": "a"}}}, {"data": {"columns": {"Oil_P": "b"}}}),
    "gru": ({"model": {"gru": {"epochs": 1}}}, {"model": {"type": "gru", "gru": {"epochs": 2}}}),
    "artifacts": ({"artifacts": {"bucket": "aaa"}}, {"artifacts": {"bucket": "bbb"}}),
    "accelerator": ({"accelerator": {"policy": "Required"}}, {"accelerator": {"policy": "Disabled"}}),
    "resources": ({"resources": {"limits": {"cpu": 1}}}, {"resources": {"limits": {"cpu": 2}}}),
    "scheduling": ({"scheduling": {"queueName": "a"}}, {"scheduling": {"queueName": "b"}}),
    "gates": ({"gates": [{"metric": "r2", "min": 0}]}, {"gates": [{"metric": "r2", "min": 1}]}),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_that_others_wrote_too_is_gone_once_it_is_taken_out_of_git(
    cluster: Cluster, namespace: str, block: str
) -> None:
    by_others, by_git = BLOCKS[block]
    apply(cluster, namespace, SPEC)
    patch = json.dumps({"spec": by_others})
    cluster.run_kubectl("patch", "tj", "pump", f"--namespace={namespace}", "--type=merge", f"--patch={patch}")
    assert apply(cluster, namespace, SPEC | by_git) == SPEC | by_git
    assert apply(cluster, namespace, SPEC) == SPEC


@pytest.mark.needs("controllers")
def test_a_suspend_that_is_removed_from_the_manifest_ends(
    cluster: Cluster, operator: Operator, jobs: TrainingJobs, namespace: str
) -> None:
    operator.start()
    apply(cluster, namespace, {**SPEC, "runPolicy": {"suspend": True}})
    jobs.wait_phase("Suspended")
    apply(cluster, namespace, SPEC)
    jobs.succeed(jobs.running())


def test_a_misspelled_field_is_rejected_by_name(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ProgramError) as refused:
        apply(cluster, namespace, {**SPEC, "model": {"type": "gru", "gru": {"epoch": 5}}})
    assert ".spec.model.gru.epoch: field not declared in schema" in refused.value.said
