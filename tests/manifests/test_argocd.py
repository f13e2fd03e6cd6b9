"""The health script and the actions for Argo CD, in Lua 5.1 with the libraries that Argo CD loads."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator
from lupa import lua51

from support.api_schema import root_schema

ARGOCD = Path(__file__).parents[2] / "manifests" / "argocd"
HEALTH_TESTS = yaml.safe_load((ARGOCD / "health_test.yaml").read_text())["tests"]
ACTIONS = yaml.safe_load((ARGOCD / "actions.yaml").read_text())

# Argo CD loads the base library, package, table, and of os only the time.
RESTRICT = """
local date, time = os.date, os.time
getmetatable("").__index = nil
string, math, io, debug, coroutine = nil, nil, nil, nil, nil
os = {date = date, time = time}
package.loaded.os = os
for _, name in ipairs({"string", "math", "io", "debug", "coroutine"}) do package.loaded[name] = nil end
"""


def run_lua(script: str, document: dict[str, Any]) -> dict[str, Any]:
    """What a script returns for an object, as plain data."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    lua.execute(RESTRICT)
    lua.globals()["obj"] = lua.table_from(document, recursive=True)
    result: dict[str, Any] = _plain(lua.execute(script))
    return result


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if lua51.lua_type(value) == "table" else value


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ARGOCD / "testdata" / name).read_text())
    return document


@pytest.mark.parametrize("case", HEALTH_TESTS, ids=[Path(case["inputPath"]).stem for case in HEALTH_TESTS])
def test_health_follows_the_status(case: dict[str, Any]) -> None:
    document = yaml.safe_load((ARGOCD / case["inputPath"]).read_text())
    assert run_lua((ARGOCD / "health.lua").read_text(), document) == case["healthStatus"]


def test_every_example_is_tested_and_is_a_valid_status() -> None:
    files = {f"testdata/{file.name}" for file in (ARGOCD / "testdata").iterdir()}
    assert files == {case["inputPath"] for case in HEALTH_TESTS}
    for name in files:
        document = yaml.safe_load((ARGOCD / name).read_text())
        Draft4Validator(root_schema(document["kind"])).validate(document)


@pytest.mark.parametrize(("asked", "status"), [("now", "Progressing"), ("", "Healthy"), ("x" * 257, "Healthy")])
def test_health_is_progressing_until_a_retrain_request_is_observed(asked: str, status: str) -> None:
    document = read("retrained.yaml")
    document["metadata"]["annotations"]["training.pumphealth.io/retrain-requested-at"] = asked
    assert run_lua((ARGOCD / "health.lua").read_text(), document)["status"] == status


def test_health_of_a_suspended_trainingjob_ignores_retrain_requests() -> None:
    document = act("retrain", read("suspended.yaml"))
    assert run_lua((ARGOCD / "health.lua").read_text(), document)["status"] == "Suspended"


def test_health_of_a_trainingjob_ignores_requests_to_retry_failed_machines() -> None:
    document = act("retry-failed", read("succeeded.yaml"))
    assert run_lua((ARGOCD / "health.lua").read_text(), document)["status"] == "Healthy"


def test_health_of_an_incomplete_status_is_progressing() -> None:
    document = read("new.yaml") | {"status": {"observedGeneration": 1}}
    assert run_lua((ARGOCD / "health.lua").read_text(), document)["status"] == "Progressing"


@pytest.mark.parametrize(
    ("example", "offered"),
    [
        ("training.yaml", {"retrain", "suspend"}),
        ("suspended.yaml", {"resume"}),
        ("fleet_scheduled.yaml", {"retrain", "suspend"}),
        ("fleet_failed.yaml", {"retrain", "retry-failed", "suspend"}),
        ("fleet_suspended.yaml", {"resume"}),
    ],
)
def test_an_action_is_enabled_only_if_it_has_an_effect(example: str, offered: set[str]) -> None:
    actions = run_lua(ACTIONS["discovery.lua"], read(example))
    of_fleets = set() if example.startswith("fleet") else {"retry-failed"}
    assert set(actions) == {definition["name"] for definition in ACTIONS["definitions"]} - of_fleets
    assert {name for name, action in actions.items() if not action.get("disabled")} == offered


def act(name: str, document: dict[str, Any]) -> dict[str, Any]:
    (definition,) = [definition for definition in ACTIONS["definitions"] if definition["name"] == name]
    return run_lua(definition["action.lua"], document)


@pytest.mark.parametrize(("name", "value"), [("suspend", True), ("resume", False)])
@pytest.mark.parametrize("policy", [None, {"suspend": True}, {"suspend": False}, {"backoffLimit": 1}])
def test_suspend_and_resume_change_only_the_field_suspend(
    name: str, value: bool, policy: dict[str, Any] | None
) -> None:
    document = read("new.yaml")
    if policy is not None:
        document["spec"]["runPolicy"] = policy
    written = {"runPolicy": {**(policy or {}), "suspend": value}}
    assert act(name, document) == document | {"spec": document["spec"] | written}


@pytest.mark.parametrize(
    ("action", "example", "annotation"),
    [
        ("retrain", "succeeded.yaml", "retrain-requested-at"),
        ("retrain", "fleet_failed.yaml", "retrain-requested-at"),
        ("retry-failed", "fleet_failed.yaml", "retry-failed-requested-at"),
    ],
)
def test_an_action_requests_a_run_with_the_current_time(action: str, example: str, annotation: str) -> None:
    annotations = act(action, read(example))["metadata"]["annotations"]
    (requested,) = annotations.values()
    assert set(annotations) == {f"training.pumphealth.io/{annotation}"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", requested)
