"""The spec of a TrainingJob as frozen pydantic models, with every default resolved.

The CRD in ``crds/`` is the source of truth and describes each field; a test compares the two. Attribute names are the
API's names in snake_case. Values that the CRD refuses are refused here too.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from trainingjob_api.metrics import gate_metrics
from trainingjob_api.nearest import nearest
from trainingjob_api.pod import Accelerator, Resources, RunPolicy, Scheduling
from trainingjob_api.values import (
    BUCKET,
    COLUMN,
    HEALTH_INDICATORS,
    KEY_COLUMNS,
    MACHINE,
    MAXIMUM_SEARCH_SETTINGS,
    SOURCE_COLUMN,
    TABLE,
    Bound,
    Choices,
    Limits,
    ModelType,
    Moment,
    Name,
    Part,
    Range,
    distinct,
    is_date,
    parse_moment,
    telemetry_columns,
    usable_in_object_names,
)


class Gru(Part):
    """How a health score model is built and trained."""

    sequence_length: int = Field(default=60, ge=2, le=1440)
    units: Annotated[tuple[Annotated[int, Field(ge=1, le=512)], ...], Field(strict=False)] = Field(
        default=(64, 32), min_length=2, max_length=2
    )
    dropout: float = Field(default=0.2, ge=0, lt=1)
    epochs: int | None = Field(default=None, ge=1, le=10_000)
    steps_per_epoch: int | None = Field(default=None, ge=1, le=1_000_000)
    batch_size: int = Field(default=32, ge=1, le=8192)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    early_stopping_patience: int = Field(default=15, ge=1, le=10_000)
    reduce_lr_on_plateau_patience: int = Field(default=5, ge=1, le=10_000, alias="reduceLROnPlateauPatience")
    features: Annotated[
        tuple[Annotated[str, Field(pattern=COLUMN, min_length=1, max_length=63)], ...],
        Field(strict=False, max_length=64),
        AfterValidator(distinct),
    ] = ()
    missing_indicators: Literal["Refuse", "Neutral"] = "Refuse"
    health_ranges: Annotated[Mapping[str, Range], Field(max_length=4)] = Field(default_factory=dict)
    output: Literal["Residual", "Direct"] = "Residual"

    @model_validator(mode="after")
    def _health_is_a_target(self) -> Self:
        refused = {*KEY_COLUMNS, "health_score"}.intersection(self.features)
        if refused:
            raise ValueError(f"features must name sensors, not {', '.join(sorted(refused))}")
        unknown = set(self.health_ranges).difference(HEALTH_INDICATORS)
        if unknown:
            name = min(unknown)
            meant = nearest(name, HEALTH_INDICATORS)
            hint = f"; {meant} is probably meant" if meant else ""
            raise ValueError(f"healthRanges must name Oil_P, Oil_L, Recalque or Succao, not {name}{hint}")
        missing = set(HEALTH_INDICATORS).difference(self.features)
        if self.features and missing and self.output == "Residual" and self.missing_indicators == "Refuse":
            raise ValueError(
                "features must hold Oil_P, Oil_L, Recalque and Succao when output is Residual and missingIndicators "
                f"is Refuse; {', '.join(sorted(missing))} is missing"
            )
        return self


class Search(Part):
    """The settings that an xgb search tries; if scores are equal, the first setting in the given order is chosen."""

    n_estimators: Choices[Annotated[int, Field(ge=1, le=5000)]] = (100, 200)
    max_depth: Choices[Annotated[int, Field(ge=1, le=20)]] = (4, 6, 8)
    learning_rate: Choices[Annotated[float, Field(gt=0, le=1)]] = (0.05, 0.1, 0.2)
    subsample: Choices[Annotated[float, Field(gt=0, le=1)]] = (0.8, 1.0)
    scoring: Literal["recall", "average_precision"] = "recall"

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        settings = len(self.n_estimators) * len(self.max_depth) * len(self.learning_rate) * len(self.subsample)
        if settings > MAXIMUM_SEARCH_SETTINGS:
            raise ValueError(f"search must have at most {MAXIMUM_SEARCH_SETTINGS} settings, not {settings}")
        return self


class Xgb(Part):
    """How a failure model is labelled and searched."""

    pre_failure_window_minutes: int = Field(default=30, ge=1, le=10_080)
    rpm_drop_percent: float = Field(default=-70, ge=-100, le=-1)
    search: Search = Field(default_factory=Search)
    folds: int = Field(default=3, ge=2, le=10)
    target_recall: float = Field(default=0.8, gt=0, le=1)


class Model(Part):
    """The model to train. Both blocks always exist, with defaults; ``type`` selects the one that is used."""

    type: ModelType
    gru: Gru = Field(default_factory=Gru)
    xgb: Xgb = Field(default_factory=Xgb)
    seed: int = Field(default=42, ge=0, le=2_147_483_647)

    @model_validator(mode="after")
    def _one_block(self) -> Self:
        other = "xgb" if self.type == "gru" else "gru"
        if other in self.model_fields_set:
            raise ValueError(f"{other} must not be set when type is {self.type}")
        return self


class Data(Part):
    """Which rows to train on and how they are split."""

    start_date: Moment | None = None
    end_date: Moment | None = None
    lookback_days: int | None = Field(default=None, ge=1, le=3660)
    table: str = Field(default="processed_data", pattern=TABLE, min_length=1, max_length=127)
    columns: Annotated[
        Mapping[str, Annotated[str, Field(pattern=SOURCE_COLUMN, min_length=1, max_length=63)]],
        Field(max_length=64),
        AfterValidator(telemetry_columns),
    ] = Field(default_factory=dict)
    limits: Annotated[Mapping[str, Limits], Field(max_length=64), AfterValidator(telemetry_columns)] = Field(
        default_factory=dict
    )
    max_gap_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    min_rows: int = Field(default=1000, ge=1, le=100_000_000)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    database_secret_name: Name | None = None

    @model_validator(mode="after")
    def _window_not_empty(self) -> Self:
        if self.lookback_days is not None and (self.start_date or self.end_date):
            raise ValueError("lookbackDays must not be set beside startDate or endDate")
        if self.start_date and self.end_date:
            end = parse_moment(self.end_date)
            start = parse_moment(self.start_date)
            if start > end or (start == end and not is_date(self.end_date)):
                raise ValueError("startDate must be before endDate")
        return self


class Artifacts(Part):
    """Where the model is stored."""

    bucket: str = Field(default="models", pattern=BUCKET, min_length=3, max_length=63)
    secret_name: Name | None = None


class Gate(Part):
    """Bounds, both inclusive, that a metric of the test part must meet before the model is registered."""

    metric: Annotated[str, Field(min_length=1, max_length=63)]
    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _passable(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("min or max must be set")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not be above max")
        return self


class Training(Part):
    """What to train, for any machine: the model, the data, and where the model is stored."""

    model: Model
    data: Data = Field(default_factory=Data)
    artifacts: Artifacts = Field(default_factory=Artifacts)
    gates: Annotated[tuple[Gate, ...], Field(strict=False, max_length=16)] = ()
    reuse: Literal["Equal", "Never"] = "Equal"

    @model_validator(mode="after")
    def _gates_of_this_model(self) -> Self:
        known = gate_metrics(self.model.type)
        names = [gate.metric for gate in self.gates]
        if len(set(names)) != len(names):
            raise ValueError("gates must name each metric once")
        for name in names:
            if name not in known:
                raise ValueError(f"gates: a {self.model.type} model has no metric {name!r}; it has {', '.join(known)}")
        return self


MachineName = Annotated[
    str, Field(pattern=MACHINE, min_length=1, max_length=63), AfterValidator(usable_in_object_names)
]


class TrainingJobSpec(Training):
    """The spec of a TrainingJob: a machine, the model to train for it, the data to train on, and its pod."""

    machine: MachineName
    accelerator: Accelerator = Field(default_factory=Accelerator)
    resources: Resources | None = None
    scheduling: Scheduling = Field(default_factory=Scheduling)
    run_policy: RunPolicy = Field(default_factory=RunPolicy)
