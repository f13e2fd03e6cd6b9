"""A worker of a fleet with a short lease, for tests that kill it.

Called with the path of the termination message. The environment variable POISON names a machine at whose training the
process ends like by a crash of a library; WAIT_AT a machine at whose training it says so on stdout and waits.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from trainingjob_api.names import TRAINING_FLEET_VARIABLE
from trainingjob_trainer.documents.training_fleet import read_fleet_run
from trainingjob_trainer.fleet.process import launch_worker
from trainingjob_trainer.models.xgb.model import XgbModel
from trainingjob_trainer.run.process import RuntimeConfig

LEASE_SECONDS = 3.0


class SpecialXgbModel(XgbModel):
    """Ends the process, or waits, at the training of one machine."""

    def train(self, dataset: Any, spec: Any, reporter: Any, **named: Any) -> Any:
        """As announced."""
        if spec.machine == os.environ.get("POISON"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train(dataset, spec, reporter, **named)


def main(termination_path: str) -> int:
    """Take part in the run of TRAINING_FLEET."""
    from trainingjob_trainer.models.factory import ModelFactory

    ModelFactory.types = {**ModelFactory.types, "xgb": SpecialXgbModel()}
    run = read_fleet_run(os.environ[TRAINING_FLEET_VARIABLE])
    config = RuntimeConfig(Path(termination_path))
    return launch_worker(run, config, lease_seconds=LEASE_SECONDS).exit_code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    sys.exit(main(sys.argv[1]))
