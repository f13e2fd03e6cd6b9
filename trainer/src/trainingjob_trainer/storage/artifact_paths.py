"""What a publication consists of: the names of its objects, their order, and the manifest over them. No I/O."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from trainingjob_trainer.data.dataset import ModelFile
from trainingjob_trainer.models.base import ContractName
from trainingjob_trainer.models.factory import ModelFactory

TIMESTAMP = "%Y_%m_%d_%H_%M_%S"
_TIMESTAMP_LENGTH = len("2025_01_31_23_59_59")


@dataclass(frozen=True)
class ArtifactPaths:
    """Where the objects of one model lie.

    Attributes:
        model_type: The value of ``spec.model.type``.
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
        return self.key("model", self._contract_names["model"].suffix)

    @property
    def top_keys(self) -> tuple[str, ...]:
        """Keys of what readers look for, in the order in which they are stored; none for a rejected model."""
        if self.rejected:
            return ()
        return (*self.companions.values(), self.address)

    @property
    def companions(self) -> dict[str, str]:
        """Keys of what readers look for besides the model, by the name under which the registry has them."""
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
        """Position of a role among the files: what readers look for comes last, the model at the end."""
        return 2 if role == "model" else int(role in self._contract_names)

    @property
    def _contract_names(self) -> Mapping[str, ContractName]:
        return ModelFactory.create(self.model_type).contract_names


def manifest_key_of(address: str, machine: str, model_type: str) -> str:
    """Key of the manifest beside a registered model.

    Args:
        address: Its ``bucket_address``.
        machine: Name of the machine.
        model_type: The value of ``spec.model.type``.

    Raises:
        ValueError: The address is not of this machine and model type.
    """
    prefix, suffix = ModelFactory.create(model_type).contract_names["model"]
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


def uploads(paths: ArtifactPaths, files: Sequence[ModelFile]) -> list[Upload]:
    """The files of a model in the order in which they are stored: what readers look for last, the model at the end.

    Args:
        paths: Where they go.
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
    """The places that attempts of a run claimed and nobody else did.

    Args:
        keys: Every key under ``runs/<machine>/``.
        model_type: The value of ``spec.model.type``.
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
        ArtifactPaths(model_type, machine, datetime.strptime(timestamp, TIMESTAMP).replace(tzinfo=UTC))
        for timestamp, names in claims.items()
        if all(own.fullmatch(name) for name in names)
    ]


def manifest(paths: ArtifactPaths, stored: Sequence[Upload], facts: Mapping[str, Any]) -> bytes:
    """The manifest: what was trained from what by whom, and every file with its size and SHA-256.

    Args:
        paths: Where the files lie.
        stored: Every file.
        facts: Strict JSON: the run, its data and the versions of what trained it.
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
