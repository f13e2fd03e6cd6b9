"""A worker: takes part in a run of a fleet from the selection of the machines to the page."""

import logging
from collections.abc import Callable
from dataclasses import replace

from trainingjob_api.fleet_run import FleetRun, machine_counts
from trainingjob_trainer.fleet.base import obtain_base
from trainingjob_trainer.fleet.context import WorkerContext
from trainingjob_trainer.fleet.decisions.outcome import failures_of, run_result
from trainingjob_trainer.fleet.decisions.selection import Selection, select_machines
from trainingjob_trainer.fleet.leases import Leases
from trainingjob_trainer.fleet.machines import MachineTrainer
from trainingjob_trainer.fleet.page import obtain_page
from trainingjob_trainer.fleet.patience import patiently
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.progress import RunProgress
from trainingjob_trainer.run.result import RunResult, RunSummary
from trainingjob_trainer.storage.ledger import Ledger
from trainingjob_trainer.storage.ledger_rows import Counts, FrozenRun
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.telemetry_machines import machine_names

logger = logging.getLogger(__name__)


def work(
    fleet: FleetRun,
    device: Device,
    progress: RunProgress,
    store: ObjectStore,
    ledger: Ledger,
    on_counts: Callable[[Counts], None],
) -> RunResult:
    """Take part in a run until all of its machines are final and its page is stored.

    Args:
        fleet: The run.
        device: The device to compute on.
        progress: Receives heartbeats, and says whether to stop.
        store: The object store for models and page.
        ledger: The ledger of the run.
        on_counts: Receives the number of machines in each state from time to time.

    Returns:
        Completed or TooManyFailed: the result of the whole run, whichever worker trained which machine.

    Raises:
        TrainingError: The run cannot be started; Suspended; the error of a server that is not available for long.
    """
    patiently(progress, store.check)
    frozen = _frozen_run(fleet, ledger, progress)
    if fleet.retry_failed:
        patiently(progress, ledger.retry_failed, fleet.attempt)
    on_counts(patiently(progress, ledger.counts))
    with Leases(ledger, on_counts) as leases:
        worker = WorkerContext(fleet, frozen, device, progress, store, ledger, leases)
        MachineTrainer(worker, obtain_base(worker)).train_all()
        page = obtain_page(worker)
        counts = worker.patiently(ledger.counts)
        on_counts(counts)
        summary = RunSummary(
            summary=page["summary"],
            artifacts=page["artifacts"],
            warnings=page["notes"],
            machines=machine_counts(counts),
            failures=failures_of(worker.patiently(ledger.entries)),
        )
    return replace(run_result(fleet, counts), summary=summary)


def _frozen_run(fleet: FleetRun, ledger: Ledger, progress: RunProgress) -> FrozenRun:
    """Resolve the machines of the run, unless a worker has done so."""
    while (frozen := patiently(progress, ledger.frozen)) is None:
        selection = patiently(progress, selected_machines, fleet, ledger.machines_of_last_run)
        patiently(progress, ledger.freeze, selection.machines, selection.notes)
    for note in frozen.notes:
        logger.warning("%s", note)
    return frozen


def selected_machines(fleet: FleetRun, machines_of_last_run: Callable[[], int | None]) -> Selection:
    """The machines that the run selects now.

    Args:
        fleet: The run.
        machines_of_last_run: Number of machines of the last run; None without one.

    Raises:
        TrainingError: As ``select_machines``, and DataUnavailable when the telemetry cannot be read.
    """
    machines, table = fleet.spec.machines, fleet.spec.template.data.table
    names = [] if machines.matching is None else machine_names(table)
    return select_machines(machines, names, machines_of_last_run(), table)
