"""Rules for every node of the CRDs. Each test lists all nodes that break a rule."""

import json
import re

import pytest

from support.api_schema import CRD_FILES, Schema, load_crd, nodes, root_schema
from trainingjob_api.names import FLEET_KIND, KIND

# The API server allows no description of metadata.
NODES: dict[str, dict[str, Schema]] = {
    kind: {path or kind: node for path, node in nodes(root_schema(kind)) if path != "metadata"} for kind in CRD_FILES
}
pytestmark = pytest.mark.parametrize("kind", CRD_FILES)
BOUNDS = {
    "string": {"maxLength"},
    "array": {"maxItems"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
}


def test_the_crd_is_small_enough_for_the_annotation_of_kubectl_apply(kind: str) -> None:
    assert len(CRD_FILES[kind].read_bytes()) < 100_000
    assert len(json.dumps(load_crd(kind))) < 100_000


def test_every_node_has_a_description(kind: str) -> None:
    assert [path for path, node in NODES[kind].items() if not node.get("description", "").endswith(".")] == []


def test_no_node_preserves_unknown_fields(kind: str) -> None:
    assert [path for path, node in NODES[kind].items() if "x-kubernetes-preserve-unknown-fields" in node] == []
    assert [
        path for path, node in NODES[kind].items() if not ("type" in node or "x-kubernetes-int-or-string" in node)
    ] == []


def test_every_node_is_bounded(kind: str) -> None:
    unbounded = []
    for path, node in NODES[kind].items():
        wanted = BOUNDS.get(node.get("type", "string"), set())
        if "additionalProperties" in node:
            wanted = {"maxProperties"}
        if node.get("format") == "int64":
            wanted = {"minimum"}
        if path.startswith("status") and node.get("type") == "number":
            wanted = set()  # a measured value, which is finite in JSON
        unbounded += [f"{path}: {bound}" for bound in wanted.difference(node)]
    assert unbounded == []


def test_every_list_and_map_declares_its_merge_strategy(kind: str) -> None:
    lists = {
        path: node.get("x-kubernetes-list-type") for path, node in NODES[kind].items() if node.get("type") == "array"
    }
    maps = {
        path: node.get("x-kubernetes-map-type") for path, node in NODES[kind].items() if "additionalProperties" in node
    }
    assert [path for path, kind in (lists | maps).items() if kind is None] == []


def test_each_block_of_the_spec_has_one_owner(kind: str) -> None:
    # With server-side apply, a block that another client created and Git changed becomes null when it is removed from
    # Git, so null must be valid. The blocks
    # that remain are those that hold a required field.
    blocks = {
        p: node for p, node in NODES[kind].items() if p.startswith("spec.") and node.get("type") in ("object", "array")
    }
    required = {KIND: ["spec.model"], FLEET_KIND: ["spec.template", "spec.template.model"]}[kind]
    kinds = ("x-kubernetes-map-type", "x-kubernetes-list-type")
    atomic = [path for path, node in blocks.items() if "atomic" in map(node.get, kinds)]
    inside = tuple(f"{path}{separator}" for path in atomic for separator in (".", "[]", "{}"))
    assert [path for path in blocks if path not in (*required, *atomic) and not path.startswith(inside)] == []


def test_no_node_has_a_default(kind: str) -> None:
    # Argo CD treats a default of the API server like a value of another client: a field that is removed from Git would
    # keep its value.
    assert [path for path, node in NODES[kind].items() if "default" in node] == []


def test_every_rule_message_names_the_field_and_its_condition(kind: str) -> None:
    unclear = []
    for path, node in NODES[kind].items():
        inside = re.search(r"\[\]|\{\}", path)
        for rule in node.get("x-kubernetes-validations", ()):
            message = rule["message"]
            # For an entry of a list or map, the API server names the path, and the rule names the field in it.
            named = inside or "metadata.name" in message or re.search(rf"{re.escape(path)}\b", message)
            if not named or not re.search(r"\bmust\b|\bis immutable\b", message):
                unclear.append(f"{path}: {message}")
    assert unclear == []


def test_resource_names_and_short_names_are_as_documented(kind: str) -> None:
    names = load_crd(kind)["spec"]["names"]
    assert (names["kind"], names["shortNames"], names["categories"]) == (
        kind,
        [{KIND: "tj", FLEET_KIND: "tfl"}[kind]],
        ["ml"],
    )


def test_argo_cd_applies_it_first_and_never_prunes_it(kind: str) -> None:
    annotations = load_crd(kind)["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/sync-wave"] == "-2"
    assert set(annotations["argocd.argoproj.io/sync-options"].split(",")) == {"Prune=false", "ServerSideApply=true"}
