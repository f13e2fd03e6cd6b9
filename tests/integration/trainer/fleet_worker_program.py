"""A worker of a fleet with a short lease, for tests that stop it.

Called with the path of the termination message. The environment variable POISON names a machine at whose training the
process ends as by a crash of a library, HELD a machine whose training only ends when a stop is requested,
MACHINES_AT_ONCE how many gru machines are trained at once, and FLEET_METRICS_PORT the port of the metrics.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainingjob_api.names import TRAINING_FLEET_VARIABLE
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import FailureDataset, HealthDataset, TrainedModel
from trainingjob_trainer.documents.training_fleet import read_fleet_run
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.process import launch_worker
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.models.gru.model import GruModel
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.xgb.model import XgbModel
from trainingjob_trainer.run.process import RuntimeConfig

LEASE_SECONDS = 3.0


class SpecialXgbModel(XgbModel):
    """Ends the process, or waits, at the training of one machine."""

    def train(self, dataset: FailureDataset, spec: TrainingJobSpec, reporter: Reporter, **named: Any) -> TrainedModel:
        """As announced."""
        _disturb([spec.machine], reporter)
        return super().train(dataset, spec, reporter, **named)


class SpecialGruModel(GruModel):
    """The same, and trains many machines at once on a CPU too."""

    def machines_at_once(self, device: Device) -> int:
        """As on a GPU."""
        return int(os.environ.get("MACHINES_AT_ONCE", "1"))

    def train(self, dataset: HealthDataset, spec: TrainingJobSpec, reporter: Reporter, **named: Any) -> TrainedModel:  # type: ignore[override]
        """As announced."""
        _disturb([spec.machine], reporter)
        return super().train(dataset, spec, reporter, **named)

    def train_many(
        self, machines: Sequence[tuple[HealthDataset, TrainingJobSpec]], reporter: Reporter, **named: Any
    ) -> list[TrainedModel | TrainingError]:
        """As announced."""
        _disturb([spec.machine for _, spec in machines], reporter)
        return super().train_many(machines, reporter, **named)


def _disturb(machines: Sequence[str], reporter: Reporter) -> None:
    if os.environ.get("POISON") in machines:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("HELD") in machines:
        while not reporter.should_stop():
            time.sleep(0.1)
        raise TrainingError(Reason.SUSPENDED, "Stopped on request.")


def main(termination_path: str) -> int:
    """Take part in the run of TRAINING_FLEET."""
    ModelFactory.types = {**ModelFactory.types, "xgb": SpecialXgbModel(), "gru": SpecialGruModel()}
    run = read_fleet_run(os.environ[TRAINING_FLEET_VARIABLE])
    port = os.environ.get("FLEET_METRICS_PORT")
    config = RuntimeConfig(Path(termination_path), int(port) if port else None)
    return launch_worker(run, config, lease_seconds=LEASE_SECONDS).exit_code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    sys.exit(main(sys.argv[1]))
