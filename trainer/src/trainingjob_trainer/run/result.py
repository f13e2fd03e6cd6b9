"""What is known of a run so far, filled in as it goes, and the words in which its end is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import Outcome
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError


@dataclass
class Findings:
    """What a run has found so far; a run that fails has found what was known until then.

    Every attribute has the name and the form of its key in the termination message.
    """

    summary: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Mapping[str, Any]] = ()
    registration: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    device: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Ending:
    """How a run ended: a reason of the API, a message for people, and the exit code of the process."""

    reason: Reason
    message: str
    exit_code: ExitCode = ExitCode.DONE

    @property
    def outcome(self) -> Outcome:
        """``Succeeded``, ``Stopped`` (it can go on from a checkpoint) or ``Failed``."""
        if self.exit_code is ExitCode.DONE:
            return "Succeeded"
        return "Stopped" if self.exit_code is ExitCode.STOPPED else "Failed"


def ending_of(error: BaseException) -> Ending:
    """How a run ends that was ended by an exception."""
    if isinstance(error, TrainingError):
        return Ending(error.reason, error.message, error.exit_code)
    if isinstance(error, MemoryError):
        return Ending(Reason.OUT_OF_MEMORY, f"The process has no more memory ({error}).", ExitCode.UNEXPECTED)
    return Ending(
        Reason.TRAINER_ERROR,
        f"{type(error).__name__}: {error}. This is a fault of the trainer or its machine; its log holds the details.",
        ExitCode.UNEXPECTED,
    )


def termination_facts(run: TrainingRun | None, ending: Ending, findings: Findings) -> dict[str, Any]:
    """The facts for the termination message.

    Args:
        run: None when not even that could be read.
        ending: How it ended.
        findings: What was known by then.
    """
    identity = {"uid": run.uid, "run": run.run, "attempt": run.attempt} if run else {}
    return {
        **identity,
        "outcome": ending.outcome,
        "reason": ending.reason,
        "message": ending.message,
        "exitCode": int(ending.exit_code),
        **vars(findings),
    }
