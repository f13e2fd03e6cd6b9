"""A run as a process: what it computes on, who listens, what ends it early, and what it leaves behind as its end.

Heavy libraries are imported only after the environment variables that they read are set.
"""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import termination_message
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.run.device import choose_device, cpu_threads, process_environment, visible_gpus
from trainingjob_trainer.run.exporter import MetricsEndpoint
from trainingjob_trainer.run.progress import Listener, RunProgress
from trainingjob_trainer.run.result import Ending, Findings, ending_of, termination_facts
from trainingjob_trainer.run.watchdog import StallWatch
from trainingjob_trainer.storage.redaction import redact

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What is around a run, in a pod or at a terminal.

    Attributes:
        termination_path: Where the termination message goes; None: nowhere.
        metrics_port: Where progress is served; None: nowhere.
        listeners: Who else hears of progress.
    """

    termination_path: Path | None = None
    metrics_port: int | None = None
    listeners: Sequence[Listener] = ()


def launch(run: TrainingRun, surroundings: Surroundings) -> tuple[Ending, Findings]:
    """Execute a run and tell its end; raises nothing.

    SIGTERM and SIGINT ask the training to save its state and to end. A run in which nothing advances for
    ``runPolicy.stallTimeoutSeconds`` ends the process, with every thread's stack in the log.
    """
    findings = Findings()
    ending = Ending(Reason.TRAINER_ERROR, "The run did not begin.", ExitCode.UNEXPECTED)
    try:
        ending = _executed(run, surroundings, findings)
    except Exception as error:  # noqa: BLE001 - the outermost edge: every end is told, and the unknown ones are logged
        ending = _redacted(ending_of(error))
        if ending.reason in (Reason.TRAINER_ERROR, Reason.OUT_OF_MEMORY):
            _LOG.exception("the run ended unexpectedly")
    tell(run, ending, findings, surroundings.termination_path)
    return ending, findings


def _redacted(ending: Ending) -> Ending:
    return replace(ending, message=redact(ending.message, os.environ))


def tell(run: TrainingRun | None, ending: Ending, findings: Findings, path: Path | None) -> None:
    """Write the termination message, if it is wanted anywhere."""
    if path is None:
        return
    try:
        path.write_bytes(termination_message(termination_facts(run, ending, findings)))
    except OSError as error:
        _LOG.error("the termination message cannot be written to %s: %s", path, error)


def _executed(run: TrainingRun, surroundings: Surroundings, findings: Findings) -> Ending:
    device = choose_device(run, visible_gpus(), cpu_threads(os.environ))
    findings.device = {"used": device.used}
    os.environ.update(process_environment(device, os.environ))
    _LOG.info("computing on the %s with %d CPU threads", device.used, device.threads)

    def stalled() -> None:
        seconds = run.spec.run_policy.stall_timeout_seconds
        message = f"Nothing advanced for {seconds} s in stage {progress.now.stage}; the log holds every stack."
        tell(run, Ending(Reason.NO_PROGRESS, message, ExitCode.UNEXPECTED), findings, surroundings.termination_path)

    watch = StallWatch(run.spec.run_policy.stall_timeout_seconds, stalled)
    progress = RunProgress([*surroundings.listeners, *_endpoint(surroundings.metrics_port), watch])
    with ExitStack() as stack:
        stack.enter_context(watch)
        stack.enter_context(_stop_on_signal(progress))
        from trainingjob_trainer.run.pipeline import execute
        from trainingjob_trainer.storage.object_store import ObjectStore

        store = ObjectStore.from_environment(os.environ, run.spec.artifacts.bucket)
        return execute(run, device, progress, store, findings)


def _endpoint(port: int | None) -> list[Listener]:
    if port is None:
        return []
    try:
        return [MetricsEndpoint(port)]
    except OSError as error:
        _LOG.warning("progress is not served on port %d: %s", port, error)
        return []


@contextmanager
def _stop_on_signal(progress: RunProgress) -> Iterator[None]:
    """Ask for a stop on SIGTERM and SIGINT; a second SIGINT interrupts at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        _LOG.warning("%s: the run saves its state and ends", signal.Signals(number).name)
        progress.request_stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
