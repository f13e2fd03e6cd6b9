"""Trains a small gru in a process of its own, with the compile cache of the trainer.

Says as JSON how many programs it needed, how many of them the cache had, and the SHA-256 of the model.
"""

import hashlib
import json
import os
from collections import Counter

from training_program import dataset

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.gru.model import train_gru
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.run.compile_cache import cache_environment
from trainingjob_trainer.run.device import process_environment


def main() -> None:
    """Trains as a run does: first the environment, then the import of JAX."""
    device = Device("CPU", 1)
    os.environ.update(process_environment(device, os.environ))
    os.environ.update(cache_environment(device, os.environ))
    from jax import monitoring

    events: Counter[str] = Counter()
    monitoring.register_event_listener(lambda event, **_: events.update([event]))
    gru = {"sequenceLength": 20, "units": [6, 4], "epochs": 2, "stepsPerEpoch": 6}
    spec = {"machine": "PUMP-1", "model": {"type": "gru", "gru": gru}}
    trained = train_gru(dataset(), TrainingJobSpec.model_validate(spec), SilentReporter())
    model = next(file.content for file in trained.files if file.role == "model")
    told = {
        "programs": events["/jax/compilation_cache/compile_requests_use_cache"],
        "found": events["/jax/compilation_cache/cache_hits"],
        "model": hashlib.sha256(model).hexdigest(),
    }
    print(json.dumps(told))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
