"""The input of the trainer: the JSON of the operator, and the YAML of a TrainingJob."""

import contextlib
import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.training_job_documents import RIGHT, WRONG
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.hashing import spec_hash
from trainingjob_api.values import PATTERN_RULES
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.job import build_job
from trainingjob_operator.core.parent import TrainingJob
from trainingjob_trainer.documents.manifest import TrainingJobManifest
from trainingjob_trainer.documents.training_job import load_training_job, read_training_run
from trainingjob_trainer.documents.yaml_documents import decode_yaml
from trainingjob_trainer.errors import TrainingError

NOW = datetime(2025, 9, 15, 12, tzinfo=UTC)
YAML = """
apiVersion: training.pumphealth.io/v1alpha1
kind: TrainingJob
metadata: {name: example, namespace: models, labels: {site: north}}
spec:
  machine: MOTOBOMBA-007
  model:
    type: gru
    gru: {learningRate: 1e-3, units: [64, 32], healthRanges: {Oil_P: {min: 0, max: 700}}}
  data: {startDate: 2025-01-01, endDate: 2025-08-31T12:00:00Z}
  gates: [{metric: skill, min: 0}]
"""
CLAIM = {
    "run": 3,
    "attempt": 2,
    "trigger": "RetrainRequested",
    "jobName": "example-0a1b2c3d-3-2",
    "data": {"start": "2025-01-01T00:00:00Z", "end": "2025-09-01T00:00:00Z"},
    "device": {"requested": "Preferred", "resourceName": "nvidia.com/gpu"},
}


def handed_over(spec: dict[str, Any], claim: dict[str, Any]) -> str:
    """The value of TRAINING_JOB in the Job that the operator builds."""
    metadata = {
        "name": "example",
        "namespace": "models",
        "uid": "0a1b2c3d-0000",
        "resourceVersion": "1",
        "creationTimestamp": "2025-09-01T00:00:00Z",
    }
    status = {**claim, "specHash": spec_hash(spec)}
    settings = {"TRAINER_IMAGE_CPU": "cpu", "TRAINER_IMAGES_ACCELERATOR": '{"nvidia.com/gpu": "gpu"}'}
    trainingjob = TrainingJob.parse({"metadata": metadata, "spec": spec, "status": status})
    (container,) = build_job(trainingjob, Configuration.read(settings))["spec"]["template"]["spec"]["containers"]
    (value,) = [variable["value"] for variable in container["env"] if variable["name"] == "TRAINING_JOB"]
    return str(value)


def test_the_trainer_reads_what_the_operator_hands_over() -> None:
    spec = {"machine": "MOTOBOMBA-007", "model": {"type": "xgb", "seed": 42}, "data": {"minRows": 1000}}
    run = read_training_run(handed_over(spec, CLAIM))
    assert (run.namespace, run.name, run.uid, run.run, run.attempt) == ("models", "example", "0a1b2c3d-0000", 3, 2)
    assert run.window.start == datetime(2025, 1, 1, tzinfo=UTC)
    assert run.window.end == datetime(2025, 9, 1, tzinfo=UTC)
    assert (run.accelerator, run.accelerator_policy, run.adopt) == ("nvidia.com/gpu", "Preferred", False)
    assert run.spec.model.xgb.search.max_depth == (4, 6, 8)
    assert run.spec_hash == spec_hash(spec)


def test_a_window_without_start_and_an_attempt_on_the_cpu_are_read() -> None:
    claim = CLAIM | {"trigger": "Created", "data": {"end": "2025-09-01T00:00:00Z"}, "device": {"requested": "Disabled"}}
    run = read_training_run(handed_over({"machine": "M", "model": {"type": "gru"}}, claim))
    assert (run.window.start, run.accelerator, run.adopt) == (None, None, True)


def test_yaml_is_read_as_the_api_server_reads_it() -> None:
    run = load_training_job(YAML, NOW)
    assert (run.namespace, run.name, run.run, run.attempt, run.adopt) == ("models", "example", 1, 1, True)
    assert run.spec.model.gru.learning_rate == 0.001
    assert run.spec.data.start_date == "2025-01-01"
    assert run.window.end == datetime(2025, 8, 31, 12, tzinfo=UTC)
    assert run.accelerator_policy == "Preferred"
    quoted = json.loads(run.spec.model_dump_json(by_alias=True, exclude_unset=True))
    assert run.spec_hash == spec_hash(quoted)


def test_each_reading_of_a_file_is_another_object() -> None:
    assert load_training_job(YAML, NOW).uid != load_training_job(YAML, NOW).uid


def test_other_objects_beside_the_training_job_are_passed_over() -> None:
    service_account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other}\n"
    assert load_training_job(f"{service_account}---\n{YAML}---\n", NOW).name == "example"


@pytest.mark.parametrize("case", RIGHT)
def test_it_takes_what_the_api_server_takes(case: str) -> None:
    assert load_training_job(RIGHT[case], NOW).run == 1


@pytest.mark.parametrize("case", WRONG)
def test_it_refuses_what_the_api_server_refuses_and_says_what_to_write_instead(case: str) -> None:
    text, told = WRONG[case]
    with pytest.raises(TrainingError) as refused:
        load_training_job(text, NOW)
    assert (refused.value.reason, refused.value.exit_code) == ("InvalidConfiguration", ExitCode.CONFIGURATION)
    assert told in refused.value.message
    assert len(refused.value.message.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{YAML}---{YAML}", "it has 2 (its documents are training.pumphealth.io/v1alpha1 TrainingJob, training"),
        ("apiVersion: apps/v1\nkind: Deployment\n", "it has 0 (its documents are apps/v1 Deployment)"),
        (f"{YAML}---\n- a\n", "document 2 must be a mapping"),
        (YAML.replace("machine: MOTOBOMBA-007", "machine: my.h5"), "spec.machine: must not contain '.h5'"),
        (YAML.replace("2025-01-01", "2025-02-30"), "spec.data.startDate: must be a date that exists"),
        (YAML.replace("2025-01-01", "2025-10-01"), "startDate must be before endDate"),
        (YAML.replace("metric: skill", "metric: auc_score"), "a gru model has no metric 'auc_score'"),
        ("a: &a [*a]", "refers to itself"),
        ("[" * 5000, "nested too deeply"),
        (r'a: "\UFFFFFFFF"', "not YAML"),
        ("a: !!binary TQ==", "line 1: not YAML"),
        ("a: !!int five", "line 1: not YAML: 'five' is not a number"),
        ("a: !!bool five", "line 1: not YAML: 'five' is not a boolean"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(TrainingError) as refused:
        load_training_job(text, NOW)
    assert told in refused.value.message


def test_every_error_is_reported_once_on_its_own_line() -> None:
    text = YAML.replace("name: example", "name: 415").replace("units: [64, 32]", "units: [64, x, ~], unit: 1")
    with pytest.raises(TrainingError) as refused:
        load_training_job(text.replace("spec:", "spec:\n  resources: {limits: {cpu: lots}}"), NOW)
    assert [line.partition(": ")[0] for line in refused.value.message.splitlines()] == [
        "metadata.name",
        "spec.model.gru.units[1]",
        "spec.model.gru.units[2]",
        "spec.model.gru.unit",
        "spec.resources.limits.cpu",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (YAML.encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        (YAML.encode("utf-16-le"), "is UTF-16 text: save it as UTF-8"),
        (
            YAML.replace("north", "sertão").encode("latin-1"),
            "line 4: byte 0xe3 is not UTF-8; the file seems to be Latin-1",
        ),
        (gzip.compress(YAML.encode()), "is compressed by gzip"),
    ],
)
def test_another_encoding_is_named(content: bytes, told: str) -> None:
    with pytest.raises(TrainingError) as refused:
        decode_yaml(content)
    assert refused.value.reason == "InvalidConfiguration"
    assert told in refused.value.message


def test_a_utf_8_byte_order_mark_is_ignored() -> None:
    assert load_training_job(decode_yaml(YAML.encode("utf-8-sig")), NOW).name == "example"


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=100),
        st.text(st.sampled_from("ab:1.0-_eEnyx~ \n\t[]{},!&*<>|'\"\\#%@`"), max_size=80).map(str.encode),
        st.sampled_from(sorted(WRONG)).flatmap(
            lambda case: st.integers(0, len(WRONG[case][0])).map(lambda end: WRONG[case][0][:end].encode())
        ),
    )
)
def test_any_content_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(TrainingError):
        load_training_job(decode_yaml(content), NOW)


def test_every_pattern_of_the_api_has_a_description() -> None:
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(TrainingJobManifest.model_json_schema())))
    assert {json.loads(pattern) for pattern in patterns} <= set(PATTERN_RULES)
    assert len(patterns) > 10


def test_an_invalid_training_job_variable_names_the_field() -> None:
    broken = json.loads(handed_over({"machine": "M", "model": {"type": "gru"}}, CLAIM)) | {"attempt": 0}
    with pytest.raises(TrainingError, match=r"TRAINING_JOB.*attempt"):
        read_training_run(json.dumps(broken))
