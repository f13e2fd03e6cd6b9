"""The rights that the operator checks, and the messages about missing ones."""

from pathlib import Path

import yaml

from trainingjob_operator.controller.access import RIGHTS, can_watch, describe

ROLES = Path(__file__).parents[4] / "manifests" / "base" / "operator_roles.yaml"


def test_the_checked_rights_are_those_of_the_cluster_role() -> None:
    (role,) = [each for each in yaml.safe_load_all(ROLES.read_text()) if each["kind"] == "ClusterRole"]
    granted = {
        (group, resource): tuple(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert granted == RIGHTS


def test_a_namespace_is_not_watched_only_without_the_right_to_list_or_watch() -> None:
    assert can_watch((("create", "jobs"), ("patch", "trainingjobs/status")))
    assert not can_watch((("list", "pods"),))
    assert "it is not watched" not in describe("pumps", (("create", "jobs"),))


def test_the_message_about_a_missing_right_names_the_solution() -> None:
    assert describe("pumps", (("list", "pods"), ("watch", "pods"))) == (
        "In namespace pumps the operator may not list/watch pods; it is not watched: bind the ClusterRole "
        "trainingjob-operator to the operator's service account by a RoleBinding in that namespace"
    )
    assert "all namespaces" in describe("", (("list", "pods"),))
    assert "ClusterRoleBinding" in describe("", (("list", "pods"),))
