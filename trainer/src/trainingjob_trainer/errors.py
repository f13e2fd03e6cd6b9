"""The exception by which a run fails; its reason determines the exit code of the process."""

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason


class TrainingError(Exception):
    """An error that ends a run, with a message for the user.

    Args:
        reason: Why, such as ``InsufficientData``.
        message: What is wrong, where, how many, and what to do.
        transient: Whether a retry may succeed without any change, for example when a server is down. The process
            then ends with an exit code that the Job retries, whatever the reason.
    """

    def __init__(self, reason: Reason, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.transient = transient

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process."""
        code = ExitCode.of(self.reason)
        return ExitCode.UNEXPECTED if self.transient and code.final else code
