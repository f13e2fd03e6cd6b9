"""What the API server rejects in a TrainingJob, with which message, and what it accepts, prints and selects."""

import copy
import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from kubernetes.client import ApiException, CustomObjectsApi

from cluster.clusters import Cluster
from support.api_schema import specs
from trainingjob_api.hashing import spec_hash
from trainingjob_trainer.documents.training_job import load_training_job
from trainingjob_trainer.errors import TrainingError

pytestmark = pytest.mark.usefixtures("training_job_api")

RESOURCE = ("training.pumphealth.io", "v1alpha1")
GRU: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}}
XGB: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "xgb"}}


@pytest.fixture(scope="module")
def objects(cluster: Cluster) -> CustomObjectsApi:
    return CustomObjectsApi(cluster.client())


def training_job(spec: Mapping[str, Any], name: str = "example") -> dict[str, Any]:
    return {
        "apiVersion": "/".join(RESOURCE),
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": copy.deepcopy(dict(spec)),
    }


def refusal(act: Callable[[], object]) -> str | None:
    """What the API server says against it; None when it has nothing against it."""
    try:
        act()
    except ApiException as error:
        if error.status not in (400, 422):
            raise
        return str(json.loads(error.body)["message"])
    return None


def tried(objects: CustomObjectsApi, spec: Mapping[str, Any], name: str = "example") -> str | None:
    """What the API server says against creating it; it is not created."""
    body = training_job(spec, name)
    return refusal(
        lambda: objects.create_namespaced_custom_object(
            *RESOURCE, "default", "trainingjobs", body, dry_run="All", field_validation="Strict"
        )
    )


def trainer_refusal(spec: Mapping[str, Any]) -> str | None:
    """What the trainer says against a file with the spec; None when it has nothing against it."""
    try:
        load_training_job(json.dumps(training_job(spec)))
    except TrainingError as error:
        return error.message
    return None


# What is written instead of a plain gru or xgb spec, and what the refusal must say: the field and what it must be.
INVALID = {
    "no machine": ("model: {type: gru}", ["spec.machine", "Required"]),
    "no model": ("machine: M", ["spec.model", "Required"]),
    "no type": ("machine: M\nmodel: {seed: 1}", ["spec.model.type", "Required"]),
    "an unknown type": ("machine: M\nmodel: {type: lstm}", ["spec.model.type", '"gru", "xgb"']),
    "a machine with a blank": ("machine: PUMP 7\nmodel: {type: gru}", ["spec.machine", "should match"]),
    "a machine of 64 characters": (f"machine: {'M' * 64}\nmodel: {{type: gru}}", ["spec.machine", "63"]),
    "a machine that hides weights": (
        "machine: my_weights_1\nmodel: {type: gru}",
        ['spec.machine must contain neither "weights" nor ".h5"'],
    ),
    "a machine that hides .h5": (
        "machine: pump.h5x\nmodel: {type: gru}",
        ['spec.machine must contain neither "weights" nor ".h5"'],
    ),
    "xgb beside gru": (
        "machine: M\nmodel: {type: gru, xgb: {folds: 3}}",
        ["spec.model.xgb must not be set when spec.model.type is gru"],
    ),
    "gru beside xgb": (
        "machine: M\nmodel: {type: xgb, gru: {epochs: 3}}",
        ["spec.model.gru must not be set when spec.model.type is xgb"],
    ),
    "an unknown field": ("machine: M\nmodel: {type: gru}\nimage: evil", ['unknown field "spec.image"']),
    "a text for a number": (
        'machine: M\nmodel: {type: gru, gru: {epochs: "100"}}',
        ["spec.model.gru.epochs", "integer"],
    ),
    "no epochs": ("machine: M\nmodel: {type: gru, gru: {epochs: 0}}", ["spec.model.gru.epochs", "greater than"]),
    "three layers": ("machine: M\nmodel: {type: gru, gru: {units: [8, 8, 8]}}", ["spec.model.gru.units", "2 items"]),
    "a dropout of everything": (
        "machine: M\nmodel: {type: gru, gru: {dropout: 1}}",
        ["spec.model.gru.dropout", "less than 1"],
    ),
    "the target as a feature": (
        "machine: M\nmodel: {type: gru, gru: {output: Direct, features: [health_score]}}",
        ["spec.model.gru.features must name sensors"],
    ),
    "a feature twice": (
        "machine: M\nmodel: {type: gru, gru: {output: Direct, features: [Oil_P, Oil_P]}}",
        ["spec.model.gru.features must not repeat a value"],
    ),
    "features without the indicators that Residual adds to": (
        "machine: M\nmodel: {type: gru, gru: {features: [Oil_P, Eng_RPM]}}",
        ["spec.model.gru.features must hold Oil_P, Oil_L, Recalque and Succao"],
    ),
    "a health range of no indicator": (
        "machine: M\nmodel: {type: gru, gru: {healthRanges: {Eng_RPM: {min: 0, max: 1}}}}",
        ["spec.model.gru.healthRanges must name Oil_P, Oil_L, Recalque or Succao"],
    ),
    "an empty health range": (
        "machine: M\nmodel: {type: gru, gru: {healthRanges: {Oil_P: {min: 5, max: 5}}}}",
        ["spec.model.gru.healthRanges[Oil_P]", "min must be below max"],
    ),
    "an RPM rise as a drop": (
        "machine: M\nmodel: {type: xgb, xgb: {rpmDropPercent: 70}}",
        ["spec.model.xgb.rpmDropPercent", "-1"],
    ),
    "one fold": ("machine: M\nmodel: {type: xgb, xgb: {folds: 1}}", ["spec.model.xgb.folds", "2"]),
    "nothing to search": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {maxDepth: []}}}",
        ["spec.model.xgb.search.maxDepth", "at least 1"],
    ),
    "a depth twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {maxDepth: [4, 4]}}}",
        ["spec.model.xgb.search.maxDepth must not repeat a value"],
    ),
    "a number of trees twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {nEstimators: [100, 100]}}}",
        ["spec.model.xgb.search.nEstimators must not repeat a value"],
    ),
    "a rate twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {learningRate: [0.1, 0.10]}}}",
        ["spec.model.xgb.search.learningRate must not repeat a value"],
    ),
    "a share twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {subsample: [1, 1.0]}}}",
        ["spec.model.xgb.search.subsample must not repeat a value"],
    ),
    "an endless search": (
        f"machine: M\nmodel: {{type: xgb, xgb: {{search: {{nEstimators: {list(range(1, 17))},"
        f" maxDepth: {list(range(1, 17))}}}}}}}",
        ["spec.model.xgb.search must have at most 512 settings"],
    ),
    "an unknown scoring": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {scoring: f1}}}",
        ["spec.model.xgb.search.scoring", "recall"],
    ),
    "a date in words": (
        "machine: M\nmodel: {type: gru}\ndata: {startDate: 1 May 2025}",
        ["spec.data.startDate", "should match"],
    ),
    "a date that does not exist": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-02-30"}',
        ["spec.data.startDate must be a date that exists"],
    ),
    "a thirteenth month": (
        'machine: M\nmodel: {type: gru}\ndata: {endDate: "2025-13-02T00:00:00Z"}',
        ["spec.data.endDate must be a date that exists"],
    ),
    "an end before the start": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-03-02", endDate: "2025-03-01"}',
        ["spec.data.startDate must be before spec.data.endDate"],
    ),
    "an empty window": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-03-02", endDate: "2025-03-02T00:00:00Z"}',
        ["spec.data.startDate must be before spec.data.endDate"],
    ),
    "dates and a lookback": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-03-02", lookbackDays: 3}',
        ["spec.data.lookbackDays must not be set beside startDate or endDate"],
    ),
    "a lookback of nothing": (
        "machine: M\nmodel: {type: gru}\ndata: {lookbackDays: 0}",
        ["spec.data.lookbackDays", "greater than"],
    ),
    "SQL as a table": (
        'machine: M\nmodel: {type: gru}\ndata: {table: "rows; drop table models"}',
        ["spec.data.table", "should match"],
    ),
    "a rename of the timestamp": (
        "machine: M\nmodel: {type: gru}\ndata: {columns: {timestamp: time}}",
        ["spec.data.columns must name columns", "none of id, timestamp and motor_pump"],
    ),
    "a quoted column": (
        "machine: M\nmodel: {type: gru}\ndata: {columns: {Recalque: 'a\"b'}}",
        ["spec.data.columns.Recalque", "should match"],
    ),
    "limits without an end": (
        "machine: M\nmodel: {type: gru}\ndata: {limits: {Oil_P: {}}}",
        ["spec.data.limits[Oil_P]", "min or max must be set"],
    ),
    "limits the wrong way round": (
        "machine: M\nmodel: {type: gru}\ndata: {limits: {Oil_P: {min: 2, max: 1}}}",
        ["spec.data.limits[Oil_P]", "min must be below max"],
    ),
    "limits of the timestamp": (
        "machine: M\nmodel: {type: gru}\ndata: {limits: {timestamp: {min: 0}}}",
        ["spec.data.limits must name columns", "none of id, timestamp and motor_pump"],
    ),
    "nothing left to train on": (
        "machine: M\nmodel: {type: gru}\ndata: {testFraction: 1}",
        ["spec.data.testFraction", "less than 1"],
    ),
    "a bucket in capitals": (
        "machine: M\nmodel: {type: gru}\nartifacts: {bucket: Models}",
        ["spec.artifacts.bucket", "should match"],
    ),
    "a gate of another model type": (
        "machine: M\nmodel: {type: xgb}\ngates: [{metric: skill, min: 0}]",
        ["spec.gates", "must name metrics of an xgb model: auc_score"],
    ),
    "a gate on an unknown metric": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: beauty, min: 0}]",
        ["spec.gates", "must name metrics of a gru model: mae"],
    ),
    "a gate that says nothing": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: skill}]",
        ["spec.gates[0]", "min or max must be set"],
    ),
    "a gate that nothing passes": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: skill, min: 1, max: 0}]",
        ["spec.gates[0]", "min must not be above max"],
    ),
    "two gates on one metric": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: r2, min: 0}, {metric: r2, max: 1}]",
        ["spec.gates must name each metric once"],
    ),
    "an unknown policy": (
        "machine: M\nmodel: {type: gru}\naccelerator: {policy: Maybe}",
        ["spec.accelerator.policy", "Preferred"],
    ),
    "an accelerator without a domain": (
        "machine: M\nmodel: {type: gru}\naccelerator: {resourceName: gpu}",
        ["spec.accelerator.resourceName", "should match"],
    ),
    "a node selector that is no label": (
        "machine: M\nmodel: {type: gru}\nscheduling: {nodeSelector: {'a b': c}}",
        ["spec.scheduling.nodeSelector must have label names as keys"],
    ),
    "a node selector of the accelerator that is no label": (
        "machine: M\nmodel: {type: gru}\naccelerator: {nodeSelector: {'/': c}}",
        ["spec.accelerator.nodeSelector must have label names as keys"],
    ),
    "a toleration of nothing": (
        "machine: M\nmodel: {type: gru}\nscheduling: {tolerations: [{effect: NoSchedule}]}",
        ["spec.scheduling.tolerations[0]", "must have a key unless its operator is Exists"],
    ),
    "a toleration with a value for Exists": (
        "machine: M\nmodel: {type: gru}\naccelerator: {tolerations: [{key: a, operator: Exists, value: b}]}",
        ["spec.accelerator.tolerations[0]", "must not have a value when its operator is Exists"],
    ),
    "a toleration for a time of what only keeps away": (
        "machine: M\nmodel: {type: gru}\n"
        "scheduling: {tolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 1}]}",
        ["spec.scheduling.tolerations[0]", "must have the effect NoExecute"],
    ),
    "a GPU among the resources": (
        "machine: M\nmodel: {type: gru}\nresources: {limits: {nvidia.com/gpu: 1}}",
        ['unknown field "spec.resources.limits.nvidia.com/gpu"'],
    ),
    "an amount that is none": (
        "machine: M\nmodel: {type: gru}\nresources: {limits: {memory: lots}}",
        ["spec.resources.limits.memory", "should match"],
    ),
    "a request above the limit": (
        "machine: M\nmodel: {type: gru}\nresources: {requests: {memory: 5Gi}, limits: {memory: 4G}}",
        ["spec.resources.requests.memory must not be above spec.resources.limits.memory"],
    ),
    "more CPUs than the limit": (
        "machine: M\nmodel: {type: gru}\nresources: {requests: {cpu: 2}, limits: {cpu: 1500m}}",
        ["spec.resources.requests.cpu must not be above spec.resources.limits.cpu"],
    ),
    "more disk than the limit": (
        "machine: M\nmodel: {type: gru}\n"
        "resources: {requests: {ephemeral-storage: 2Gi}, limits: {ephemeral-storage: 1Gi}}",
        ["spec.resources.requests.ephemeral-storage must not be above"],
    ),
    "an endless backoff": (
        "machine: M\nmodel: {type: gru}\nrunPolicy: {backoffLimit: 1000}",
        ["spec.runPolicy.backoffLimit", "20"],
    ),
    "no time at all": (
        "machine: M\nmodel: {type: gru}\nrunPolicy: {activeDeadlineSeconds: 0}",
        ["spec.runPolicy.activeDeadlineSeconds", "greater than"],
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_it_refuses_and_names_the_field(objects: CustomObjectsApi, case: str) -> None:
    text, words = INVALID[case]
    told = tried(objects, yaml.safe_load(text))
    assert told is not None, "the API server accepted it"
    assert [word for word in words if word not in told] == [], told


@pytest.mark.parametrize("case", INVALID)
def test_the_trainer_refuses_the_same(case: str) -> None:
    assert trainer_refusal(yaml.safe_load(INVALID[case][0])) is not None


@pytest.mark.parametrize("name", ["pump.7", "p" * 64])
def test_it_refuses_a_name_that_could_not_label_a_pod(objects: CustomObjectsApi, name: str) -> None:
    assert "metadata.name must be a DNS label" in (tried(objects, GRU, name) or "accepted")


VALID = {
    "nothing but what is needed": "machine: MOTOBOMBA-007\nmodel: {type: gru}",
    "a whole gru": """
        machine: ITU-415
        model:
          type: gru
          gru:
            sequenceLength: 60
            units: [64, 32]
            dropout: 0.2
            epochs: 100
            stepsPerEpoch: 500
            batchSize: 32
            learningRate: 1.0e-3
            validationFraction: 0.1
            earlyStoppingPatience: 15
            reduceLROnPlateauPatience: 5
            features: [Oil_P, Oil_L, Recalque, Succao, Eng_RPM]
            missingIndicators: Neutral
            healthRanges: {Oil_P: {min: 0, max: 700}}
            output: Residual
          seed: 0
        data:
          startDate: "2025-01-01"
          endDate: "2025-08-31"
          table: telemetry.processed_data
          columns: {Recalque: FlexAnalogue4_1, Succao: "Suction Pressure"}
          limits: {Oil_P: {min: 0, max: 1500}, Cool_T: {max: 150}}
          maxGapSeconds: 600
          minRows: 500
          testFraction: 0.25
          databaseSecretName: telemetry-database
        artifacts: {bucket: models-eu, secretName: store}
        gates: [{metric: skill, min: 0.0}, {metric: rmse, max: 0.05}]
        reuse: Never
        accelerator:
          policy: Preferred
          resourceName: nvidia.com/mig-1g.10gb
          fallbackAfterSeconds: 60
          nodeSelector: {gpu: a100}
          tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
          runtimeClassName: nvidia
        resources: {requests: {cpu: 2, memory: 4Gi, ephemeral-storage: 1Gi}, limits: {cpu: "2.5", memory: 4Gi}}
        scheduling:
          nodeSelector: {topology.kubernetes.io/zone: eu-1, empty: ""}
          tolerations: [{operator: Exists, effect: NoExecute, tolerationSeconds: 60}]
          priorityClassName: night
          queueName: training
        runPolicy:
          suspend: true
          backoffLimit: 0
          activeDeadlineSeconds: 3600
          schedulingTimeoutSeconds: 600
          stallTimeoutSeconds: 600
          jobTTLSecondsAfterFinished: 0
        """,
    "a whole xgb": """
        machine: P
        model:
          type: xgb
          xgb:
            preFailureWindowMinutes: 30
            rpmDropPercent: -70.5
            search:
              nEstimators: [100, 200]
              maxDepth: [4, 6, 8]
              learningRate: [0.05, 0.1, 0.2]
              subsample: [0.8, 1.0]
              scoring: average_precision
            folds: 3
            targetRecall: 0.8
        data: {lookbackDays: 90}
        gates: [{metric: auc_score, min: 0.7}]
        """,
    "fields that are written but empty": """
        machine: P
        model: {type: gru, gru: {stepsPerEpoch: , epochs: 3}, seed: }
        data: {startDate: , lookbackDays: 3}
        gates:
        accelerator:
        """,
    "one whole day": "machine: P\nmodel: {type: xgb}\ndata: {startDate: '2024-02-29', endDate: '2024-02-29'}",
    "features of any kind for Direct": "machine: P\nmodel: {type: gru, gru: {output: Direct, features: [Bat_V]}}",
    "features without indicators that may be missing": (
        "machine: P\nmodel: {type: gru, gru: {missingIndicators: Neutral, features: [Oil_P, Eng_RPM]}}"
    ),
}


@pytest.mark.parametrize("case", VALID)
def test_it_accepts(cluster: Cluster, case: str) -> None:
    text = yaml.safe_dump(training_job(yaml.safe_load(VALID[case])))
    printed = cluster.run_kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=text)
    assert load_training_job(text).spec_hash == spec_hash(json.loads(printed)["spec"])


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(specs())
def test_api_server_and_trainer_accept_the_same(objects: CustomObjectsApi, spec: dict[str, Any]) -> None:
    assert (tried(objects, spec) is None) == (trainer_refusal(spec) is None), trainer_refusal(spec)


@pytest.fixture
def stored(objects: CustomObjectsApi, namespace: str) -> dict[str, Any]:
    """A TrainingJob that the API server keeps."""
    body = training_job(GRU)
    created: dict[str, Any] = objects.create_namespaced_custom_object(*RESOURCE, namespace, "trainingjobs", body)
    return created


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
        lambda: objects.patch_namespaced_custom_object(*RESOURCE, namespace, "trainingjobs", name, {"spec": change})
    )
    assert (told is None) if words is None else (words in (told or ""))


def test_a_spec_is_stored_as_it_was_written(stored: dict[str, Any]) -> None:
    assert stored["spec"] == GRU


def test_kubectl_explains_a_default(cluster: Cluster) -> None:
    for path, default in [("reuse", "Equal"), ("runPolicy.suspend", "false"), ("data.table", "processed_data")]:
        explained = cluster.run_kubectl("explain", f"tj.spec.{path}")
        assert f"Default {default}." in " ".join(explained.split())


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
def running(objects: CustomObjectsApi, namespace: str, stored: dict[str, Any]) -> dict[str, Any]:
    """A TrainingJob with a status."""
    patched: dict[str, Any] = objects.patch_namespaced_custom_object_status(
        *RESOURCE, namespace, "trainingjobs", stored["metadata"]["name"], {"status": STATUS}
    )
    return patched


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
    listed = objects.list_namespaced_custom_object(*RESOURCE, namespace, "trainingjobs", field_selector=selector)
    assert bool(listed["items"]) is found


def test_spec_and_status_are_written_apart(objects: CustomObjectsApi, namespace: str, running: dict[str, Any]) -> None:
    name = running["metadata"]["name"]
    both = {"spec": {"model": {"seed": 1}}, "status": {"phase": "Failed"}}
    by_user = objects.patch_namespaced_custom_object(*RESOURCE, namespace, "trainingjobs", name, both)
    assert (by_user["spec"]["model"]["seed"], by_user["status"]["phase"]) == (1, "Running")
    both["spec"] = {"model": {"seed": 2}}
    by_operator = objects.patch_namespaced_custom_object_status(*RESOURCE, namespace, "trainingjobs", name, both)
    assert (by_operator["spec"]["model"]["seed"], by_operator["status"]["phase"]) == (1, "Failed")


def test_applying_again_what_was_applied_changes_nothing(cluster: Cluster, namespace: str) -> None:
    text = yaml.safe_dump(training_job(yaml.safe_load(VALID["a whole gru"])))
    cluster.run_kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=text)
    assert "unchanged" in cluster.run_kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=text)
    subprocess.run(
        [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", "diff", f"--namespace={namespace}", "--filename=-"],
        input=text,
        check=True,  # exit code 1 is a difference
        text=True,
    )
