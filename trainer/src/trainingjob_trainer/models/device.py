"""The device of a training, and the check that a library uses it."""

from dataclasses import dataclass
from typing import Literal

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError

GPU_IMAGE = "one of the target trainer-gpu (TRAINER_IMAGES_ACCELERATOR)"


@dataclass(frozen=True)
class Device:
    """What one attempt computes on.

    Attributes:
        used: As the status shows it.
        threads: CPU threads to use, also beside a GPU.
    """

    used: Literal["CPU", "GPU"]
    threads: int


def refuse_silent_cpu(device: Device, library: str, computes_on: str, image: str = GPU_IMAGE) -> None:
    """Check that a library computes on the GPU of the attempt; libraries fall back to the CPU with only a warning.

    Args:
        device: The device of the attempt.
        library: Name of the library, for the message.
        computes_on: The device that the library reports, such as ``cpu``.
        image: The image in which the library can use a GPU, for the message.

    Raises:
        TrainingError: AcceleratorMissing.
    """
    if device.used == "GPU" and computes_on == "cpu":
        raise TrainingError(
            Reason.ACCELERATOR_MISSING,
            f"The node's driver shows a GPU, but {library} cannot use it. Check that the image is {image} and that "
            "the driver is new enough for its CUDA libraries.",
        )
