"""The base of a fleet: one model that all machines of a run are trained on together, and that each starts from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainingjob_api.hashing import spec_hash
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import ModelFile

MINIMUM_MACHINES = 4
"""Number of machines with equal features below which there is no base."""

DESCRIPTION = "base-json"
"""Role of the file that says what a base is and what it was trained on."""


@dataclass(frozen=True)
class FleetBase:
    """The base of one run of a fleet.

    Attributes:
        fingerprint: Hex digest of what determines it: the data of all machines, the spec, the boundary and the revision
            of the trainer.
        boundary: UTC; no row at or after it had any influence. A model that starts from the base is evaluated on rows
            at or after it only.
        files: What ``restored_base`` needs, in a form that is safe to read: a description and the model itself.
    """

    fingerprint: str
    boundary: np.datetime64
    files: Sequence[ModelFile]

    def file(self, role: str) -> bytes:
        """The content of the file with a role.

        Raises:
            KeyError: There is none.
        """
        return {file.role: file.content for file in self.files}[role]


def fleet_boundary(start: np.datetime64, end: np.datetime64, test_fraction: float) -> np.datetime64:
    """The instant at which the test part begins by the calendar, for a window of data from ``start`` to ``end``."""
    before = (end - start) / np.timedelta64(1, "us") * (1 - test_fraction)
    boundary: np.datetime64 = start.astype("datetime64[us]") + np.timedelta64(int(before), "us")
    return boundary


def description_file(fingerprint: str, boundary: np.datetime64, facts: Mapping[str, object]) -> ModelFile:
    """The description of a base as a file.

    Args:
        fingerprint: See ``FleetBase``.
        boundary: See ``FleetBase``.
        facts: What else to store; JSON.
    """
    described = {"fingerprint": fingerprint, "boundary": np.datetime_as_string(boundary, "us"), **facts}
    return ModelFile(DESCRIPTION, ".json", json.dumps(described, indent=2, allow_nan=False).encode())


def restored_base(files: Sequence[ModelFile]) -> FleetBase:
    """The base that another process trained, from its files.

    Raises:
        ValueError: There is no description, or it is damaged.
    """
    try:
        described = json.loads(next(file.content for file in files if file.role == DESCRIPTION))
        return FleetBase(str(described["fingerprint"]), np.datetime64(described["boundary"], "us"), tuple(files))
    except (KeyError, StopIteration, TypeError, ValueError) as error:
        raise ValueError(f"the description of the base cannot be read ({type(error).__name__}: {error})") from error


def base_fingerprint(
    data: Mapping[str, str], spec: TrainingJobSpec, boundary: np.datetime64, trainer_revision: int
) -> str:
    """The fingerprint of a base; the order of the machines does not matter.

    Args:
        data: Machine to the fingerprint of its telemetry.
        spec: What is trained; its machine is left out.
        boundary: See ``FleetBase``.
        trainer_revision: See ``ModelType``.
    """
    of_spec = spec_hash({**spec.as_json(), "machine": ""})
    decisive = [sorted(data.items()), of_spec, np.datetime_as_string(boundary, "us"), trainer_revision]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
