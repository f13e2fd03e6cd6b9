"""How a run ends other than well: one exception, whose reason decides the exit code of the process."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the trainer; the Job's podFailurePolicy and the operator rely on them."""

    DONE = 0
    UNEXPECTED = 1
    CONFIGURATION = 10
    DATA = 11
    ARTIFACT_STORE = 12
    REGISTRY = 13
    STOPPED = 14
    ACCELERATOR_MISSING = 15
    GATE_FAILED = 16
    DIVERGED = 17


class TrainingError(Exception):
    """A run that cannot go on, told to the person who must act.

    Args:
        reason: One of the reasons that the TrainingJob API documents, such as ``InsufficientData``.
        message: What is wrong, where, how many, and what to do.
        transient: True when another attempt may succeed without any change (a server that is down). The process
            then ends with a code that the Job retries, whatever the reason.
    """

    def __init__(self, reason: str, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.transient = transient

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process; unknown reasons end with ``UNEXPECTED``."""
        code = _EXIT_CODES.get(self.reason, ExitCode.UNEXPECTED)
        retried = code in (ExitCode.ARTIFACT_STORE, ExitCode.REGISTRY, ExitCode.UNEXPECTED)
        return ExitCode.UNEXPECTED if self.transient and not retried else code


_EXIT_CODES = {
    "InvalidConfiguration": ExitCode.CONFIGURATION,
    "DataUnavailable": ExitCode.DATA,
    "InsufficientData": ExitCode.DATA,
    "SingleClass": ExitCode.DATA,
    "ArtifactStoreFailed": ExitCode.ARTIFACT_STORE,
    "RegistryFailed": ExitCode.REGISTRY,
    "Suspended": ExitCode.STOPPED,
    "AcceleratorMissing": ExitCode.ACCELERATOR_MISSING,
    "GateFailed": ExitCode.GATE_FAILED,
    "Diverged": ExitCode.DIVERGED,
}
