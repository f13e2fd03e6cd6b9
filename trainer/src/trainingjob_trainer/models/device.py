"""What a model is trained on, and the check that a library really uses it."""

from dataclasses import dataclass
from typing import Literal

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError


@dataclass(frozen=True)
class Device:
    """What one attempt computes on.

    Attributes:
        used: As the status shows it.
        threads: CPU threads to use, also beside a GPU.
    """

    used: Literal["CPU", "GPU"]
    threads: int


def refuse_silent_cpu(device: Device, library: str, computes_on: str) -> None:
    """Compare what a library computes on with the device of the attempt: libraries fall back with only a warning.

    Args:
        device: What the attempt was given.
        library: Its name, for the message.
        computes_on: What it says that it computes on; ``cpu`` is no GPU.

    Raises:
        TrainingError: AcceleratorMissing.
    """
    if device.used == "GPU" and computes_on == "cpu":
        raise TrainingError(
            Reason.ACCELERATOR_MISSING,
            f"The node's driver shows a GPU, but {library} cannot use it. Check that the image is one of the target "
            "trainer-gpu (TRAINER_IMAGES_ACCELERATOR) and that the driver is new enough for its CUDA libraries.",
        )
