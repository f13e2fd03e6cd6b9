"""The result of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import Outcome
from trainingjob_api.training_run import RunIdentity
from trainingjob_trainer.errors import TrainingError


@dataclass(frozen=True)
class RunSummary:
    """Summary of a run; for a failed run, what was known before the failure.

    Every attribute has the name and the format of its key in the termination message; ``machines`` and ``failures``
    are empty unless it is the run of a fleet.
    """

    summary: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Mapping[str, Any]] = ()
    registration: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    device: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    machines: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class RunResult:
    """The result of a run: a reason of the API, a message for the user, the exit code of the process and a summary."""

    reason: Reason
    message: str
    exit_code: ExitCode = ExitCode.DONE
    summary: RunSummary = field(default_factory=RunSummary)

    @property
    def outcome(self) -> Outcome:
        """``Succeeded``, ``Stopped`` (it can resume from a checkpoint) or ``Failed``."""
        if self.exit_code is ExitCode.DONE:
            return "Succeeded"
        return "Stopped" if self.exit_code is ExitCode.STOPPED else "Failed"


def result_of(error: BaseException, summary: RunSummary | None = None) -> RunResult:
    """The result of a run that an exception ended.

    Args:
        error: The exception.
        summary: The summary of the run until then.
    """
    summary = summary or RunSummary()
    if isinstance(error, TrainingError):
        return RunResult(error.reason, error.message, error.exit_code, summary)
    if isinstance(error, MemoryError):
        message = f"The process is out of memory ({error})."
        return RunResult(Reason.OUT_OF_MEMORY, message, ExitCode.UNEXPECTED, summary)
    return RunResult(
        Reason.TRAINER_ERROR,
        f"{type(error).__name__}: {error}. This is an error of the trainer or its machine; the log has the details.",
        ExitCode.UNEXPECTED,
        summary,
    )


def termination_facts(run: RunIdentity | None, result: RunResult) -> dict[str, Any]:
    """The facts for the termination message.

    Args:
        run: The run; None when the environment variable that holds it is invalid.
        result: The result of the run.
    """
    identity = {"uid": run.uid, "run": run.run, "attempt": run.attempt} if run else {}
    return {
        **identity,
        "outcome": result.outcome,
        "reason": result.reason,
        "message": result.message,
        "exitCode": int(result.exit_code),
        **vars(result.summary),
    }
