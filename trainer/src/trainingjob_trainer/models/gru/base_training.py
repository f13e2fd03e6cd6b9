"""Trains the base of a fleet: one network on the rows of many machines."""

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import HealthDataset
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.fleet_base import (
    MINIMUM_MACHINES,
    FleetBase,
    base_fingerprint,
    description_file,
)
from trainingjob_trainer.models.gru.export import save_model
from trainingjob_trainer.models.gru.from_base import NETWORK
from trainingjob_trainer.models.gru.network import Shape, backend, check_device, initial_weights, start_training
from trainingjob_trainer.models.gru.pool import Pool, machine_rows, pooled
from trainingjob_trainer.models.gru.schedule import plan_base
from trainingjob_trainer.models.gru.training import chunks_per_step, fit_network
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.versions import versions

logger = logging.getLogger(__name__)


def train_gru_base(
    datasets: Iterable[tuple[str, HealthDataset]],
    spec: TrainingJobSpec,
    boundary: np.datetime64,
    reporter: Reporter,
    device: Device,
    trainer_revision: int,
) -> FleetBase | None:
    """Train one network on the machines with the most common features; see ``ModelType.train_base``.

    Args:
        datasets: See there.
        spec: See there; ``spec.model.gru`` and ``spec.model.seed`` count here.
        boundary: See there.
        reporter: See there.
        device: See there.
        trainer_revision: Of the gru.
    """
    check_device(device)
    settings, seed = spec.model.gru, spec.model.seed
    length = settings.sequence_length
    pool = Pool(length)
    for machine, dataset in datasets:
        if dataset.timestamps[-1] >= boundary:
            raise ValueError(f"machine {machine}: the base must not see rows at or after {boundary}")
        _add(pool, dataset, length, residual=settings.output == "Residual")
        reporter.heartbeat()
        if reporter.should_stop():
            raise TrainingError(Reason.SUSPENDED, "Stopped on request while the data of the base were read.")
    machines = pool.most_common()
    if len(machines) < MINIMUM_MACHINES:
        logger.info("no base: %d machines have equal features, %d are needed", len(machines), MINIMUM_MACHINES)
        return None
    features = machines[0].features
    fingerprints = {machine.machine: machine.fingerprint for machine in machines}
    data = pooled(machines, length, length, chunks_per_step(settings))
    del pool, machines
    schedule = plan_base(seed, data.steps_in_pass)
    shape = Shape(length, len(features), settings.units, settings.dropout)
    network = start_training(shape, length, initial_weights(shape, seed))
    logger.info("the base learns from %d machines in %d steps", len(fingerprints), schedule.epochs * schedule.steps)
    try:
        state, weights = fit_network(network, data, schedule, reporter, None)
    except TrainingError as error:
        if error.reason != Reason.DIVERGED:
            raise
        logger.warning("no base: %s", error)
        return None
    fingerprint = base_fingerprint(fingerprints, spec, boundary, trainer_revision)
    facts = {
        "features": list(features),
        "output": settings.output,
        "machines": sorted(fingerprints),
        "steps": state.epoch * schedule.steps,
        "peakLearningRate": schedule.learning_rate,
        "losses": list(state.losses),
        "versions": versions(("keras", backend())),
    }
    model = replace(save_model(shape, weights, None), role=NETWORK)
    return FleetBase(fingerprint, boundary, (model, description_file(fingerprint, boundary, facts)))


def _add(pool: Pool, dataset: HealthDataset, length: int, *, residual: bool) -> None:
    """Adds a machine, unless a base can learn nothing from it."""
    try:
        pool.add(machine_rows(dataset, length, residual=residual))
    except TrainingError as error:
        logger.info("the base does not learn from this machine: %s", error)
