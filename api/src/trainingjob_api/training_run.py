"""The trainer's input: one run of a TrainingJob, as JSON in the environment variable ``TRAINING_JOB``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.values import AcceleratorPolicy, Part


class Window(Part):
    """The resolved time window of the data, half-open: ``end`` is excluded. A side that is None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    @model_validator(mode="after")
    def _aware(self) -> Self:
        for moment in (self.start, self.end):
            if moment is not None and moment.utcoffset() is None:
                raise ValueError("start and end must carry a time zone")
        return self


class RunIdentity(Part):
    """Which attempt of which run a trainer executes, and on which data.

    Attributes:
        namespace: Namespace of the TrainingJob.
        name: Name of the TrainingJob.
        uid: UID of the TrainingJob; with ``run`` it identifies the run.
        run: Number of the run of the TrainingJob, from 1.
        attempt: Number of the Job of the run, from 1.
        spec_hash: Equal for runs that train the same model on the same selection of data.
        window: The window of the data, fixed when the run was accepted.
        accelerator: The accelerator resource of this attempt; None is the CPU.
        adopt: Whether the run may adopt an equal registered model instead of training.
    """

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    name: Annotated[str, Field(min_length=1, max_length=127)]
    uid: Annotated[str, Field(min_length=8, max_length=64)]
    run: Annotated[int, Field(ge=1)]
    attempt: Annotated[int, Field(ge=1)]
    spec_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    window: Window
    accelerator: str | None = None
    adopt: bool


class UncheckedTrainingRun(RunIdentity):
    """A run as the operator writes it: the spec is passed on unchanged, whatever its version.

    Attributes:
        accelerator_policy: The requested policy.
        spec: The JSON of the spec, as the API server stores it.
    """

    accelerator_policy: str
    spec: Mapping[str, Any]


class TrainingRun(RunIdentity):
    """A run as the trainer reads it.

    Attributes:
        accelerator_policy: The requested policy.
        spec: The spec of the TrainingJob.
    """

    accelerator_policy: AcceleratorPolicy
    spec: TrainingJobSpec
