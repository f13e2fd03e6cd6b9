"""For any sequence of events and crashes: at most one Job and one trainer per attempt, and every run ends."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fleet_objects import FleetWorld
from support.operator_objects import World

Action = Callable[[World], object]
MOST_STEPS = 400
KILL = "the operator is killed and another one starts"


def unfinished(world: World) -> list[str]:
    """The Jobs that may still run pods."""
    return [
        name
        for name, job in world.jobs.items()
        if not job["status"].get("conditions") and "deletionTimestamp" not in job["metadata"]
    ]


def when(possible: Callable[[World], bool], act: Action) -> Action:
    return lambda world: act(world) if possible(world) else None


def has_live_job(world: World) -> bool:
    return bool(world.jobs) and world.job["metadata"]["name"] in unfinished(world)


def pod_phase(world: World) -> str | None:
    mine = world.jobs and world.pods and world.pod["metadata"]["name"].startswith(world.job["metadata"]["name"] + "-")
    return str(world.pod["status"]["phase"]) if mine else None


def remove_deleted(world: World) -> None:
    if world.jobs and "deletionTimestamp" in world.job["metadata"]:
        world.remove_job()


def end(exit_code: int, *, report: bool) -> Action:
    def act(world: World) -> None:
        outcome = "Failed" if exit_code else "Succeeded"
        labels = world.job["metadata"]["labels"]
        mine = labels["training.pumphealth.io/run"] == str(world.status["run"])
        world.end_pod(exit_code, world.report(outcome) if report and mine else "")
        if exit_code:
            world.end_job("Failed", "PodFailurePolicy")
        else:
            world.end_job("Complete")

    return when(lambda world: has_live_job(world) and pod_phase(world) == "Running", act)


def evict(world: World) -> None:
    world.end_pod(143, disruption="EvictionByEvictionAPI").add_pod()


def delete_by_hand(world: World) -> None:
    world.job["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"


def orphan(world: World) -> None:
    if world.pods and "deletionTimestamp" not in world.job["metadata"]:
        world.orphan_pod()


def end_leftovers(world: World) -> None:
    """Ends the pods whose Job is gone, and removes the pods that are being deleted."""
    jobs = {job["metadata"]["uid"] for job in world.jobs.values()}
    for pod in list(world.pods.values()):
        owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences", ())}
        if not owners & jobs:
            del world.pods[pod["metadata"]["name"]]


def end_trainer(exit_code: int) -> Action:
    def act(world: World) -> None:
        mine = world.job["metadata"]["labels"]["training.pumphealth.io/run"] == str(world.status["run"])
        world.end_trainer(exit_code, world.report("Failed" if exit_code else "Succeeded") if mine else "")

    return when(lambda world: has_live_job(world) and pod_phase(world) == "Running", act)


def forget(world: World) -> None:
    world.last_seen_attempt = max((job.attempt for job in world.snapshot().jobs), default=(0, 0))


def change_training(world: World, **parts: Any) -> None:
    """Changes what is trained: the spec of a TrainingJob, the template of a TrainingFleet."""
    if isinstance(world, FleetWorld):
        world.edit(template={**world.raw["spec"]["template"], **parts})
    else:
        world.edit(**parts)


ACTIONS: dict[str, Action] = {
    "the operator takes a step": World.step,
    "the operator settles": World.settle,
    "the seed changes": lambda world: change_training(
        world, model={"type": "gru", "seed": world.raw["metadata"]["generation"] % 3}
    ),
    "the resources change": lambda world: world.edit(
        resources={"limits": {"cpu": world.raw["metadata"]["generation"]}}
    ),
    "the backoff limit changes": lambda world: world.edit(
        runPolicy={**world.raw["spec"].get("runPolicy", {}), "backoffLimit": world.raw["metadata"]["generation"] % 20}
    ),
    "it is suspended": lambda world: world.edit(runPolicy={"suspend": True}),
    "it is resumed": lambda world: world.edit(runPolicy={"suspend": False}),
    "a gate is set": lambda world: change_training(world, gates=[{"metric": "skill", "min": 0}]),
    "a retraining is asked for": lambda world: world.request_retrain(str(world.now)),
    "the Job is deleted by hand": when(has_live_job, delete_by_hand),
    "the deleted Job goes": remove_deleted,
    "the Job is deleted without its pod": when(has_live_job, orphan),
    "the pod that outlived its Job ends": end_leftovers,
    "the node of the pod dies": when(
        lambda world: has_live_job(world) and pod_phase(world) == "Running",
        lambda world: world.delete_pod(disruption="DeletionByTaintManager"),
    ),
    "the trainer succeeds beside a sidecar": end_trainer(0),
    "the trainer fails beside a sidecar": end_trainer(12),
    "the trainer finds no data beside a sidecar": end_trainer(11),
    "a pod is created": when(lambda world: has_live_job(world) and pod_phase(world) in {None, "Failed"}, World.add_pod),
    "a node is found": when(lambda world: has_live_job(world) and pod_phase(world) == "Pending", World.bind),
    "no node is found": when(
        lambda world: has_live_job(world) and pod_phase(world) == "Pending" and "nodeName" not in world.pod["spec"],
        World.find_no_node,
    ),
    "the trainer runs": when(
        lambda world: has_live_job(world) and pod_phase(world) == "Pending" and "nodeName" in world.pod["spec"],
        World.run,
    ),
    "the pod is evicted": when(lambda world: has_live_job(world) and pod_phase(world) == "Running", evict),
    "the trainer succeeds": end(0, report=True),
    "the trainer's report is lost": end(0, report=False),
    "the trainer finds no data": end(11, report=True),
    "the trainer sees no accelerator": end(15, report=False),
    KILL: forget,
    "some seconds pass": lambda world: world.pass_time(20),
    "an hour passes": lambda world: world.pass_time(3600),
}


def check(world: World, before: tuple[int, int], ended: tuple[int, str] | None, kills: int) -> None:
    # If a Job is deleted by hand and the operator is killed before the uid is stored, it is created once more.
    assert len(world.created) <= len(set(world.created)) + kills, "a Job was created twice"
    assert len(unfinished(world)) <= 1, "two Jobs may run at once"
    attempt = (world.status.get("run", 0), world.status.get("attempt", 0))
    assert attempt >= before, "the attempt decreased"
    if ended is not None and attempt[0] == ended[0]:
        assert world.status["phase"] == ended[1], "the result of an ended run changed"


def verdict(world: World) -> tuple[int, str] | None:
    ended = world.snapshot().parent.ended
    return None if ended is None else (world.status["run"], ended)


def finish(world: World) -> None:
    """Completes the run without further faults."""
    world.edit(runPolicy={"suspend": False})
    for _ in range(MOST_STEPS):
        if world.step() is not None:
            continue
        if world.status["phase"] in {"Succeeded", "Failed"} and not unfinished(world):
            return
        remove_deleted(world)
        end_leftovers(world)
        for name in ("a pod is created", "a node is found", "the trainer runs", "the trainer succeeds"):
            ACTIONS[name](world)
        world.settle()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from([World, FleetWorld]),
    policy=st.sampled_from(["Disabled", "Preferred", "Required"]),
    names=st.lists(st.sampled_from(sorted(ACTIONS)), max_size=40),
)
def test_any_sequence_of_events_keeps_the_invariants_and_settles(
    kind: type[World], policy: str, names: list[str]
) -> None:
    world = kind(accelerator={"policy": policy}, runPolicy={"schedulingTimeoutSeconds": 900})
    for step, name in enumerate(names):
        attempt, ended = (world.status.get("run", 0), world.status.get("attempt", 0)), verdict(world)
        ACTIONS[name](world)
        check(world, attempt, ended, names[: step + 1].count(KILL))
    finish(world)
    assert verdict(world) is not None
    assert world.step() is None
    assert all(
        "ttlSecondsAfterFinished" in job["spec"]
        for job in world.jobs.values()
        if "deletionTimestamp" not in job["metadata"]
    )
