"""Rules for every node of the CRD. Each test lists all nodes that break a rule."""

import json
import re

from support.api_schema import CRD_FILE, load_crd, nodes, root_schema

# The API server allows no description of metadata.
NODES = {path or "TrainingJob": node for path, node in nodes(root_schema()) if path != "metadata"}
BOUNDS = {
    "string": {"maxLength"},
    "array": {"maxItems"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
}


def test_the_crd_is_small_enough_for_the_annotation_of_kubectl_apply() -> None:
    assert len(CRD_FILE.read_bytes()) < 100_000
    assert len(json.dumps(load_crd())) < 100_000


def test_every_node_has_a_description() -> None:
    assert [path for path, node in NODES.items() if not node.get("description", "").endswith(".")] == []


def test_no_node_preserves_unknown_fields() -> None:
    assert [path for path, node in NODES.items() if "x-kubernetes-preserve-unknown-fields" in node] == []
    assert [path for path, node in NODES.items() if not ("type" in node or "x-kubernetes-int-or-string" in node)] == []


def test_every_node_is_bounded() -> None:
    unbounded = []
    for path, node in NODES.items():
        wanted = BOUNDS.get(node.get("type", "string"), set())
        if "additionalProperties" in node:
            wanted = {"maxProperties"}
        if node.get("format") == "int64":
            wanted = {"minimum"}
        if path.startswith("status") and node.get("type") == "number":
            wanted = set()  # a measured value, which is finite in JSON
        unbounded += [f"{path}: {bound}" for bound in wanted.difference(node)]
    assert unbounded == []


def test_every_list_and_map_declares_its_merge_strategy() -> None:
    lists = {path: node.get("x-kubernetes-list-type") for path, node in NODES.items() if node.get("type") == "array"}
    maps = {path: node.get("x-kubernetes-map-type") for path, node in NODES.items() if "additionalProperties" in node}
    assert [path for path, kind in (lists | maps).items() if kind is None] == []


def test_each_block_of_the_spec_has_one_owner() -> None:
    # With server-side apply, a block that another client created and Git changed becomes null when it is removed from
    # Git, so null must be valid. The block spec.model always remains, because its type is required.
    blocks = {p: node for p, node in NODES.items() if p.startswith("spec.") and node.get("type") in ("object", "array")}
    kinds = ("x-kubernetes-map-type", "x-kubernetes-list-type")
    atomic = [path for path, node in blocks.items() if "atomic" in map(node.get, kinds)]
    inside = tuple(f"{path}{separator}" for path in atomic for separator in (".", "[]", "{}"))
    assert [path for path in blocks if path not in ("spec.model", *atomic) and not path.startswith(inside)] == []


def test_no_node_has_a_default() -> None:
    # Argo CD treats a default of the API server like a value of another client: a field that is removed from Git would
    # keep its value.
    assert [path for path, node in NODES.items() if "default" in node] == []


def test_every_rule_message_names_the_field_and_its_condition() -> None:
    unclear = []
    for path, node in NODES.items():
        inside = re.search(r"\[\]|\{\}", path)
        for rule in node.get("x-kubernetes-validations", ()):
            message = rule["message"]
            # For an entry of a list or map, the API server names the path, and the rule names the field in it.
            named = inside or "metadata.name" in message or re.search(rf"{re.escape(path)}\b", message)
            if not named or not re.search(r"\bmust\b|\bis immutable\b", message):
                unclear.append(f"{path}: {message}")
    assert unclear == []


def test_resource_names_and_short_names_are_as_documented() -> None:
    names = load_crd()["spec"]["names"]
    assert (names["kind"], names["shortNames"], names["categories"]) == ("TrainingJob", ["tj"], ["ml"])


def test_argo_cd_applies_it_first_and_never_prunes_it() -> None:
    annotations = load_crd()["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/sync-wave"] == "-2"
    assert set(annotations["argocd.argoproj.io/sync-options"].split(",")) == {"Prune=false", "ServerSideApply=true"}
