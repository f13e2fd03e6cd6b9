"""What a publication consists of: the names of its objects, their order, and the manifest over them. No I/O."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from trainingjob_trainer.data.dataset import ModelFile

TIMESTAMP = "%Y_%m_%d_%H_%M_%S"
_TIMESTAMP_LENGTH = len("2025_01_31_23_59_59")
_CONTRACT_NAMES = {
    ("gru", "model"): ("gru_model_weights_", ".h5"),
    ("gru", "scaler"): ("gru_model_scaler_", ".pkl"),
    ("xgb", "model"): ("xgb_model_", ".pkl"),
}
"""Model type and role to prefix and suffix of the object's name, as readers expect it."""


@dataclass(frozen=True)
class Place:
    """Where the objects of one model lie.

    Attributes:
        model_type: ``gru`` or ``xgb``.
        machine: Name of the machine.
        timestamp: UTC, to the second.
        rejected: Whether the model failed a gate: then no object of it has a name that readers look for.
    """

    model_type: str
    machine: str
    timestamp: datetime
    rejected: bool = False

    @property
    def folder(self) -> str:
        """Prefix of everything but what readers look for."""
        top = "rejected" if self.rejected else "runs"
        return f"{top}/{self.machine}/{self.timestamp.strftime(TIMESTAMP)}/"

    @property
    def manifest_key(self) -> str:
        """Key of the manifest."""
        return f"{self.folder}manifest.json"

    @property
    def address(self) -> str:
        """Key of the model itself, which the registry calls ``bucket_address``."""
        return self.key("model", _CONTRACT_NAMES[self.model_type, "model"][1])

    @property
    def top_keys(self) -> tuple[str, ...]:
        """Keys of what readers look for, in the order in which they are stored; none for a rejected model."""
        if self.rejected:
            return ()
        files = [(role, suffix) for (kind, role), (_, suffix) in _CONTRACT_NAMES.items() if kind == self.model_type]
        return tuple(self.key(role, suffix) for role, suffix in sorted(files, key=lambda file: _order(file[0])))

    def key(self, role: str, suffix: str) -> str:
        """Key of a file of the model."""
        prefix, contract_suffix = _CONTRACT_NAMES.get((self.model_type, role), ("", ""))
        if prefix and not self.rejected:
            return f"{prefix}{self.machine}_{self.timestamp.strftime(TIMESTAMP)}{contract_suffix}"
        # A twin is named after what it is the twin of: the role model-ubj with suffix .ubj is model.ubj.
        return f"{self.folder}{role.removesuffix(suffix.replace('.', '-'))}{suffix}"


def manifest_key_of(address: str, machine: str, model_type: str) -> str:
    """Key of the manifest beside a registered model.

    Args:
        address: Its ``bucket_address``.
        machine: Name of the machine.
        model_type: ``gru`` or ``xgb``.

    Raises:
        ValueError: The address is not of this machine and model type.
    """
    prefix, suffix = _CONTRACT_NAMES[model_type, "model"]
    timestamp = address.removeprefix(f"{prefix}{machine}_").removesuffix(suffix)
    if len(timestamp) != _TIMESTAMP_LENGTH or f"{prefix}{machine}_{timestamp}{suffix}" != address:
        raise ValueError(f"{address!r} is not the address of a {model_type} model of {machine}")
    return f"runs/{machine}/{timestamp}/manifest.json"


@dataclass(frozen=True)
class Artifact:
    """One object of a publication: its role, key, SHA-256 in hex and size in bytes."""

    name: str
    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Upload:
    """One object to store."""

    artifact: Artifact
    content: bytes


def uploads(place: Place, files: Sequence[ModelFile]) -> list[Upload]:
    """The files of a model in the order in which they are stored: what readers look for last, the model at the end.

    Args:
        place: Where they go.
        files: All files but the manifest.
    """
    return [
        Upload(
            Artifact(file.role, place.key(file.role, file.suffix), sha256(file.content).hexdigest(), len(file.content)),
            file.content,
        )
        for file in sorted(files, key=lambda file: _order(file.role))
    ]


def _order(role: str) -> int:
    return {"scaler": 1, "model": 2}.get(role, 0)


def claim_of(uid: str, run: int, attempt: int) -> str:
    """Name of the file by which an attempt claims a timestamp."""
    return f"run-{uid[:8]}-{run}-{attempt}.json"


def claimed_by(keys: Iterable[str], model_type: str, machine: str, uid: str, run: int) -> list[Place]:
    """The places that attempts of a run claimed and nobody else did.

    Args:
        keys: Every key under ``runs/<machine>/``.
        model_type: ``gru`` or ``xgb``.
        machine: Name of the machine.
        uid: Of the TrainingJob.
        run: Counts its runs.
    """
    claims: dict[str, list[str]] = {}
    for key in keys:
        timestamp, _, name = key.removeprefix(f"runs/{machine}/").partition("/")
        if name.startswith("run-"):
            claims.setdefault(timestamp, []).append(name)
    own = re.compile(rf"run-{re.escape(uid[:8])}-{run}-\d+\.json")
    return [
        Place(model_type, machine, datetime.strptime(timestamp, TIMESTAMP).replace(tzinfo=UTC))
        for timestamp, names in claims.items()
        if all(own.fullmatch(name) for name in names)
    ]


def manifest(place: Place, stored: Sequence[Upload], facts: Mapping[str, Any]) -> bytes:
    """The manifest: what was trained from what by whom, and every file with its size and SHA-256.

    Args:
        place: Where the files lie.
        stored: Every file.
        facts: Strict JSON: the run, its data and the versions of what trained it.
    """
    return json.dumps(
        {
            "machine": place.machine,
            "modelType": place.model_type,
            "timestamp": place.timestamp.strftime(TIMESTAMP),
            **facts,
            "files": [
                {
                    "name": upload.artifact.name,
                    "key": upload.artifact.key,
                    "sha256": upload.artifact.sha256,
                    "sizeBytes": upload.artifact.size,
                }
                for upload in stored
            ],
        },
        indent=2,
        allow_nan=False,
    ).encode()


def files_of(content: bytes) -> list[Artifact]:
    """The files that a manifest names.

    Raises:
        ValueError: It is no manifest.
    """
    try:
        return [
            Artifact(str(file["name"]), str(file["key"]), str(file["sha256"]), int(file["sizeBytes"]))
            for file in json.loads(content)["files"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it is not readable as a manifest ({error!r})") from error
