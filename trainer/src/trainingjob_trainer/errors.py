"""How a run ends other than well: one exception, whose reason decides the exit code of the process."""

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason


class TrainingError(Exception):
    """A run that cannot go on, told to the person who must act.

    Args:
        reason: Why, such as ``InsufficientData``.
        message: What is wrong, where, how many, and what to do.
        transient: True when another attempt may succeed without any change (a server that is down). The process
            then ends with a code that the Job retries, whatever the reason.
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
