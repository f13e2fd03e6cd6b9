"""Progress of a run: its stages, and the Prometheus metrics by which the trainer exposes it."""

from enum import StrEnum


class Stage(StrEnum):
    """The stages of a run, in order."""

    STARTING = "Starting"
    LOADING = "Loading"
    PREPARING = "Preparing"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    PUBLISHING = "Publishing"
    REGISTERING = "Registering"


class ProgressMetric(StrEnum):
    """Names of the metrics that the trainer exposes and the operator reads. All except the stage are gauges."""

    STAGE = "trainingjob_stage"
    RATIO = "trainingjob_progress_ratio"
    LAST_ADVANCE = "trainingjob_last_advance_timestamp_seconds"
    EPOCH = "trainingjob_epoch"
    EPOCHS = "trainingjob_epochs"
    LOSS = "trainingjob_loss"
    VALIDATION_LOSS = "trainingjob_validation_loss"
