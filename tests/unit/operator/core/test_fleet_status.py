"""The status of a TrainingFleet satisfies the schema and stays small, whatever the workers report."""

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.api_schema import status_validator
from support.fleet_objects import NIGHTLY, FleetWorld
from support.simulated_objects import UID
from trainingjob_api.fleet_run import MachineState
from trainingjob_api.termination_message import termination_message
from trainingjob_operator.core.progress import most_advanced
from trainingjob_operator.core.snapshot import Progress

STATUS = status_validator("TrainingFleet")
MAXIMUM_BYTES = 20_000

values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["x" * 3000])
failures = st.fixed_dictionaries(
    {}, optional={"machine": values | st.just("M-1"), "reason": values | st.just("Diverged"), "message": values}
)
reports = st.fixed_dictionaries(
    {"outcome": st.sampled_from(["Succeeded", "Failed", "Stopped"]) | values},
    optional=dict.fromkeys(("reason", "message", "summary"), values)
    | {
        "machines": st.dictionaries(st.sampled_from(["selected", *MachineState, "other"]), values) | values,
        "failures": st.lists(failures | values, max_size=40) | values,
        "artifacts": st.lists(st.fixed_dictionaries({"name": values, "uri": values}) | values) | values,
    },
)


def long_report(world: FleetWorld, machines: int) -> str:
    """What a worker reports when every machine failed with a long message, as far as it fits."""
    message = "ÄÖ" * 200
    facts = {
        "uid": UID,
        "run": world.status["run"],
        "attempt": world.status["attempt"],
        "outcome": "Failed",
        "reason": "TooManyFailed",
        "message": message,
        "summary": "0 of 2000",
        "machines": {"selected": machines, "failed": machines},
        "failures": [
            {"machine": f"{'M' * 58}-{n:04}", "reason": "InsufficientData", "message": message[:256]} for n in range(20)
        ],
        "artifacts": [{"name": name, "uri": "s3://models/" + "x" * 200} for name in ("report", "summary")],
    }
    return termination_message(facts).decode()


def test_the_status_with_2000_machines_is_small() -> None:
    names = [f"{'M' * 50}-{n:04}" for n in range(2000)]
    world = FleetWorld(machines={"names": names}, schedule={**NIGHTLY, "cron": "* * * * *"}).settle()
    for _ in range(7):
        world.pass_time(60).start_workers(3)
        world.progress = Progress(world.pod["metadata"]["uid"], world.now, ratio=0.5, machines={"selected": 2000})
        world.settle()
        STATUS.validate(world.status)
        world.end_pod(18, long_report(world, 2000)).stop_workers().end_job("Failed", "PodFailurePolicy").settle()
        STATUS.validate(world.status)
        world.remove_job()
    assert len(world.status["history"]) == 5
    assert 0 < len(world.status["failures"]) <= 20
    assert len(json.dumps(world.status, ensure_ascii=False).encode()) < MAXIMUM_BYTES


def test_a_status_with_as_much_as_the_schema_lets_workers_report_is_small() -> None:
    world = FleetWorld().start_workers()
    content = {
        "message": "m" * 1024,
        "summary": "s" * 64,
        "machines": {"selected": 2000, **dict.fromkeys(MachineState, 2000)},
        "failures": [{"machine": f"M-{n}", "reason": "Diverged", "message": "f" * 256} for n in range(20)],
        "artifacts": [{"name": name, "uri": "u" * 1024} for name in ("report", "summary")],
    }
    world.end_pod(18, world.report("Failed", **content)).stop_workers().end_job("Failed", "PodFailurePolicy").settle()
    STATUS.validate(world.status)
    assert len(json.dumps(world.status, ensure_ascii=False).encode()) < MAXIMUM_BYTES


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(contents=[{"outcome": "Succeeded", "machines": {"selected": 2**31}}] * 2, exit_code=0)
@given(contents=st.lists(reports, min_size=2, max_size=2), exit_code=st.sampled_from([0, 1, 11, 18]))
def test_the_status_satisfies_the_schema_for_any_reports(contents: list[dict[str, Any]], exit_code: int) -> None:
    world = FleetWorld(schedule=NIGHTLY).settle().pass_time(14.5 * 3600).start_workers()
    for index, content in enumerate(contents):
        world.worker(index).end_pod(exit_code, json.dumps({"uid": UID, "run": 1, "attempt": 1, **content}))
    world.end_job(*(("Failed", "PodFailurePolicy") if exit_code else ("Complete",))).settle()
    STATUS.validate(world.status)
    json.dumps(world.status, allow_nan=False, ensure_ascii=False).encode()


machines = st.dictionaries(st.sampled_from(["selected", *map(str, MachineState)]), st.integers(0, 2000))


@given(counts=st.none() | machines, ratio=st.none() | st.floats(0, 1))
def test_any_progress_satisfies_the_schema(counts: dict[str, int] | None, ratio: float | None) -> None:
    world = FleetWorld().start_workers()
    world.progress = Progress(world.pod["metadata"]["uid"], world.now, ratio=ratio, machines=counts, stage="Training")
    STATUS.validate(world.settle().status)


def test_the_worker_with_most_finished_machines_gives_the_progress() -> None:
    now = FleetWorld().now
    behind = Progress("a", now, ratio=0.4, machines={"selected": 9, "running": 5, "registered": 2})
    ahead = Progress("b", now, ratio=0.3, machines={"selected": 9, "running": 4, "registered": 2, "failed": 1})
    starting = Progress("c", now)
    assert most_advanced([behind, ahead, starting]) == ahead
    assert most_advanced([]) is None


def test_a_thousand_machines_need_few_writes_besides_progress() -> None:
    world = FleetWorld(schedule=NIGHTLY, workers=4).settle().pass_time(14.5 * 3600)
    began, progress_writes = world.writes, 0
    world.start_workers(4)
    for done in range(0, 1001, 20):
        world.progress = Progress(
            world.pod["metadata"]["uid"],
            world.pass_time(10).now,
            ratio=done / 1000,
            machines={"selected": 1000, "registered": done, "running": 4},
        )
        before = world.writes
        world.settle()
        assert world.writes - before <= 1
        progress_writes += world.writes - before
    world.succeed_all(selected=1000, registered=1000)
    assert world.writes - began - progress_writes <= 10
