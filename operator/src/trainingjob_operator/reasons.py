"""The closed list of reasons that conditions, failures and Events name."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a TrainingJob is where it is: what a person searches the documentation for."""

    ACCEPTED = "Accepted"
    QUEUED = "Queued"
    UNSCHEDULABLE = "Unschedulable"
    FELL_BACK_TO_CPU = "FellBackToCPU"
    POD_NOT_CREATED = "PodNotCreated"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    START_TIMEOUT = "StartTimeout"
    STARTING = "Starting"
    TRAINING = "Training"
    SUSPENDED = "Suspended"
    RETRYING = "Retrying"
    NO_PROGRESS = "NoProgress"
    PREEMPTED = "Preempted"
    EVICTED = "Evicted"
    NODE_LOST = "NodeLost"
    NODE_REJECTED = "NodeRejected"
    OUT_OF_MEMORY = "OutOfMemory"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    SCHEDULING_TIMEOUT = "SchedulingTimeout"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    DATA_UNAVAILABLE = "DataUnavailable"
    INSUFFICIENT_DATA = "InsufficientData"
    SINGLE_CLASS = "SingleClass"
    DIVERGED = "Diverged"
    ACCELERATOR_MISSING = "AcceleratorMissing"
    ARTIFACT_STORE_FAILED = "ArtifactStoreFailed"
    REGISTRY_FAILED = "RegistryFailed"
    GATE_FAILED = "GateFailed"
    TRAINER_ERROR = "TrainerError"
    JOB_DELETED = "JobDeleted"
    SUPERSEDED = "Superseded"
    ADOPTED_EXISTING_RUN = "AdoptedExistingRun"
    COMPLETED = "Completed"

    @classmethod
    def known(cls, text: object, otherwise: Reason) -> Reason:
        """The reason of that name, or ``otherwise`` for a word that is not in the list."""
        return cls(text) if isinstance(text, str) and text in cls._value2member_map_ else otherwise
