"""Trains machine after machine: the next one is loaded, and the last one is published, beside the training of one.

Every error of a machine is a state of that machine, and the others are trained.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from psycopg2.extensions import connection

from trainingjob_api.fleet_run import MachineState
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import Dataset
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.context import WorkerContext
from trainingjob_trainer.fleet.decisions.machines import (
    After,
    abandoned,
    after_error,
    attempts_to_claim,
    failure_of,
    machine_run,
    verdict_of,
)
from trainingjob_trainer.fleet.decisions.outcome import is_final
from trainingjob_trainer.fleet.patience import PATIENCE_SECONDS
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.run.freshness import Fresh, examine
from trainingjob_trainer.run.pipeline import LoadedRun, TrainedRun, load, publish_and_register, train
from trainingjob_trainer.run.progress import RunProgress
from trainingjob_trainer.run.result import RunResult, result_of
from trainingjob_trainer.run.reuse import recorded_result
from trainingjob_trainer.storage.ledger_rows import Claim, Verdict
from trainingjob_trainer.storage.registry import Also
from trainingjob_trainer.storage.registry_rows import RecordedRun
from trainingjob_trainer.storage.telemetry import load_telemetry

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class MachineWork:
    """A machine that this process works on, and its progress."""

    claim: Claim
    progress: RunProgress


class MachineTrainer:
    """Trains the machines of a run that this process gets from the ledger."""

    def __init__(self, worker: WorkerContext, base: FleetBase | None) -> None:
        """Take no machine yet.

        Args:
            worker: The worker.
            base: The base of the run.
        """
        self._worker = worker
        self._fleet = worker.fleet
        self._progress = worker.progress
        self._store = worker.store
        self._ledger = worker.ledger
        self._leases = worker.leases
        self._base = base
        self._trouble_since: float | None = None

    def train_all(self) -> None:
        """Train until every machine of the run is final, also those that other workers leave behind.

        Raises:
            TrainingError: Suspended after a request to stop; the error of a server that is not available for long.
                The machines of this process are given back.
        """
        with ThreadPoolExecutor(1, "load") as loader, ThreadPoolExecutor(1, "publish") as publisher:
            upcoming: Future[tuple[MachineWork, LoadedRun] | None] = loader.submit(self._load_next)
            publishing: Future[None] | None = None
            try:
                while True:
                    ready = upcoming.result()
                    if ready is None:
                        if publishing is not None:
                            publishing.result()
                            publishing = None
                        elif is_final(self._worker.patiently(self._ledger.counts)):
                            return
                        else:
                            self._worker.pause()
                        upcoming = loader.submit(self._load_next)
                        continue
                    upcoming = loader.submit(self._load_next)
                    trained = self._train(*ready)
                    if publishing is not None:
                        publishing.result()
                    publishing = None if trained is None else publisher.submit(self._publish, ready[0], trained)
            finally:
                self._wind_up(upcoming)

    def _wind_up(self, upcoming: "Future[tuple[MachineWork, LoadedRun] | None]") -> None:
        """Give back the machine that is loaded and not trained."""
        if not upcoming.cancel() and not upcoming.exception() and (ready := upcoming.result()):
            self._settle(ready[0].claim, TrainingError(Reason.SUSPENDED, "Stopped on request."))

    def _load_next(self) -> tuple[MachineWork, LoadedRun] | None:
        """Take machines until one has to be trained; None when there is none to take now."""
        while not self._progress.should_stop():
            retries = self._fleet.spec.retries_per_machine
            attempts = attempts_to_claim(self._leases.claims, retries)
            if attempts is None:
                return None
            for machine in self._worker.patiently(self._ledger.fail_abandoned, retries, abandoned(retries)):
                logger.error("%s: its process ended in every attempt", machine)
            claim = self._worker.patiently(self._ledger.claim, attempts)
            if claim is None:
                return None
            self._leases.hold(claim)
            logger.info("%s: attempt %d", claim.machine, claim.attempt)
            work = MachineWork(claim, RunProgress(whole=self._progress))
            run = machine_run(self._fleet, claim, self._base.fingerprint if self._base else None)
            loaded = self._guarded(claim, self._load, work, run)
            if isinstance(loaded, Verdict):
                logger.info("%s: %s: %s", claim.machine, loaded.state, loaded.message)
                self._guarded(claim, self._ledger.finish, claim, loaded)
                self._leases.release(claim)
            elif loaded is not None:
                return work, loaded
        return None

    def _load(self, work: MachineWork, run: TrainingRun) -> LoadedRun | Verdict:
        """Load the data of a machine, or say how a machine ends that needs no training."""
        retrain = self._fleet.spec.retrain
        if retrain is not None:
            examined = examine(run, retrain, self._store, lambda: _dataset(run), self._worker.frozen.frozen_at)
            if isinstance(examined, Fresh):
                return _fresh_verdict(examined)
            logger.info("%s: %s", work.claim.machine, examined.message)
        loaded = load(run, work.progress, self._store, self._also(work.claim, run))
        return verdict_of(loaded) if isinstance(loaded, RunResult) else loaded

    def _train(self, work: MachineWork, loaded: LoadedRun) -> TrainedRun | None:
        return self._guarded(work.claim, train, loaded, self._worker.device, work.progress, self._base)

    def _publish(self, work: MachineWork, trained: TrainedRun) -> None:
        also = self._also(work.claim, trained.loaded.run)

        result = self._guarded(
            work.claim, self._worker.patiently, publish_and_register, trained, work.progress, self._store, also
        )
        if result is not None:
            logger.info("%s: %s: %s", work.claim.machine, result.reason, result.message)
            self._leases.release(work.claim)

    def _also(self, claim: Claim, run: TrainingRun) -> Also:
        """Writes the final state of the machine in the transaction that records its run."""

        def finish(session: connection, recorded: RecordedRun) -> None:
            self._ledger.finish_within(session, claim, verdict_of(recorded_result(run, self._store, recorded, ())))

        return finish

    def _guarded(
        self,
        claim: Claim,
        action: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result | None:
        """Call the action; None when an error settled the machine."""
        try:
            result = action(*arguments, **named)
        except Exception as error:
            if not isinstance(error, TrainingError):
                logger.exception("%s: unexpected error", claim.machine)
                unexpected = result_of(error)
                error = TrainingError(unexpected.reason, unexpected.message)
            self._settle(claim, error)
            if error.transient:
                self._wait_for_servers(error)
            return None
        self._trouble_since = None
        return result

    def _settle(self, claim: Claim, error: TrainingError) -> None:
        """Write what follows an error of a machine."""
        after = after_error(error, claim, self._fleet.spec.retries_per_machine)
        logger.warning("%s: %s: %s (%s)", claim.machine, error.reason, error.message, after.name)
        try:
            if after is After.FAIL:
                self._ledger.finish(claim, failure_of(error))
            elif after is not After.FORGET:
                self._ledger.give_back(claim, counted=after is After.TRY_AGAIN)
        except TrainingError as second:
            # The lease expires, so the machine is tried again.
            logger.warning("%s: the ledger cannot be written: %s", claim.machine, second)
        finally:
            self._leases.release(claim)

    def _wait_for_servers(self, error: TrainingError) -> None:
        self._trouble_since = self._trouble_since or time.monotonic()
        if time.monotonic() - self._trouble_since > PATIENCE_SECONDS:
            raise error
        self._worker.pause()


def _fresh_verdict(fresh: Fresh) -> Verdict:
    summary = str(fresh.model.metrics.get("summary", ""))
    return Verdict(MachineState.FRESH, Reason.COMPLETED, fresh.message, summary, fresh.model.bucket_address)


def _dataset(run: TrainingRun) -> Dataset:
    return prepare_data(load_telemetry(run.spec, run.window), run.spec)
