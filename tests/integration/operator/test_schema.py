"""What API server and trainer refuse in a TrainingJob, with which message, and what they accept."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from kubernetes.client import CustomObjectsApi

from cluster.clusters import Cluster
from integration.operator.invalid_specs import INVALID
from integration.operator.training_job_requests import refusal, training_job
from integration.operator.valid_specs import GRU, VALID
from support.api_schema import specs
from support.training_jobs import GROUP, PLURAL, VERSION
from trainingjob_api.hashing import spec_hash
from trainingjob_trainer.documents.training_job import load_training_job
from trainingjob_trainer.errors import TrainingError

pytestmark = pytest.mark.usefixtures("training_job_api")


def tried(objects: CustomObjectsApi, spec: Mapping[str, Any], name: str = "example") -> str | None:
    """The message with which the API server refuses to create it; None if it accepts it. It is not created."""
    body = training_job(spec, name)
    return refusal(
        lambda: objects.create_namespaced_custom_object(
            GROUP, VERSION, "default", PLURAL, body, dry_run="All", field_validation="Strict"
        )
    )


def trainer_refusal(spec: Mapping[str, Any]) -> str | None:
    """The message with which the trainer refuses a file with the spec; None if it accepts it."""
    try:
        load_training_job(json.dumps(training_job(spec)))
    except TrainingError as error:
        return error.message
    return None


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


@pytest.mark.parametrize("case", VALID)
def test_it_accepts(cluster: Cluster, case: str) -> None:
    text = yaml.safe_dump(training_job(yaml.safe_load(VALID[case])))
    printed = cluster.run_kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=text)
    assert load_training_job(text).spec_hash == spec_hash(json.loads(printed)["spec"])


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(specs())
def test_api_server_and_trainer_accept_the_same(objects: CustomObjectsApi, spec: dict[str, Any]) -> None:
    assert (tried(objects, spec) is None) == (trainer_refusal(spec) is None), trainer_refusal(spec)
