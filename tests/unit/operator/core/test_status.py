"""The content of the status, and that it satisfies the schema."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.api_schema import status_validator
from support.operator_objects import World
from support.simulated_objects import START, UID
from trainingjob_api.text import timestamp
from trainingjob_operator.core.parent import TrainingJob
from trainingjob_operator.core.snapshot import Progress
from trainingjob_operator.core.status import merge_patch

KINDS = ["Succeeded", "Failed", "Suspended", "Scheduled", "Reconciling", "Stalled"]


STATUS = status_validator()


def states(world: World) -> list[str]:
    return [world.condition(kind)[0] for kind in KINDS]


def test_the_first_status_has_observed_generation_and_start_time() -> None:
    world = World(data={"startDate": "2025-01-01", "lookbackDays": None})
    world.step()
    status = world.status
    assert (status["observedGeneration"], status["phase"], status["run"], status["attempt"]) == (1, "Pending", 1, 1)
    assert status["startTime"] == timestamp(START)
    assert status["data"] == {"start": "2025-01-01T00:00:00Z", "end": timestamp(START)}
    assert states(world) == ["Unknown", "False", "False", "False", "True", "False"]


def test_the_window_of_a_run_is_the_same_in_every_attempt() -> None:
    world = World().start().pass_time(7 * 86400).edit(resources={"limits": {"memory": "8Gi"}}).settle().remove_job()
    assert world.start().status["data"] == {"end": timestamp(START)}


@pytest.mark.parametrize(
    ("tell", "phase", "expected"),
    [
        (lambda w: w.start(), "Running", ["Unknown", "False", "False", "True", "True", "False"]),
        (lambda w: w.start().succeed(), "Succeeded", ["True", "False", "False", "True", "False", "False"]),
        (lambda w: w.start().fail(17), "Failed", ["False", "True", "False", "True", "False", "True"]),
        (
            lambda w: w.settle().add_pod().find_no_node().settle(),
            "Queued",
            ["Unknown", "False", "False", "False", "True", "False"],
        ),
        (
            lambda w: w.edit(runPolicy={"suspend": True}).settle(),
            "Suspended",
            ["Unknown", "False", "True", "False", "False", "False"],
        ),
    ],
)
def test_conditions_of_every_phase(tell: Any, phase: str, expected: list[str]) -> None:
    world = World()
    tell(world)
    assert world.status["phase"] == phase
    assert states(world) == expected
    assert {c["observedGeneration"] for c in world.status["conditions"]} == {world.raw["metadata"]["generation"]}


def test_a_transition_time_changes_only_with_the_status_of_its_condition() -> None:
    world = World().settle().pass_time(100).add_pod().bind().run().settle()
    times = {c["type"]: c["lastTransitionTime"] for c in world.status["conditions"]}
    assert times["Succeeded"] == timestamp(START)
    assert times["Scheduled"] == timestamp(START + timedelta(seconds=100))


def test_the_status_contains_the_report_of_the_trainer() -> None:
    world = World().start().pass_time(60)
    model = {"name": "model", "uri": "s3://models/m.h5", "sha256": "0" * 64, "sizeBytes": 10}
    world.succeed(
        reason="AdoptedExistingRun",
        summary="skill 0.31",
        metrics={"skill": 0.31, "rmse": 1},
        artifacts=[model],
        registration={"modelID": "7", "bucketAddress": "m.h5"},
        data={"start": "2020-01-01T00:00:00Z", "rowsRead": 10, "rowsUsed": 9, "segments": 1, "fingerprint": "f"},
        device={"used": "GPU"},
        warnings=["idle rows"],
    )
    status = world.status
    assert world.condition("Succeeded") == ("True", "AdoptedExistingRun")
    assert status["metrics"] == {"skill": 0.31, "rmse": 1}
    assert status["artifacts"] == [model]
    assert status["device"] == {"requested": "Disabled", "used": "GPU", "node": "node-1"}
    assert status["data"]["start"] == "2020-01-01T00:00:00Z"
    assert status["data"]["end"] == timestamp(START)
    assert status["history"] == [
        {
            "run": 1,
            "specHash": status["specHash"],
            "phase": "Succeeded",
            "completionTime": timestamp(world.now),
            "summary": "skill 0.31",
            "bucketAddress": "m.h5",
        }
    ]


def test_the_device_of_a_running_attempt_is_the_requested_one() -> None:
    assert World().start().status["device"] == {"requested": "Disabled", "used": "CPU", "node": "node-1"}
    device = World(accelerator={"policy": "Required"}).start().status["device"]
    assert (device["used"], device["resourceName"]) == ("GPU", "nvidia.com/gpu")


def test_a_new_run_keeps_only_the_history_of_the_old_one() -> None:
    world = World().start().succeed(summary="skill 0.31", metrics={"skill": 0.31}, warnings=["x"])
    world.edit(model={"type": "gru", "seed": 7})
    world.step()
    kept = {"summary", "metrics", "warnings", "completionTime", "jobUID", "podName", "progress"} & world.status.keys()
    assert kept == set()
    assert [entry["run"] for entry in world.status["history"]] == [1]


def test_history_keeps_five_runs() -> None:
    world = World().start().succeed()
    for seed in range(1, 8):
        world.edit(model={"type": "gru", "seed": seed}).start().succeed()
    assert [entry["run"] for entry in world.status["history"]] == [8, 7, 6, 5, 4]


def test_only_the_progress_of_the_running_pod_is_shown() -> None:
    world = World().start()
    told = Progress("another", world.now, "Training", 0.42)
    world.progress = told
    assert "progress" not in world.settle().status
    world.progress = Progress(world.pod["metadata"]["uid"], world.now, "Training", 0.427, 42, 100, 0.5, None, world.now)
    assert world.settle().status["progress"] == {
        "stage": "Training",
        "percentage": 42,
        "display": "42%",
        "epoch": 42,
        "epochs": 100,
        "metrics": {"loss": 0.5},
        "estimatedCompletionTime": timestamp(world.now),
        "lastReportTime": timestamp(world.now),
    }
    world.succeed()
    assert world.status["progress"]["display"] == "100%"
    assert "estimatedCompletionTime" not in world.status["progress"]


def test_unchanged_progress_needs_no_write() -> None:
    world = World().start()
    pod = world.pod["metadata"]["uid"]
    world.progress = Progress(pod, world.now, "Training", 0.4, 40, 100)
    before = world.settle().writes
    world.progress = Progress(pod, world.now + timedelta(seconds=10), "Training", 0.404, 40, 100)
    assert world.settle().writes == before


def test_the_failure_of_a_pod_is_shown_until_the_next_one_runs() -> None:
    world = World().start()
    world.job["status"]["failed"] = 1
    world.end_pod(137, reason="OOMKilled").pass_time(4).settle()
    assert world.condition("Succeeded") == ("Unknown", "Training")
    world.pass_time(2).settle()
    assert world.condition("Succeeded") == ("Unknown", "Retrying")
    assert world.status["failures"] == 1
    assert world.status["lastFailure"]["reason"] == "OutOfMemory"
    world.add_pod().bind().run().settle()
    assert world.condition("Succeeded") == ("Unknown", "Training")
    assert world.status["lastFailure"]["reason"] == "OutOfMemory"


def test_a_successful_run_needs_five_writes() -> None:
    world = World().settle().pass_time(1).add_pod().settle().pass_time(1).bind().settle().pass_time(1).run().settle()
    assert world.writes == 3, "claim, Job, Running"
    world.pass_time(60).end_pod(0, world.report("Succeeded")).settle().pass_time(1).end_job("Complete").settle()
    assert world.writes == 5, "and the end, and the Job's time to live"


def test_a_state_that_lasts_is_reported() -> None:
    world = World().settle().pass_time(31).settle()
    assert world.condition("Succeeded") == ("Unknown", "PodNotCreated")
    world.add_pod().pass_time(31).settle()
    assert world.condition("Succeeded") == ("Unknown", "Starting")
    assert world.condition("Scheduled")[0] == "False"
    world.bind().settle()
    assert world.condition("Scheduled")[0] == "True"


def test_the_merge_patch_gives_the_new_object() -> None:
    old = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}
    new = {"a": 1, "b": {"c": 3}, "e": [2], "f": {"g": 1}}
    assert merge_patch(old, new) == {"b": {"c": 3, "d": None}, "e": [2], "f": {"g": 1}}
    assert merge_patch(new, new) == {}
    assert merge_patch({"a": 1, "b": {"c": 1}}, {"a": {"d": 1}, "b": 2}) == {"a": {"d": 1}, "b": 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["x" * 3000, "0" * 64]),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
items = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("name", "uri", "sha256", "sizeBytes"), json_values) | {"name": st.sampled_from("ab")}
)
reports = st.fixed_dictionaries(
    {"outcome": st.sampled_from(["Succeeded", "Failed", "Stopped"]) | json_values},
    optional=dict.fromkeys(("reason", "message", "summary", "exitCode", "registration"), json_values)
    | {
        "metrics": st.dictionaries(st.text(), json_values) | json_values,
        "artifacts": st.lists(items | json_values, max_size=20) | json_values,
        "data": st.dictionaries(st.sampled_from(["start", "end", "rowsRead", "segments", "fingerprint"]), json_values)
        | json_values,
        "device": st.fixed_dictionaries({}, optional={"used": json_values | st.sampled_from(["CPU", "GPU"])}),
        "warnings": st.lists(json_values, max_size=20) | json_values,
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=reports, exit_code=st.integers(0, 255), junk=st.none() | st.text())
def test_the_status_satisfies_the_schema_for_any_report(
    content: dict[str, Any], exit_code: int, junk: str | None
) -> None:
    world = World().start()
    message = json.dumps({"uid": UID, "run": 1, "attempt": 1, **content}) if junk is None else junk
    world.end_pod(exit_code, message).end_job(
        *(("Failed", "PodFailurePolicy") if exit_code else ("Complete",))
    ).settle()
    STATUS.validate(world.status)
    # NaN and infinity are not JSON, and a lone surrogate is not UTF-8.
    json.dumps(world.status, allow_nan=False, ensure_ascii=False).encode()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(words=st.text(max_size=5000))
def test_the_status_satisfies_the_schema_for_any_message_of_the_cluster(words: str) -> None:
    world = World().settle().add_pod().find_no_node(words).settle()
    STATUS.validate(world.status)
    world.bind().wait_for("CreateContainerConfigError", words).settle()
    STATUS.validate(world.status)
    world.pod["status"] |= {"phase": "Failed", "reason": "OutOfcpu", "message": words, "containerStatuses": []}
    world.settle()
    STATUS.validate(world.status)
    assert TrainingJob.parse(world.raw).ended is None
