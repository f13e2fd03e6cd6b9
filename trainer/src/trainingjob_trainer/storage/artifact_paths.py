"""The objects of a published model: their keys, their order and the manifest that lists them. No I/O."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np

from trainingjob_trainer.data.dataset import ModelFile
from trainingjob_trainer.models.base import ContractName
from trainingjob_trainer.models.factory import ModelFactory

TIMESTAMP = "%Y_%m_%d_%H_%M_%S"


@dataclass(frozen=True)
class ArtifactPaths:
    """The keys of the objects of one model.

    Attributes:
        model_type: The value of ``spec.model.type``.
        machine: Name of the machine.
        timestamp: UTC, to the second.
        rejected: Whether the model failed a gate. None of its objects then has a key that readers look for.
    """

    model_type: str
    machine: str
    timestamp: datetime
    rejected: bool = False

    @property
    def folder(self) -> str:
        """Prefix of all objects except those that readers look for."""
        top = "rejected" if self.rejected else "runs"
        return f"{top}/{self.machine}/{self.timestamp.strftime(TIMESTAMP)}/"

    @property
    def manifest_key(self) -> str:
        """Key of the manifest."""
        return f"{self.folder}manifest.json"

    @property
    def address(self) -> str:
        """Key of the model itself, which the registry calls ``bucket_address``."""
        return self.key("model", self._contract_names["model"].suffix)

    @property
    def top_keys(self) -> tuple[str, ...]:
        """Keys that readers look for, in the order in which they are stored; none for a rejected model."""
        if self.rejected:
            return ()
        return (*self.companions.values(), self.address)

    @property
    def companions(self) -> dict[str, str]:
        """The other keys that readers look for, by their name in the metrics of the registry."""
        names = self._contract_names
        return {f"{role}_path": self.key(role, names[role].suffix) for role in names if role != "model"}

    def key(self, role: str, suffix: str) -> str:
        """Key of a file of the model."""
        name = self._contract_names.get(role)
        if name and not self.rejected:
            return f"{name.prefix}{self.machine}_{self.timestamp.strftime(TIMESTAMP)}{name.suffix}"
        # A safe copy is named after its original: the role model-ubj with suffix .ubj is model.ubj.
        return f"{self.folder}{role.removesuffix(suffix.replace('.', '-'))}{suffix}"

    def storing_order(self, role: str) -> int:
        """Sort key of a role: the files that readers look for come last, and the model is the very last."""
        return 2 if role == "model" else int(role in self._contract_names)

    @property
    def _contract_names(self) -> Mapping[str, ContractName]:
        return ModelFactory.create(self.model_type).contract_names


def registered_paths(address: str, machine: str, model_type: str) -> ArtifactPaths:
    """The keys of the objects of a registered model.

    Args:
        address: The ``bucket_address`` of the model.
        machine: Name of the machine.
        model_type: The value of ``spec.model.type``.

    Raises:
        ValueError: The address does not belong to this machine and model type.
    """
    prefix, suffix = ModelFactory.create(model_type).contract_names["model"]
    timestamp = address.removeprefix(f"{prefix}{machine}_").removesuffix(suffix)
    try:
        paths = ArtifactPaths(model_type, machine, datetime.strptime(timestamp, TIMESTAMP).replace(tzinfo=UTC))
    except ValueError:
        paths = None
    if paths is None or paths.address != address:
        raise ValueError(f"{address!r} is not the address of a {model_type} model of {machine}")
    return paths


def newest_paths(addresses: Iterable[str], machine: str, model_type: str) -> ArtifactPaths | None:
    """The keys of the newest of several registered models, by the timestamp in its address.

    Args:
        addresses: Addresses of registered models; those of other machines and types are ignored.
        machine: Name of the machine.
        model_type: The value of ``spec.model.type``.
    """
    found = []
    for address in addresses:
        with suppress(ValueError):
            found.append(registered_paths(address, machine, model_type))
    return max(found, key=lambda paths: paths.timestamp, default=None)


@dataclass(frozen=True)
class Artifact:
    """One published object: its role, key, SHA-256 in hex and size in bytes."""

    name: str
    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Upload:
    """One object to store."""

    artifact: Artifact
    content: bytes


def uploads(paths: ArtifactPaths, files: Sequence[ModelFile]) -> list[Upload]:
    """The files of a model in the order in which they are stored; the model itself is the last.

    Args:
        paths: The keys to store them under.
        files: All files but the manifest.
    """
    return [
        Upload(
            Artifact(file.role, paths.key(file.role, file.suffix), sha256(file.content).hexdigest(), len(file.content)),
            file.content,
        )
        for file in sorted(files, key=lambda file: paths.storing_order(file.role))
    ]


def claim_of(uid: str, run: int, attempt: int) -> str:
    """Name of the file by which an attempt claims a timestamp."""
    return f"run-{uid[:8]}-{run}-{attempt}.json"


def claimed_by(keys: Iterable[str], model_type: str, machine: str, uid: str, run: int) -> list[ArtifactPaths]:
    """The paths that only attempts of this run claimed.

    Args:
        keys: Every key under ``runs/<machine>/``.
        model_type: The value of ``spec.model.type``.
        machine: Name of the machine.
        uid: Of the TrainingJob.
        run: Number of the run.
    """
    claims: dict[str, list[str]] = {}
    for key in keys:
        timestamp, _, name = key.removeprefix(f"runs/{machine}/").partition("/")
        if name.startswith("run-"):
            claims.setdefault(timestamp, []).append(name)
    own = re.compile(rf"run-{re.escape(uid[:8])}-{run}-\d+\.json")
    return [
        ArtifactPaths(model_type, machine, datetime.strptime(timestamp, TIMESTAMP).replace(tzinfo=UTC))
        for timestamp, names in claims.items()
        if all(own.fullmatch(name) for name in names)
    ]


def manifest(paths: ArtifactPaths, stored: Sequence[Upload], facts: Mapping[str, Any]) -> bytes:
    """The manifest: the run, its data and versions, and every file with its size and SHA-256.

    Args:
        paths: The keys of the files.
        stored: Every file.
        facts: Strict JSON: the run, its data and the versions of the libraries.
    """
    return json.dumps(
        {
            "machine": paths.machine,
            "modelType": paths.model_type,
            "timestamp": paths.timestamp.strftime(TIMESTAMP),
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
    """The files that a manifest lists.

    Raises:
        ValueError: The content is not a manifest.
    """
    try:
        return [
            Artifact(str(file["name"]), str(file["key"]), str(file["sha256"]), int(file["sizeBytes"]))
            for file in json.loads(content)["files"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this object is not a valid manifest ({error!r})") from error


def train_end_of(content: bytes) -> np.datetime64:
    """The last instant that the model of a manifest may be trained on, UTC.

    Earlier versions did not record it; for their models it is the last instant of the data.

    Raises:
        ValueError: The manifest has neither.
    """
    try:
        data = json.loads(content)["data"]
        return np.datetime64(str(data.get("trainEnd") or data["end"]).removesuffix("Z"), "us")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"it does not say on which data the model was trained ({error!r})") from error
