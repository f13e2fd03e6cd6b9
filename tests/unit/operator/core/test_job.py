"""The Job of an attempt."""

import json
from typing import Any

import pytest
from kubernetes_validate import validate

from support.operator_objects import CONFIGURATION, World
from support.simulated_objects import UID
from trainingjob_api.training_run import TrainingRun
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.job import job_name


def job_of(configuration: Configuration = CONFIGURATION, **spec: Any) -> dict[str, Any]:
    return World(configuration, **spec).settle().job


def pod_of(configuration: Configuration = CONFIGURATION, **spec: Any) -> dict[str, Any]:
    pod: dict[str, Any] = job_of(configuration, **spec)["spec"]["template"]["spec"]
    return pod


def configured(**environment: str) -> Configuration:
    return Configuration.read({"TRAINER_IMAGE_CPU": "trainer:cpu", **environment})


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    return {
        entry["name"]: entry.get("value") or entry["valueFrom"]["secretKeyRef"] for entry in pod["containers"][0]["env"]
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {
            "accelerator": {
                "policy": "Required",
                "nodeSelector": {"gpu": "yes"},
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "runtimeClassName": "nvidia",
            },
            "scheduling": {
                "nodeSelector": {"zone": "a"},
                "tolerations": [{"key": "b", "operator": "Exists"}],
                "priorityClassName": "high",
                "queueName": "team",
            },
            "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": 2, "memory": "4Gi"}},
        },
    ],
)
def test_the_job_is_valid_by_the_strict_schema_of_kubernetes(spec: dict[str, Any]) -> None:
    job = job_of(
        configured(
            TRAINER_IMAGES_ACCELERATOR='{"nvidia.com/gpu": "trainer:gpu"}',
            IMAGE_PULL_SECRETS="one, two",
            TRAINER_POD_LABELS='{"team": "pumps"}',
            TRAINER_POD_ANNOTATIONS='{"note": "x"}',
            TRAINER_CACHE_VOLUME='{"persistentVolumeClaim": {"claimName": "trainer-cache"}}',
        ),
        **spec,
    )
    job["metadata"] = {k: v for k, v in job["metadata"].items() if k not in {"resourceVersion", "uid"}}
    validate({k: v for k, v in job.items() if k != "status"}, "1.36", strict=True)


def test_the_trainer_can_read_its_training_run() -> None:
    world = World(data={"startDate": "2025-01-01", "endDate": "2025-08-31"}).settle()
    text = variables(world.job["spec"]["template"]["spec"])["TRAINING_JOB"]
    run = TrainingRun.model_validate_json(text)
    assert (run.name, run.uid, run.run, run.attempt, run.adopt) == ("pump", UID, 1, 1, True)
    assert run.spec_hash == world.status["specHash"]
    assert json.loads(text)["window"] == {"start": "2025-01-01T00:00:00Z", "end": "2025-09-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("reuse", "annotated", "adopt"), [("Equal", False, True), ("Never", False, False), ("Equal", True, False)]
)
def test_a_run_adopts_unless_it_must_train_again(reuse: str, annotated: bool, adopt: bool) -> None:
    world = World(reuse=reuse)
    if annotated:
        world.request_retrain("now")
    world.settle()
    assert json.loads(variables(world.job["spec"]["template"]["spec"])["TRAINING_JOB"])["adopt"] is adopt


def test_secrets_reach_the_pod_by_reference_and_certificates_as_optional_files() -> None:
    pod = pod_of(data={"databaseSecretName": "my-database"}, artifacts={"secretName": "my-store"})
    told = variables(pod)
    assert told["PGPASSWORD"] == {"name": "my-database", "key": "password"}
    assert told["PGSSLMODE"] == {"name": "my-database", "key": "sslmode", "optional": True}
    assert told["S3_SECRET_KEY"] == {"name": "my-store", "key": "secretKey"}
    mounted = {volume["name"]: volume.get("secret", {}) for volume in pod["volumes"]}
    assert (mounted["database"]["secretName"], mounted["database"]["optional"]) == ("my-database", True)
    assert variables(pod_of())["PGHOST"]["name"] == "trainingjob-database"


def test_the_pod_has_no_token_no_privilege_and_a_read_only_root() -> None:
    pod = pod_of()
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_accelerator_settings_do_not_apply_on_the_cpu() -> None:
    block = {"nodeSelector": {"gpu": "yes"}, "tolerations": [{"key": "a"}], "runtimeClassName": "nvidia"}
    pod = pod_of(accelerator={"policy": "Disabled", **block})
    assert not {"nodeSelector", "tolerations", "runtimeClassName"} & pod.keys()
    pod = pod_of(accelerator={"policy": "Required", **block})
    assert (pod["nodeSelector"], pod["runtimeClassName"]) == ({"gpu": "yes"}, "nvidia")
    assert pod["tolerations"] == [{"key": "a"}, {"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["containers"][0]["image"] == "trainer:gpu"


@pytest.mark.parametrize(
    ("resources", "threads"),
    [
        ({"requests": {"cpu": "2"}}, "2"),
        ({"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}, "2"),
        ({"limits": {"cpu": 3}}, "3"),
        ({"limits": {"cpu": "100m"}}, "1"),
        ({"limits": {"cpu": "0.0005M"}}, "500"),
        ({"limits": {"memory": "1Gi"}}, None),
    ],
)
def test_the_trainer_starts_one_thread_per_cpu_of_its_limit(resources: dict[str, Any], threads: str | None) -> None:
    assert variables(pod_of(resources=resources)).get("TRAINER_THREADS") == threads


def test_a_configured_volume_is_the_cache_of_the_trainer() -> None:
    pod = pod_of(configured(TRAINER_CACHE_VOLUME='{"hostPath": {"path": "/var/cache/trainer"}}'))
    assert {"name": "cache", "hostPath": {"path": "/var/cache/trainer"}} in pod["volumes"]
    mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert variables(pod)["TRAINER_CACHE_DIR"] == mounted["cache"]
    assert "TRAINER_CACHE_DIR" not in variables(pod_of())
    assert "cache" not in {volume["name"] for volume in pod_of()["volumes"]}


def test_job_and_pod_inherit_no_label_of_the_trainingjob() -> None:
    world = World(scheduling={"queueName": "team"})
    world.raw["metadata"]["labels"] = {"argocd.argoproj.io/instance": "app"}
    world.settle()
    labels = world.job["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "trainingjob-operator"
    assert not any("argocd" in label for label in labels)
    assert all(len(value) <= 63 for value in labels.values())
    assert "kueue.x-k8s.io/queue-name" not in world.job["spec"]["template"]["metadata"]["labels"]
    (owner,) = world.job["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (UID, True)
    assert "blockOwnerDeletion" not in owner


def test_disruptions_are_ignored_before_any_rule_on_exit_codes() -> None:
    spec = job_of(runPolicy={"backoffLimit": 7, "activeDeadlineSeconds": 60})["spec"]
    ignore, final = spec["podFailurePolicy"]["rules"]
    assert (ignore["action"], ignore["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (final["action"], final["onExitCodes"]["values"]) == ("FailJob", [10, 11, 15, 16, 17, 18])
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["podReplacementPolicy"]) == (7, 60, "Failed")
    assert "suspend" not in spec


def test_the_job_name_is_a_dns_label_for_any_trainingjob() -> None:
    assert len(job_name("x" * 63, UID, 999_999, 99_999)) <= 63
    assert job_name("pump", UID, 3, 1) == "pump-1f0c9a3e-3-1"


def test_the_pod_disables_service_meshes_unless_its_annotations_are_configured() -> None:
    def annotations(**environment: str) -> dict[str, str]:
        metadata: dict[str, Any] = job_of(configured(**environment))["spec"]["template"]["metadata"]
        return metadata.get("annotations") or {}

    assert annotations() == {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}
    assert annotations(TRAINER_POD_ANNOTATIONS='{"note": "x"}') == {"note": "x"}
    assert annotations(TRAINER_POD_ANNOTATIONS="{}") == {}
