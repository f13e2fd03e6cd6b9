"""The process of a run: its device, listeners, signals, watchdog and termination message.

Heavy libraries are imported after the environment variables that they read are set.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.progress import Stage
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import termination_message
from trainingjob_api.training_run import RunIdentity, TrainingRun
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.compile_cache import cache_environment
from trainingjob_trainer.run.device import choose_device, cpu_threads, process_environment, visible_gpus
from trainingjob_trainer.run.exporter import MetricsEndpoint, served
from trainingjob_trainer.run.progress import Listener, RunProgress
from trainingjob_trainer.run.result import RunResult, result_of, termination_facts
from trainingjob_trainer.run.watchdog import Watchdog
from trainingjob_trainer.storage.redaction import redact

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RuntimeConfig:
    """Configuration of the process: where it writes the result and reports progress.

    Attributes:
        termination_path: Path of the termination message; None disables it.
        metrics_port: Port of the metrics endpoint; None disables it.
        listeners: Further receivers of progress.
    """

    termination_path: Path | None = None
    metrics_port: int | None = None
    listeners: Sequence[Listener] = ()


def launch(run: TrainingRun, config: RuntimeConfig) -> RunResult:
    """Execute a run in this process; see ``in_process``."""

    def work(device: Device, progress: RunProgress) -> RunResult:
        from trainingjob_trainer.run.pipeline import execute
        from trainingjob_trainer.storage.object_store import ObjectStore

        store = ObjectStore.from_environment(os.environ, run.spec.artifacts.bucket)
        return execute(run, device, progress, store)

    return in_process(run, config, work)


def in_process(
    run: TrainingRun | FleetRun, config: RuntimeConfig, work: Callable[[Device, RunProgress], RunResult]
) -> RunResult:
    """Do the work of a run in this process and write its termination message. Every exception becomes a result.

    SIGTERM and SIGINT request the work to save its state and stop. If there is no heartbeat for
    ``runPolicy.stallTimeoutSeconds``, the process ends and logs the stack of every thread.

    Args:
        run: The run.
        config: See ``RuntimeConfig``.
        work: Imports the heavy libraries itself, because it is called when the environment variables are set.

    Raises:
        KeyboardInterrupt: At a second SIGINT. No termination message is written then.
    """

    def on_stall() -> None:
        message = f"No progress for {timeout} s in stage {progress.now.stage}; the log has the stack of every thread."
        result = RunResult(Reason.NO_PROGRESS, message, ExitCode.UNEXPECTED, progress.now.summary)
        write_termination(config.termination_path, run, result)
        logger.error("%s: %s", result.reason, result.message)

    timeout = run.spec.run_policy.stall_timeout_seconds
    watchdog = Watchdog(timeout, on_stall)
    endpoint = served(MetricsEndpoint, config.metrics_port)
    progress = RunProgress([*config.listeners, *([endpoint] if endpoint else []), watchdog])
    try:
        device = choose_device(run, visible_gpus(), cpu_threads(os.environ))
        os.environ.update(process_environment(device, os.environ))
        os.environ.update(cache_environment(device, os.environ))
        logger.info("using the %s with %d CPU threads", device.used, device.threads)
        progress.record(device={"used": device.used})
        with watchdog, _stop_on_signal(progress):
            progress.stage(Stage.STARTING)
            result = work(device, progress)
    except Exception as error:
        result = result_of(error, progress.now.summary)
        result = replace(result, message=redact(result.message, os.environ))
        if result.reason in (Reason.TRAINER_ERROR, Reason.OUT_OF_MEMORY):
            logger.exception("the run ended unexpectedly")
    result = replace(result, summary=replace(result.summary, device=progress.now.summary.device))
    write_termination(config.termination_path, run, result)
    return result


def write_termination(path: Path | None, run: RunIdentity | None, result: RunResult) -> None:
    """Write the termination message, if there is a path. An OSError is only logged."""
    if path is None:
        return
    try:
        path.write_bytes(termination_message(termination_facts(run, result)))
    except OSError as error:
        logger.error("the termination message cannot be written to %s: %s", path, error)


@contextmanager
def _stop_on_signal(progress: RunProgress) -> Iterator[None]:
    """Request a stop on SIGTERM and SIGINT; a second SIGINT interrupts immediately."""

    def request_stop(number: int, frame: FrameType | None) -> None:
        logger.warning("received %s: the run saves its state and stops", signal.Signals(number).name)
        progress.request_stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = {number: signal.signal(number, request_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
