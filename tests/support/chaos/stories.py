"""What happens to one TrainingJob by plan: how its trainers end, and what its user does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Story(Enum):
    """What a trainer and its user do, apart from the faults."""

    SUCCEED = "the trainer succeeds"
    RETRY = "the trainer fails once, and then succeeds"
    EVICTED = "the kubelet evicts the trainer once"
    ACCELERATED = "the trainer gets an accelerator that others may still use"
    REFUSED = "the data is not sufficient"
    EXHAUSTED = "the trainer fails again and again"
    SUPERSEDED = "the model is edited while the trainer runs"
    RESTARTED = "the resources are edited while the trainer runs"
    SUSPENDED = "the run is suspended and resumed"
    EDITED = "the model is edited after the run has succeeded"
    RETRAINED = "one more run is requested after the first has succeeded"
    RECREATED = "the TrainingJob is deleted while the trainer runs, and created again"


@dataclass(frozen=True)
class Expectation:
    """The end of a story without faults.

    Attributes:
        phase: the last one.
        reason: of the end, None for any.
        runs: how many there are.
        attempts: how many there are, of all runs.
        failures: how many pods of the last Job fail by themselves.
    """

    phase: str = "Succeeded"
    reason: str | None = "Completed"
    runs: int = 1
    attempts: int = 1
    failures: int = 0


EXPECTATIONS: Mapping[Story, Expectation] = {
    **dict.fromkeys(Story, Expectation()),
    Story.RETRY: Expectation(failures=1),
    Story.REFUSED: Expectation("Failed", "InsufficientData", failures=1),
    # Which failure is the last one depends on the faults.
    Story.EXHAUSTED: Expectation("Failed", None, failures=2),
    Story.SUPERSEDED: Expectation(runs=2, attempts=2),
    Story.RESTARTED: Expectation(attempts=2),
    Story.SUSPENDED: Expectation(attempts=2),
    Story.EDITED: Expectation(runs=2, attempts=2),
    Story.RETRAINED: Expectation(runs=2, attempts=2),
}
ACT_WHILE_RUNNING = {Story.SUPERSEDED, Story.RESTARTED, Story.SUSPENDED, Story.RECREATED}
"""The trainer of these stories runs until the user has acted."""
GPU = "nvidia.com/gpu"


def spec(story: Story) -> dict[str, Any]:
    """The spec that the user creates."""
    retries = 1 if story is Story.EXHAUSTED else 20
    accelerator = {"policy": "Preferred", "resourceName": GPU, "fallbackAfterSeconds": 1800}
    return {
        "machine": "MOTOBOMBA-007",
        "model": {"type": "gru"},
        "runPolicy": {"backoffLimit": retries},
        **({"accelerator": accelerator} if story is Story.ACCELERATED else {}),
    }


def edit(story: Story) -> dict[str, Any]:
    """What the user changes in the spec, as a merge patch; empty in most stories."""
    if story in {Story.SUPERSEDED, Story.EDITED}:
        return {"model": {"gru": {"epochs": 7}}}
    return {"resources": {"requests": {"cpu": "2"}}} if story is Story.RESTARTED else {}


@dataclass
class UserRecord:
    """What the user has done to one TrainingJob.

    Attributes:
        created: whether it was created.
        acted: whether the user has done everything that the story says.
        edits: how many changes of the spec were requested that start a run or an attempt.
        resumed: whether the run was suspended, and it was requested to resume it.
        requests: values of the annotation that asks for one more run.
        replaced: uid of the Job that the edit replaces; its trainer runs until it is stopped.
        removed: the uid of the TrainingJob that was deleted.
    """

    story: Story
    created: bool = False
    acted: bool = False
    edits: int = 0
    resumed: bool = False
    requests: set[str] = field(default_factory=set)
    replaced: str | None = None
    removed: str | None = None
