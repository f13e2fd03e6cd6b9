"""A spec of a newer or older version of the CRD: the operator passes unknown fields on unchanged."""

import json
from typing import Any

import pytest

from support.operator_objects import World
from trainingjob_api.hashing import spec_hash

# The models of this version refuse each of these specs.
OTHER_VERSIONS: dict[str, dict[str, Any]] = {
    "a field": {"priority": {"class": "night"}},
    "a field of a block": {"model": {"type": "gru", "gru": {"layers": 3, "epochs": 7}}},
    "a model type": {"model": {"type": "lstm", "lstm": {"layers": 3}}},
    "an accelerator policy": {"accelerator": {"policy": "Opportunistic", "count": 2}},
    "a value of reuse": {"reuse": "Similar"},
    "a value out of bounds": {"data": {"minRows": 1, "testFraction": 1.5, "format": "parquet"}},
    "a limit of a run": {"runPolicy": {"backoffLimit": 99, "maxRuns": 3}},
    "a gate": {"gates": [{"metric": "mape", "below": 3}]},
    "a toleration": {"scheduling": {"tolerations": [{"key": "a", "operator": "Gt", "value": "3"}]}},
}


@pytest.mark.parametrize("spec", OTHER_VERSIONS.values(), ids=OTHER_VERSIONS)
def test_a_spec_of_another_version_is_passed_to_the_trainer_unchanged(spec: dict[str, Any]) -> None:
    world = World(**spec).start()
    (container,) = world.job["spec"]["template"]["spec"]["containers"]
    (text,) = [variable["value"] for variable in container["env"] if variable["name"] == "TRAINING_JOB"]
    assert json.loads(text)["spec"] == world.raw["spec"]
    assert world.status["specHash"] == spec_hash(world.raw["spec"])
    assert world.condition("Succeeded") == ("Unknown", "Training")
    world.end_pod(0, world.report("Succeeded")).end_job("Complete").settle()
    assert world.condition("Succeeded") == ("True", "Completed")


def test_an_unknown_field_of_the_model_is_part_of_the_hash() -> None:
    known = {"machine": "M-1", "model": {"type": "gru"}}
    newer = {"machine": "M-1", "model": {"type": "gru", "gru": {"layers": 3}}}
    assert spec_hash(newer) != spec_hash(known)
