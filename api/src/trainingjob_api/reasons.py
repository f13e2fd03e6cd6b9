"""The closed list of reasons in conditions, failures and Events, with the meaning of each and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a TrainingJob or a TrainingFleet is in its current state. Users search the documentation for these words."""

    SCHEDULED = "Scheduled"
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
    TOO_MANY_FAILED = "TooManyFailed"
    TRAINER_ERROR = "TrainerError"
    JOB_DELETED = "JobDeleted"
    SUPERSEDED = "Superseded"
    RUN_SKIPPED = "RunSkipped"
    ADOPTED_EXISTING_RUN = "AdoptedExistingRun"
    COMPLETED = "Completed"

    @classmethod
    def known(cls, text: object, otherwise: "Reason") -> "Reason":
        """The reason with that name; ``otherwise`` when the text is not a name in the list."""
        return cls(text) if isinstance(text, str) and text in cls._value2member_map_ else otherwise


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means, and what the user does about it; one sentence each, in Markdown."""

    meaning: str
    action: str


_NOTHING = "Nothing. The operator continues by itself."

EXPLANATIONS: Mapping[Reason, Explanation] = {
    Reason.SCHEDULED: Explanation("The TrainingFleet waits for its next scheduled run.", _NOTHING),
    Reason.ACCEPTED: Explanation("The operator has accepted the run and creates its Job.", _NOTHING),
    Reason.QUEUED: Explanation(
        "A queue such as Kueue holds the Job. No timeout counts.",
        "Wait for quota. The message, or `kubectl describe workloads`, says why the Job is held.",
    ),
    Reason.UNSCHEDULABLE: Explanation(
        "No node has room for the pod.",
        "Read the scheduler's message; lower `spec.resources`, or add nodes. With policy `Preferred` the run falls "
        "back to the CPU.",
    ),
    Reason.FELL_BACK_TO_CPU: Explanation(
        "No accelerator was available in time; the run continues on the CPU.",
        "Nothing, or set `spec.accelerator.policy: Required` to wait for an accelerator.",
    ),
    Reason.POD_NOT_CREATED: Explanation(
        "The Job or its pod cannot be created.",
        "Read the message: a ResourceQuota, a LimitRange, an admission rule or a webhook refuses it, a webhook is "
        "down, or the pod of an earlier Job still exists.",
    ),
    Reason.IMAGE_PULL_FAILED: Explanation(
        "The node cannot pull the trainer image.",
        "Check `TRAINER_IMAGE_CPU`, `TRAINER_IMAGES_ACCELERATOR` and `IMAGE_PULL_SECRETS` of the operator.",
    ),
    Reason.CONTAINER_CONFIG_ERROR: Explanation(
        "The container cannot be created, usually because a Secret or one of its keys is missing.",
        "Create the Secret that the message names, in the TrainingJob's namespace.",
    ),
    Reason.START_TIMEOUT: Explanation(
        "The pod has a node, but the trainer did not start within `START_TIMEOUT_SECONDS`.",
        "Read `kubectl describe pod`; raise the timeout if the image is large and the network slow.",
    ),
    Reason.STARTING: Explanation("The pod starts.", _NOTHING),
    Reason.TRAINING: Explanation("The trainer runs; `status.progress` says how far it is.", _NOTHING),
    Reason.SUSPENDED: Explanation(
        "`spec.runPolicy.suspend` is set. A `gru` run continues from its checkpoint, an `xgb` run starts again.",
        "Set it to false to continue.",
    ),
    Reason.RETRYING: Explanation(
        "A pod failed for a cause that may be transient. A new pod follows.",
        "Nothing; `status.lastFailure` has the cause.",
    ),
    Reason.NO_PROGRESS: Explanation(
        "The training made no progress for `spec.runPolicy.stallTimeoutSeconds` and ended itself.",
        "Read the trainer's log: it holds the stack of every thread.",
    ),
    Reason.PREEMPTED: Explanation(
        "A pod of higher priority took the node. The attempt is repeated and not counted.", _NOTHING
    ),
    Reason.EVICTED: Explanation("The node evicted the pod. The attempt is repeated and not counted.", _NOTHING),
    Reason.NODE_LOST: Explanation(
        "The pod's node does not respond or was removed. No other pod starts while this one may still run.",
        "If the message names a node that does not come back, delete it or apply the taint "
        "`node.kubernetes.io/out-of-service`, so that the pod ends and the next attempt starts.",
    ),
    Reason.NODE_REJECTED: Explanation(
        "The node refused the pod, for example because its device plugin had no free device.", _NOTHING
    ),
    Reason.OUT_OF_MEMORY: Explanation(
        "The trainer needed more memory than its limit.", "Raise `spec.resources.limits.memory`."
    ),
    Reason.DEADLINE_EXCEEDED: Explanation(
        "The attempt took longer than `spec.runPolicy.activeDeadlineSeconds`.",
        "Raise the deadline, or shorten the period of the data.",
    ),
    Reason.SCHEDULING_TIMEOUT: Explanation(
        "No node was found within `spec.runPolicy.schedulingTimeoutSeconds`.",
        "Free or add capacity, or raise the timeout; then change the spec or request a retraining.",
    ),
    Reason.BACKOFF_LIMIT_EXCEEDED: Explanation(
        "The pods failed more often than `spec.runPolicy.backoffLimit` allows, without a report of the trainer.",
        "Read the log of the last pod and `status.lastFailure`.",
    ),
    Reason.INVALID_CONFIGURATION: Explanation(
        "The spec, a Secret or the operator's configuration has a wrong value; the message names the field or key.",
        "Correct the value. A change of the spec starts a new run; after any other correction, request a retraining.",
    ),
    Reason.DATA_UNAVAILABLE: Explanation(
        "The telemetry cannot be read.", "Check the database Secret, its rights, `spec.data.table` and the columns."
    ),
    Reason.INSUFFICIENT_DATA: Explanation(
        "The period holds too few usable rows; the message has the numbers found and needed.",
        "Widen the period, or correct what the message says about columns and limits.",
    ),
    Reason.SINGLE_CLASS: Explanation(
        "The training part has no failure, or nothing but failures.", "Choose a longer period that contains failures."
    ),
    Reason.DIVERGED: Explanation(
        "A loss was not finite.", "Lower `spec.model.gru.learningRate`, and look for extreme values in the data."
    ),
    Reason.ACCELERATOR_MISSING: Explanation(
        "The pod has an accelerator that it cannot see or use.",
        "Check the driver of the node, the device plugin, `runtimeClassName` and the trainer image.",
    ),
    Reason.ARTIFACT_STORE_FAILED: Explanation(
        "The object store refused, failed, or returned other content than was stored.",
        "Check the store Secret, the bucket and its free space.",
    ),
    Reason.REGISTRY_FAILED: Explanation(
        "The tables `models` and `training_runs` cannot be written as the trainer needs it.",
        "Grant the right, or correct the column, that the message names; `trainingjob-trainer init-db` creates "
        "missing tables.",
    ),
    Reason.GATE_FAILED: Explanation(
        "The model failed a gate. It is kept under `rejected/` and not registered.",
        "Compare `status.metrics` with `spec.gates`; change the data or the gate.",
    ),
    Reason.TOO_MANY_FAILED: Explanation(
        "More machines of a TrainingFleet failed than `spec.maxFailedPercent` allows. The others have their models.",
        "Read `status.failures` and the fleet's report; correct the causes, then annotate the fleet with "
        "`training.pumphealth.io/retry-failed-requested-at`.",
    ),
    Reason.TRAINER_ERROR: Explanation(
        "An unexpected error in the trainer.", "Report it with the traceback from the pod's log."
    ),
    Reason.JOB_DELETED: Explanation(
        "Somebody deleted the Job of the run.", "Change the spec or request a retraining to start a new run."
    ),
    Reason.SUPERSEDED: Explanation("The spec changed; a new run or attempt replaces this one.", _NOTHING),
    Reason.RUN_SKIPPED: Explanation(
        "A scheduled run of a TrainingFleet, or a request to try its failed machines again, is not acted on.",
        "Read the Event: the run before has not ended, the time has passed, or no machine has failed. To start a run "
        "now, request a retraining.",
    ),
    Reason.ADOPTED_EXISTING_RUN: Explanation(
        "An equal run has a registered model; it was verified and adopted.",
        "Nothing; set `spec.reuse: Never` to train anyway.",
    ),
    Reason.COMPLETED: Explanation("The model is trained, stored, verified and registered.", "Nothing."),
}
