"""The models of the contract are equal to the CRD, field by field."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from support.api_schema import nodes, root_schema, spec_schema
from trainingjob_api.defaults import DEFAULTS
from trainingjob_api.metrics import gate_metrics
from trainingjob_api.progress import Stage
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.values import MAXIMUM_SEARCH_SETTINGS
from trainingjob_trainer.models.gru import schedule

CRD = {path: node for path, node in nodes(spec_schema()) if path}
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


def _python() -> dict[str, Mapping[str, Any]]:
    schema = TrainingJobSpec.model_json_schema(by_alias=True)
    return dict(_python_nodes(schema, schema["$defs"]))


PYTHON = _python()


def _default(table: Mapping[str, Any], path: str) -> Any:
    value: Any = table
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def test_the_models_have_the_fields_of_the_crd_and_no_other() -> None:
    assert set(PYTHON) == set(CRD)


def test_the_models_bound_every_field_as_the_crd_does() -> None:
    # The CRD limits the length of an enumeration only to reduce the cost of its rules.
    wanted = {path: _bounds(node, CONSTRAINTS if "enum" not in node else ()) for path, node in CRD.items()}
    assert {path: _bounds(node, CONSTRAINTS) for path, node in PYTHON.items()} == wanted


def _bounds(node: Mapping[str, Any], constraints: tuple[str, ...]) -> dict[str, Any]:
    bounds = {key: node[key] for key in (*constraints, "enum", "type") if key in node}
    for side in ("Minimum", "Maximum"):
        # OpenAPI 3.0 has a flag beside the bound, JSON Schema has the bound itself.
        exclusive = node.get(f"exclusive{side}", False)
        if exclusive is not False:
            bounds |= {f"exclusive{side}": True, side.lower(): node[side.lower()] if exclusive is True else exclusive}
    return bounds | {"required": sorted(node.get("required", ()))}


def test_the_crd_describes_every_default_and_no_other() -> None:
    described = {
        path: yaml.safe_load(match[1])
        for path, node in CRD.items()
        if (match := re.search(r"Default (.+?)\.(?= |$)", node["description"]))
    }
    values = {path: _default(DEFAULTS, path) for path, node in CRD.items() if "properties" not in node}
    assert described == {path: value for path, value in values.items() if value not in (None, [], {})}


def test_the_rules_of_the_crd_name_the_metrics_that_a_gate_may_name() -> None:
    rules = " ".join(rule["rule"] + rule["message"] for rule in spec_schema()["x-kubernetes-validations"])
    for metrics in (gate_metrics("gru"), gate_metrics("xgb")):
        assert str(list(metrics)) in rules
        assert ", ".join(metrics) in rules
        for metric in metrics:
            assert metric in CRD["gates[].metric"]["description"]


def test_the_rules_of_the_crd_bound_the_search_as_the_models_do() -> None:
    (rule,) = CRD["model.xgb.search"]["x-kubernetes-validations"]
    assert f"<= {MAXIMUM_SEARCH_SETTINGS}" in rule["rule"]


def test_the_crd_names_every_reason_and_stage() -> None:
    status = dict(nodes(root_schema()["properties"]["status"]))
    assert status["progress.stage"]["enum"] == list(Stage)
    described = status["conditions[].reason"]["description"].partition("one of ")[2]
    assert re.findall(r"[A-Z]\w+", described) == [str(reason) for reason in Reason]


def test_the_crd_says_how_a_training_is_planned() -> None:
    gru = {name: CRD[f"model.gru.{name}"]["description"] for name in ("epochs", "stepsPerEpoch", "learningRate")}
    assert f"Absent means automatic: {schedule.EPOCHS}." in gru["epochs"]
    assert f"{schedule.PASSES} passes over the data in {schedule.EPOCHS} epochs" in gru["stepsPerEpoch"]
    assert f"at least {schedule.MINIMUM_STEPS} and at most {schedule.MAXIMUM_STEPS}" in gru["stepsPerEpoch"]
    assert f"{schedule.HIGHEST_PEAK} for a short training, down to {schedule.LOWEST_PEAK}" in gru["learningRate"]
