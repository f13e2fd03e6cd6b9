"""How far a run is: its stages, and the Prometheus metrics in which a trainer serves its progress."""

from enum import StrEnum


class Stage(StrEnum):
    """What a run is doing, in the order in which it happens."""

    STARTING = "Starting"
    LOADING = "Loading"
    PREPARING = "Preparing"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    PUBLISHING = "Publishing"
    REGISTERING = "Registering"


class ProgressMetric(StrEnum):
    """Names of the metrics that the trainer serves and the operator reads. All but the stage are gauges."""

    STAGE = "trainingjob_stage"
    RATIO = "trainingjob_progress_ratio"
    LAST_ADVANCE = "trainingjob_last_advance_timestamp_seconds"
    EPOCH = "trainingjob_epoch"
    EPOCHS = "trainingjob_epochs"
    LOSS = "trainingjob_loss"
    VALIDATION_LOSS = "trainingjob_validation_loss"
