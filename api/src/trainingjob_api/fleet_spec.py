"""The spec of a TrainingFleet as frozen pydantic models, with every default resolved. See ``spec``."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from trainingjob_api.pod import Accelerator, Resources, RunPolicy, Scheduling
from trainingjob_api.schedule import check_cron, check_time_zone
from trainingjob_api.spec import Gru, MachineName, Model, Training, TrainingJobSpec
from trainingjob_api.values import CRON, GLOB, TIME_ZONE, Part, Seconds, distinct

MAXIMUM_MACHINES = 2000

Glob = Annotated[str, Field(pattern=GLOB, min_length=1, max_length=63)]
Percent = Annotated[int, Field(ge=0, le=100)]


class Machines(Part):
    """Which machines a fleet trains."""

    names: Annotated[
        tuple[MachineName, ...], Field(strict=False, max_length=MAXIMUM_MACHINES), AfterValidator(distinct)
    ] = ()
    matching: Glob | None = None
    exclude: Annotated[tuple[Glob, ...], Field(strict=False, max_length=64), AfterValidator(distinct)] = ()
    min_percent_of_last_run: Percent = 50

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if bool(self.names) == (self.matching is not None):
            raise ValueError("exactly one of names and matching must be set")
        return self


class FleetGru(Gru):
    """How the health score models of a fleet are built and trained."""

    base: Literal["Fleet", "Own"] = "Fleet"


class FleetModel(Model):
    """The model to train for each machine."""

    gru: FleetGru = Field(default_factory=FleetGru)


class Template(Training):
    """What is trained for each machine."""

    model: FleetModel


class Schedule(Part):
    """When runs start."""

    cron: Annotated[str, Field(pattern=CRON, min_length=1, max_length=100), AfterValidator(check_cron)]
    time_zone: Annotated[
        str, Field(pattern=TIME_ZONE, min_length=1, max_length=64), AfterValidator(check_time_zone)
    ] = "Etc/UTC"
    starting_deadline_seconds: Seconds = 21_600


class Retrain(Part):
    """Which machines with a registered model are trained again: those to which any of the conditions applies."""

    new_rows: int | None = Field(default=None, ge=1, le=100_000_000)
    older_than_days: int | None = Field(default=None, ge=1, le=3660)
    error_ratio: float | None = Field(default=None, gt=1, le=1000)

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        if self.new_rows is None and self.older_than_days is None and self.error_ratio is None:
            raise ValueError("newRows, olderThanDays or errorRatio must be set")
        return self


class TrainingFleetSpec(Part):
    """The spec of a TrainingFleet: machines, what to train for each of them, when, and the workers that train."""

    machines: Machines
    template: Template
    schedule: Schedule | None = None
    workers: int = Field(default=1, ge=1, le=100)
    retries_per_machine: int = Field(default=1, ge=0, le=10)
    max_failed_percent: Percent = 20
    retrain: Retrain | None = None
    accelerator: Accelerator = Field(default_factory=Accelerator)
    resources: Resources | None = None
    scheduling: Scheduling = Field(default_factory=Scheduling)
    run_policy: RunPolicy = Field(default_factory=RunPolicy)

    @model_validator(mode="after")
    def _error_of_gru(self) -> Self:
        if self.retrain and self.retrain.error_ratio is not None and self.template.model.type != "gru":
            raise ValueError("retrain.errorRatio must not be set when template.model.type is not gru")
        return self

    def of_machine(self, machine: str) -> TrainingJobSpec:
        """The spec of the TrainingJob that trains one machine as this fleet does, apart from the base of the fleet."""
        spec = self.template.as_json() | {"machine": machine}
        if "gru" in spec["model"]:
            spec["model"] = spec["model"] | {"gru": {k: v for k, v in spec["model"]["gru"].items() if k != "base"}}
        return TrainingJobSpec.model_validate(spec)
