"""The base of a run: the first worker that takes its lease trains and stores it, the others wait for it."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.names import RETRAIN_ANNOTATION
from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.dataset import Dataset, ModelFile
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.context import WorkerContext
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.models.fleet_base import MINIMUM_MACHINES, FleetBase, fleet_boundary, restored_base
from trainingjob_trainer.run.result import result_of
from trainingjob_trainer.storage.ledger import Ledger
from trainingjob_trainer.storage.object_store import sha256
from trainingjob_trainer.storage.object_store_errors import UnverifiedError
from trainingjob_trainer.storage.telemetry import load_telemetry
from trainingjob_trainer.storage.telemetry_machines import telemetry_extent

logger = logging.getLogger(__name__)
TASK = "base"


def wants_base(fleet: FleetRun) -> bool:
    """Whether the machines of a run start from a base, if there are enough of them."""
    model = fleet.spec.template.model
    return ModelFactory.create(model.type).has_base and model.gru.base == "Fleet"


def obtain_base(worker: WorkerContext) -> FleetBase | None:
    """The base of the run: trained here, or by another worker.

    Returns:
        None where the machines are trained without a base; ``base_note`` says why.

    Raises:
        TrainingError: Suspended; the error of a server that is not available for long.
    """
    if not wants_base(worker.fleet):
        return None

    def perform(attempt: int) -> dict[str, Any]:
        if attempt > worker.fleet.spec.retries_per_machine + 1:
            return _without_base(f"the process that trained it ended {attempt - 1} times without a result")
        return _train_and_store(worker)

    return _stored_base(worker, worker.once(TASK, perform))


def base_note(ledger: Ledger) -> str | None:
    """Why the run has no base, as a sentence; None where it has one or needs none."""
    result = ledger.task_result(TASK)
    return result.get("note") if result else None


def _train_and_store(worker: WorkerContext) -> dict[str, Any]:
    """Train the base and store its files; return the result of the task."""
    try:
        base = _trained_base(worker)
        if base is None:
            return _without_base("too few machines have equal features and enough rows, or its training diverged")
        return {"files": [_stored(worker, file) for file in base.files]}
    except TrainingError as error:
        if error.transient or error.reason is Reason.SUSPENDED:
            worker.ledger.give_back_task(TASK)
            raise
        return _without_base(error.message)
    except Exception as error:  # without a base, every machine is trained on its own
        logger.exception("the base cannot be trained")
        return _without_base(result_of(error).message)


def _without_base(cause: str) -> dict[str, Any]:
    note = f"The machines are trained without a base of the fleet: {cause.rstrip('.')}."
    logger.warning("%s", note)
    return {"note": note}


def _trained_base(worker: WorkerContext) -> FleetBase | None:
    fleet = worker.fleet
    machines = [entry.machine for entry in worker.ledger.entries()]
    if len(machines) < MINIMUM_MACHINES:
        return None
    spec = fleet.spec.of_machine(machines[0])
    extent = telemetry_extent(spec.data.table, machines, fleet.window)
    if extent is None:
        return None
    first, last = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in extent)
    boundary = fleet_boundary(first, last, spec.data.test_fraction)
    logger.info("training the base of %d machines on rows before %s", len(machines), boundary)
    datasets = _datasets(worker, machines, boundary)
    model_type = ModelFactory.create(spec.model.type)
    return model_type.train_base(datasets, spec, boundary, worker.progress, device=worker.device)


def _datasets(worker: WorkerContext, machines: Sequence[str], boundary: np.datetime64) -> Iterator[tuple[str, Dataset]]:
    """The machines that a base can learn from."""
    for machine in machines:
        spec = worker.fleet.spec.of_machine(machine)
        worker.progress.heartbeat()
        if worker.progress.should_stop():
            raise TrainingError(Reason.SUSPENDED, "Stopped on request; another worker trains the base.")
        try:
            telemetry = load_telemetry(spec, worker.fleet.window)
            yield machine, ModelFactory.create(spec.model.type).prepare_for_base(telemetry, spec, boundary)
        except TrainingError as error:
            if error.transient:
                raise
            logger.info("%s: not used for the base: %s", machine, error.message)


def _stored(worker: WorkerContext, file: ModelFile) -> dict[str, str]:
    """Store a file of the base; return what another worker needs to read it."""
    key = f"{worker.folder}{file.role.removesuffix('-json')}{file.suffix}"
    worker.patiently(worker.store.put, key, file.content)
    return {"role": file.role, "suffix": file.suffix, "key": key, "sha256": sha256(file.content)}


def _stored_base(worker: WorkerContext, result: Mapping[str, Any]) -> FleetBase | None:
    """The base that a worker stored."""
    if "files" not in result:
        return None
    files = []
    for file in result["files"]:
        try:
            content = worker.patiently(worker.store.get_verified, file["key"], file["sha256"])
        except UnverifiedError as error:
            raise TrainingError(
                Reason.ARTIFACT_STORE_FAILED,
                f"{error}. It is the base of this run: restore it, or request a new run with the annotation "
                f"{RETRAIN_ANNOTATION}.",
            ) from error
        files.append(ModelFile(file["role"], file["suffix"], content))
    return restored_base(files)
