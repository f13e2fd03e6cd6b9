"""Exit codes of the trainer and their reasons."""

from enum import IntEnum

from trainingjob_api.reasons import Reason


class ExitCode(IntEnum):
    """An exit code of the trainer. The Job's podFailurePolicy and the operator rely on them.

    Attributes:
        reason: The reason of the failure when there is no termination message.
        final: Whether a retry is useless, because the cause is the spec, the data or the model.
    """

    reason: Reason
    final: bool

    DONE = 0, Reason.COMPLETED, False
    UNEXPECTED = 1, Reason.TRAINER_ERROR, False
    CONFIGURATION = 10, Reason.INVALID_CONFIGURATION, True
    DATA = 11, Reason.DATA_UNAVAILABLE, True
    ARTIFACT_STORE = 12, Reason.ARTIFACT_STORE_FAILED, False
    REGISTRY = 13, Reason.REGISTRY_FAILED, False
    STOPPED = 14, Reason.EVICTED, False
    ACCELERATOR_MISSING = 15, Reason.ACCELERATOR_MISSING, True
    GATE_FAILED = 16, Reason.GATE_FAILED, True
    DIVERGED = 17, Reason.DIVERGED, True
    TOO_MANY_FAILED = 18, Reason.TOO_MANY_FAILED, True

    def __new__(cls, value: int, reason: Reason, final: bool) -> "ExitCode":
        """Make a member that is equal to its number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.reason, member.final = reason, final
        return member

    @classmethod
    def of(cls, reason: Reason) -> "ExitCode":
        """The exit code of a run that ends for a reason; ``UNEXPECTED`` for a reason without its own code."""
        return _OTHER_REASONS.get(reason) or next((code for code in cls if code.reason is reason), cls.UNEXPECTED)


_OTHER_REASONS = {
    Reason.INSUFFICIENT_DATA: ExitCode.DATA,
    Reason.SINGLE_CLASS: ExitCode.DATA,
    # The code alone cannot distinguish an eviction from a suspension, so STOPPED itself means Evicted.
    Reason.SUSPENDED: ExitCode.STOPPED,
}

FINAL_EXIT_CODES = tuple(code for code in ExitCode if code.final)
"""Exit codes after which a Job does not retry."""


_REASONS = {int(code): code.reason for code in ExitCode if code is not ExitCode.DONE}


def reason_of(exit_code: int) -> Reason:
    """The reason for the exit code of a failed container; ``TrainerError`` for a code that the trainer does not use."""
    return _REASONS.get(exit_code, Reason.TRAINER_ERROR)
