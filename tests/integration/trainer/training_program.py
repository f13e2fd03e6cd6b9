"""Trains a small gru in a process of its own, with checkpoints on a real S3 server; for tests that kill it.

Called with the bucket and the number of the attempt. Says ``epoch N`` after each epoch and waits for a line on stdin
then; says which heavy libraries it imported and ``model SHA-256`` at the end. SIGTERM asks it to stop.
"""

import hashlib
import os
import signal
import sys

import numpy as np
import pandas as pd
from sklearn.preprocessing import MinMaxScaler

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import DataSummary, HealthDataset, HealthScore
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.gru.model import train_gru
from trainingjob_trainer.run.compile_cache import cache_environment
from trainingjob_trainer.storage.object_store import ObjectStore

FEATURES = ("Recalque", "Eng_RPM")
ROWS, BORDER = 400, 320


class Obedient:
    """Reports each epoch on stdout, and stops at SIGTERM."""

    def __init__(self) -> None:
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        say(f"epoch {epoch}")
        sys.stdin.readline()

    def heartbeat(self) -> None:
        pass

    def should_stop(self) -> bool:
        return self.stopping


def dataset() -> HealthDataset:
    """A dataset with a pressure that follows the engine speed."""
    random = np.random.default_rng(5)
    revolutions = 1600 + np.cumsum(random.normal(0, 20, ROWS))
    frame = pd.DataFrame({"Recalque": revolutions / 20 + random.normal(0, 2, ROWS), "Eng_RPM": revolutions}, dtype="f4")
    training = frame[:BORDER]
    low, high = float(training["Recalque"].min()), float(training["Recalque"].max())
    score = (0.375 + 0.25 * (frame["Recalque"] - low) / (high - low)).astype("f4")
    times = np.datetime64("2025-01-01", "us") + np.arange(ROWS) * np.timedelta64(10, "s")
    everywhere = np.ones(ROWS, dtype=bool)
    return HealthDataset(
        machine="PUMP-1",
        frame=frame.assign(health_score=score),
        timestamps=times,
        segments=np.zeros(ROWS, np.int32),
        test_start=BORDER,
        features=FEATURES,
        running=everywhere,
        summary=DataSummary(ROWS, ROWS, 1, 10.0, "f" * 64, times[0], times[-1]),
        scaler=MinMaxScaler().fit(training),
        health=HealthScore({"Recalque": (low, high)}, 0.375, ("Oil_P", "Oil_L", "Succao")),
        persistence_forecast=score.to_numpy(),
    )


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(bucket: str, attempt: int) -> int:
    """Trains; the exit code is that of the trainer."""
    os.environ.update(cache_environment(Device("CPU", 1), os.environ))
    gru = {"sequenceLength": 20, "units": [6, 4], "epochs": 4, "stepsPerEpoch": 6, "reduceLROnPlateauPatience": 1}
    spec = {"machine": "PUMP-1", "model": {"type": "gru", "gru": gru}}
    told = {"namespace": "pumps", "name": "health", "uid": "0123456789", "run": 1, "attempt": attempt, "spec": spec}
    told |= {"specHash": "a" * 64, "window": {}, "acceleratorPolicy": "Disabled", "adopt": False}
    run = TrainingRun.model_validate(told)
    store = ObjectStore.from_environment(os.environ, bucket)
    checkpoints = Checkpoints(store, run, "f" * 64, every_seconds=0)
    try:
        trained = train_gru(dataset(), TrainingJobSpec.model_validate(spec), Obedient(), checkpoints)
    except TrainingError as error:
        say(error.reason)
        return error.exit_code
    say("imported " + " ".join(sorted({"jax", "tensorflow", "xgboost"}.intersection(sys.modules))))
    model = next(file.content for file in trained.files if file.role == "model")
    say(f"model {hashlib.sha256(model).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
