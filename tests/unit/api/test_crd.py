"""The models of the contract are equal to the CRDs, field by field."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from support.api_schema import Schema, nodes, root_schema, spec_schema
from trainingjob_api.defaults import DEFAULTS, FLEET_DEFAULTS, defaults_of
from trainingjob_api.fleet_run import MachineState
from trainingjob_api.fleet_spec import Schedule, TrainingFleetSpec
from trainingjob_api.metrics import gate_metrics
from trainingjob_api.names import FLEET_KIND, KIND
from trainingjob_api.progress import Stage
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.values import MAXIMUM_SEARCH_SETTINGS
from trainingjob_trainer.models.gru import schedule

CRD = {kind: {path: node for path, node in nodes(spec_schema(kind)) if path} for kind in (KIND, FLEET_KIND)}
CONSTRAINTS = ("minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "maxProperties")


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with references resolved, and without the null of absent fields in Python."""
    schema = dict(schema)
    if "$ref" in schema:
        return {**_resolved(definitions[schema["$ref"].rpartition("/")[2]], definitions), **_without_ref(schema)}
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        return {**_resolved(branches[0], definitions), **_without_ref(schema)}
    for branch in branches:
        schema |= {key: value for key, value in branch.items() if key in CONSTRAINTS}
    return schema


def _without_ref(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("$ref", "anyOf", "description")}


def _python_nodes(schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str = "") -> Iterator[Any]:
    schema = _resolved(schema, definitions)
    if path:
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _python_nodes(child, definitions, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from _python_nodes(schema["items"], definitions, f"{path}[]")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _python_nodes(schema["additionalProperties"], definitions, f"{path}{{}}")


def _python(model: type[BaseModel]) -> dict[str, Mapping[str, Any]]:
    schema = model.model_json_schema(by_alias=True)
    return dict(_python_nodes(schema, schema["$defs"]))


PYTHON = {KIND: _python(TrainingJobSpec), FLEET_KIND: _python(TrainingFleetSpec)}
of_each_kind = pytest.mark.parametrize("kind", CRD)


def _default(table: Mapping[str, Any], path: str) -> Any:
    value: Any = table
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@of_each_kind
def test_the_models_have_the_fields_of_the_crd_and_no_other(kind: str) -> None:
    assert set(PYTHON[kind]) == set(CRD[kind])


@of_each_kind
def test_the_models_bound_every_field_as_the_crd_does(kind: str) -> None:
    # The CRD limits the length of an enumeration only to reduce the cost of its rules.
    wanted = {path: _bounds(node, CONSTRAINTS if "enum" not in node else ()) for path, node in CRD[kind].items()}
    assert {path: _bounds(node, CONSTRAINTS) for path, node in PYTHON[kind].items()} == wanted


def _bounds(node: Mapping[str, Any], constraints: tuple[str, ...]) -> dict[str, Any]:
    bounds = {key: node[key] for key in (*constraints, "enum", "type") if key in node}
    for side in ("Minimum", "Maximum"):
        # OpenAPI 3.0 has a flag beside the bound, JSON Schema has the bound itself.
        exclusive = node.get(f"exclusive{side}", False)
        if exclusive is not False:
            bounds |= {f"exclusive{side}": True, side.lower(): node[side.lower()] if exclusive is True else exclusive}
    return bounds | {"required": sorted(node.get("required", ()))}


@of_each_kind
def test_the_crd_describes_every_default_and_no_other(kind: str) -> None:
    # The absence of a schedule is meaningful, so the defaults of its fields stand apart.
    defaults = {KIND: DEFAULTS, FLEET_KIND: {**FLEET_DEFAULTS, "schedule": defaults_of(Schedule)}}[kind]
    described = {
        path: yaml.safe_load(match[1])
        for path, node in CRD[kind].items()
        if (match := re.search(r"Default (.+?)\.(?= |$)", node["description"]))
    }
    values = {path: _default(defaults, path) for path, node in CRD[kind].items() if "properties" not in node}
    assert described == {path: value for path, value in values.items() if value not in (None, [], {})}


@pytest.mark.parametrize(("kind", "prefix"), [(KIND, ""), (FLEET_KIND, "template.")])
def test_the_rules_of_the_crd_name_the_metrics_that_a_gate_may_name(kind: str, prefix: str) -> None:
    parent = dict(nodes(spec_schema(kind)))[prefix.removesuffix(".")]
    rules = " ".join(rule["rule"] + rule["message"] for rule in parent["x-kubernetes-validations"])
    for metrics in (gate_metrics("gru"), gate_metrics("xgb")):
        assert str(list(metrics)) in rules
        assert ", ".join(metrics) in rules
        for metric in metrics:
            assert metric in CRD[kind][f"{prefix}gates[].metric"]["description"]


@pytest.mark.parametrize(("kind", "path"), [(KIND, "model.xgb.search"), (FLEET_KIND, "template.model.xgb.search")])
def test_the_rules_of_the_crd_bound_the_search_as_the_models_do(kind: str, path: str) -> None:
    (rule,) = CRD[kind][path]["x-kubernetes-validations"]
    assert f"<= {MAXIMUM_SEARCH_SETTINGS}" in rule["rule"]


def test_a_fleet_declares_each_field_that_it_shares_as_a_training_job_does() -> None:
    # The objects of a fleet differ only in what the text says about run and pods, and model.gru has one field more.
    different = []
    for path, node in CRD[KIND].items():
        in_fleet = CRD[FLEET_KIND].get(f"template.{path}") or CRD[FLEET_KIND].get(path)
        if path != "machine" and _structure(in_fleet or {}) != _structure(node):
            different.append(path)
    assert different == ["model.gru"]


def _structure(node: Schema) -> dict[str, Any]:
    """The node without its children's content and its texts, but with its rules."""
    plain = {key: value for key, value in node.items() if key not in ("description", "properties", "items")}
    rules = [(rule["rule"], rule.get("fieldPath")) for rule in node.get("x-kubernetes-validations", ())]
    return plain | {"x-kubernetes-validations": rules, "properties": sorted(node.get("properties", ()))}


def test_the_crd_of_a_fleet_counts_machines_in_every_state() -> None:
    status = dict(nodes(root_schema(FLEET_KIND)["properties"]["status"]))
    assert set(status["machines"]["properties"]) == {"selected", "display", *MachineState}


@of_each_kind
def test_the_crd_names_every_reason(kind: str) -> None:
    status = dict(nodes(root_schema(kind)["properties"]["status"]))
    described = status["conditions[].reason"]["description"].partition("one of ")[2]
    # RunSkipped is a reason of Events only.
    others = {KIND: {Reason.SCHEDULED, Reason.TOO_MANY_FAILED, Reason.RUN_SKIPPED}, FLEET_KIND: {Reason.RUN_SKIPPED}}
    wanted = [reason for reason in Reason if reason not in others[kind]]
    assert re.findall(r"[A-Z]\w+", described) == [str(reason) for reason in wanted]


def test_the_crd_names_every_stage() -> None:
    status = dict(nodes(root_schema()["properties"]["status"]))
    assert status["progress.stage"]["enum"] == list(Stage)


@pytest.mark.parametrize(("kind", "prefix"), [(KIND, ""), (FLEET_KIND, "template.")])
def test_the_crd_says_how_a_training_is_planned(kind: str, prefix: str) -> None:
    names = ("epochs", "stepsPerEpoch", "learningRate")
    gru = {name: CRD[kind][f"{prefix}model.gru.{name}"]["description"] for name in names}
    assert f"Absent means automatic: {schedule.EPOCHS}." in gru["epochs"]
    assert f"{schedule.PASSES} passes over the data in {schedule.EPOCHS} epochs" in gru["stepsPerEpoch"]
    assert f"at least {schedule.MINIMUM_STEPS} and at most {schedule.MAXIMUM_STEPS}" in gru["stepsPerEpoch"]
    assert f"{schedule.HIGHEST_PEAK} for a short training, down to {schedule.LOWEST_PEAK}" in gru["learningRate"]
