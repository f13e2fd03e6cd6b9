"""What API server and trainer refuse in a TrainingJob or TrainingFleet, with which message, and what they accept."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.client import CustomObjectsApi

from cluster.clusters import Cluster
from integration.operator.fleet_specs import INVALID_FLEETS, INVALID_ONLY_FOR_PROGRAMS, VALID_FLEETS
from integration.operator.invalid_specs import INVALID
from integration.operator.manifests import PLURALS, fleet_of, manifest, refusal
from integration.operator.valid_specs import GRU, VALID
from support.api_schema import specs
from support.training_jobs import GROUP, VERSION
from trainingjob_api.hashing import fleet_spec_hash, spec_hash
from trainingjob_api.names import FLEET_KIND, KIND
from trainingjob_trainer.documents.run_of_file import load_run
from trainingjob_trainer.errors import TrainingError

pytestmark = pytest.mark.usefixtures("training_job_api")

# A fleet refuses in its template what a TrainingJob refuses in its spec.
_OF_TEMPLATE = re.compile(r"\bspec\.(model|data|artifacts|gates)\b")
WRONG = {f"{KIND}: {case}": (KIND, yaml.safe_load(text), words) for case, (text, words) in INVALID.items()}
WRONG |= {
    f"{FLEET_KIND} with {case}": (
        FLEET_KIND,
        fleet_of(spec),
        [_OF_TEMPLATE.sub(r"spec.template.\1", word) for word in words],
    )
    for case, (text, words) in INVALID.items()
    if "machine" in (spec := yaml.safe_load(text))
    and not any("spec.machine" in word or "image" in word for word in words)
}
WRONG |= {
    f"{FLEET_KIND}: {case}": (FLEET_KIND, yaml.safe_load(text), words) for case, (text, words) in INVALID_FLEETS.items()
}
RIGHT = {f"{KIND}: {case}": (KIND, yaml.safe_load(text)) for case, text in VALID.items()}
RIGHT |= {f"{FLEET_KIND} with {case}": (FLEET_KIND, fleet_of(yaml.safe_load(text))) for case, text in VALID.items()}
RIGHT |= {f"{FLEET_KIND}: {case}": (FLEET_KIND, yaml.safe_load(text)) for case, text in VALID_FLEETS.items()}


def tried(objects: CustomObjectsApi, spec: Mapping[str, Any], name: str = "example", kind: str = KIND) -> str | None:
    """The message with which the API server refuses to create it; None if it accepts it. It is not created."""
    body = manifest(spec, name, kind)
    return refusal(
        lambda: objects.create_namespaced_custom_object(
            GROUP, VERSION, "default", PLURALS[kind], body, dry_run="All", field_validation="Strict"
        )
    )


def trainer_refusal(spec: Mapping[str, Any], kind: str) -> str | None:
    """The message with which the trainer refuses a file with the spec; None if it accepts it."""
    try:
        load_run(json.dumps(manifest(spec, kind=kind)))
    except TrainingError as error:
        return error.message
    return None


@pytest.mark.parametrize("case", WRONG)
def test_it_refuses_and_names_the_field(objects: CustomObjectsApi, case: str) -> None:
    kind, spec, words = WRONG[case]
    told = tried(objects, spec, kind=kind)
    assert told is not None, "the API server accepted it"
    assert [word for word in words if word not in told] == [], told


@pytest.mark.parametrize("case", WRONG)
def test_the_trainer_refuses_the_same(case: str) -> None:
    kind, spec, _ = WRONG[case]
    assert trainer_refusal(spec, kind) is not None


@pytest.mark.parametrize("case", INVALID_ONLY_FOR_PROGRAMS)
def test_the_trainer_refuses_a_schedule_that_only_a_program_can_check(case: str) -> None:
    text, words = INVALID_ONLY_FOR_PROGRAMS[case]
    assert words in (trainer_refusal(yaml.safe_load(text), FLEET_KIND) or "accepted")


@pytest.mark.parametrize("name", ["pump.7", "p" * 64])
@pytest.mark.parametrize(("kind", "spec"), [(KIND, GRU), (FLEET_KIND, fleet_of(GRU))])
def test_it_refuses_a_name_that_could_not_label_a_pod(
    objects: CustomObjectsApi, kind: str, spec: dict[str, Any], name: str
) -> None:
    assert "metadata.name must be a DNS label" in (tried(objects, spec, name, kind) or "accepted")


@pytest.mark.parametrize("case", RIGHT)
def test_it_accepts(cluster: Cluster, case: str) -> None:
    kind, spec = RIGHT[case]
    text = yaml.safe_dump(manifest(spec, kind=kind))
    printed = cluster.run_kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=text)
    hashed = {KIND: spec_hash, FLEET_KIND: fleet_spec_hash}[kind]
    assert load_run(text).spec_hash == hashed(json.loads(printed)["spec"])


@pytest.mark.parametrize("kind", PLURALS)
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_api_server_and_trainer_accept_the_same(objects: CustomObjectsApi, kind: str, data: st.DataObject) -> None:
    spec = data.draw(specs(kind))
    told = trainer_refusal(spec, kind)
    assert (tried(objects, spec, kind=kind) is None) == (told is None), told
