"""Trains the machines of a run: the next ones are loaded, and the last ones are published, beside a training.

Where the model type trains many machines at once on the device, a batch of them is loaded, trained and published;
otherwise a batch is one machine. Every error of a machine is a state of that machine, and the others are trained.
"""

import logging
import time
from collections.abc import Callable, Sequence
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
    is_full,
    machine_run,
    verdict_of,
)
from trainingjob_trainer.fleet.decisions.outcome import is_final
from trainingjob_trainer.fleet.patience import PATIENCE_SECONDS
from trainingjob_trainer.models.factory import ModelFactory, prepare_data
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.run.freshness import Fresh, examine
from trainingjob_trainer.run.pipeline import (
    LoadedRun,
    TrainedRun,
    judge,
    load,
    publish_and_register,
    train,
    train_together,
)
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

_THREADS = 8
"""Machines of a batch that are loaded, and published, at the same time, at most."""


@dataclass(frozen=True)
class MachineWork:
    """A machine that this process works on, and its progress."""

    claim: Claim
    progress: RunProgress


Batch = Sequence[tuple[MachineWork, LoadedRun]]
"""Machines that are trained at once, with their data."""


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
        self._at_once = ModelFactory.create(self._fleet.spec.template.model.type).machines_at_once(worker.device)
        self._threads = min(_THREADS, worker.device.threads, self._at_once)
        self._trouble_since: float | None = None

    def train_all(self) -> None:
        """Train until every machine of the run is final, also those that other workers leave behind.

        Raises:
            TrainingError: Suspended after a request to stop; the error of a server that is not available for long.
                The machines of this process are given back.
        """
        with ThreadPoolExecutor(1, "load") as loader, ThreadPoolExecutor(self._threads, "publish") as publisher:
            upcoming: Future[Batch] = loader.submit(self._load_next)
            publishing: list[Future[None]] = []
            try:
                while True:
                    batch = upcoming.result()
                    if not batch:
                        if publishing:
                            _wait_for(publishing)
                            publishing = []
                        elif is_final(self._worker.patiently(self._ledger.counts)):
                            return
                        else:
                            self._worker.pause()
                        upcoming = loader.submit(self._load_next)
                        continue
                    upcoming = loader.submit(self._load_next)
                    trained = self._train(batch)
                    _wait_for(publishing)
                    publishing = [publisher.submit(self._publish, *each) for each in trained]
            finally:
                self._wind_up(upcoming)

    def _wind_up(self, upcoming: "Future[Batch]") -> None:
        """Give back the machines that are loaded and not trained."""
        if not upcoming.cancel() and not upcoming.exception():
            self._give_back([work.claim for work, _ in upcoming.result()])

    def _give_back(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._settle(claim, TrainingError(Reason.SUSPENDED, "Stopped on request."))

    def _load_next(self) -> Batch:
        """Take machines and load their data; empty when there is no machine to take now that has to be trained."""
        claims: list[Claim] = []
        batch: list[tuple[MachineWork, LoadedRun]] = []
        try:
            with ThreadPoolExecutor(self._threads, "load") as loaders:
                while not is_full([loaded.dataset.summary.rows_used for _, loaded in batch], self._at_once):
                    taken = self._claim(min(self._threads, self._at_once - len(batch)))
                    if not taken:
                        break
                    claims += taken
                    batch += filter(None, loaders.map(self._load_or_settle, taken))
        except TrainingError:
            held = self._leases.claims
            self._give_back([claim for claim in claims if claim in held])
            raise
        return batch

    def _claim(self, count: int) -> list[Claim]:
        """Take the next machines, at most so many."""
        claims: list[Claim] = []
        retries = self._fleet.spec.retries_per_machine
        while len(claims) < count and not self._progress.should_stop():
            attempts = attempts_to_claim(self._leases.claims, retries)
            if attempts is None:
                break
            for machine in self._worker.patiently(self._ledger.fail_abandoned, retries, abandoned(retries)):
                logger.error("%s: its process ended in every attempt", machine)
            claim = self._worker.patiently(self._ledger.claim, attempts)
            if claim is None:
                break
            self._leases.hold(claim)
            logger.info("%s: attempt %d", claim.machine, claim.attempt)
            claims.append(claim)
        return claims

    def _load_or_settle(self, claim: Claim) -> tuple[MachineWork, LoadedRun] | None:
        """Load the data of a machine; None when it needs no training, or when an error settled it."""
        work = MachineWork(claim, RunProgress(whole=self._progress))
        run = machine_run(self._fleet, claim, self._base.fingerprint if self._base else None)
        loaded = self._guarded([claim], self._load, work, run)
        if isinstance(loaded, Verdict):
            logger.info("%s: %s: %s", claim.machine, loaded.state, loaded.message)
            self._guarded([claim], self._ledger.finish, claim, loaded)
            self._leases.release(claim)
            return None
        return None if loaded is None else (work, loaded)

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

    def _train(self, batch: Batch) -> list[tuple[MachineWork, TrainedRun]]:
        """Train the machines of a batch; those that fail are left out."""
        if len(batch) == 1:
            ((work, loaded),) = batch
            alone = self._guarded([work.claim], train, loaded, self._worker.device, work.progress, self._base)
            return [] if alone is None else [(work, alone)]
        claims = [work.claim for work, _ in batch]
        runs = [(loaded, work.progress) for work, loaded in batch]
        logger.info("training %d machines at once", len(batch))
        models = self._guarded(claims, train_together, runs, self._worker.device, self._progress, self._base)
        done = []
        for (work, loaded), model in zip(batch, models, strict=True) if models else ():
            if isinstance(model, TrainingError):
                self._settle(work.claim, model)
            elif (trained := self._guarded([work.claim], judge, loaded, model, work.progress)) is not None:
                done.append((work, trained))
        return done

    def _publish(self, work: MachineWork, trained: TrainedRun) -> None:
        also = self._also(work.claim, trained.loaded.run)

        result = self._guarded(
            [work.claim], self._worker.patiently, publish_and_register, trained, work.progress, self._store, also
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
        claims: Sequence[Claim],
        action: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result | None:
        """Call the action; None when an error settled the machines."""
        try:
            result = action(*arguments, **named)
        except Exception as error:
            if not isinstance(error, TrainingError):
                logger.exception("%s: unexpected error", ", ".join(claim.machine for claim in claims))
                unexpected = result_of(error)
                error = TrainingError(unexpected.reason, unexpected.message)
            for claim in claims:
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


def _wait_for(publishing: Sequence[Future[None]]) -> None:
    for each in publishing:
        each.result()


def _fresh_verdict(fresh: Fresh) -> Verdict:
    summary = str(fresh.model.metrics.get("summary", ""))
    return Verdict(MachineState.FRESH, Reason.COMPLETED, fresh.message, summary, fresh.model.bucket_address)


def _dataset(run: TrainingRun) -> Dataset:
    return prepare_data(load_telemetry(run.spec, run.window), run.spec)
