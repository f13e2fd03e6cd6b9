"""From text to TrainingRun: the operator's JSON, or a TrainingJob's YAML resolved as the operator would resolve it."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ValidationError

from trainingjob_trainer.documents.faults import faults_of
from trainingjob_trainer.documents.manifest import TrainingJobManifest
from trainingjob_trainer.documents.yaml_documents import read_documents
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.spec import Data, TrainingJobSpec, TrainingRun, Window
from trainingjob_trainer.spec_types import parse_moment

_GROUP = "training.pumphealth.io"


def read_training_run(text: str) -> TrainingRun:
    """Read what the operator hands over in ``TRAINING_JOB``.

    Raises:
        TrainingError: InvalidConfiguration, naming each field that is wrong.
    """
    try:
        return TrainingRun.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        raise TrainingError(
            "InvalidConfiguration", f"TRAINING_JOB: {'; '.join(faults_of(error, TrainingRun))}"
        ) from error


def load_training_job(text: str, now: datetime | None = None) -> TrainingRun:
    """Read the YAML of one TrainingJob as the first run of a new object, to train without a cluster.

    What the API server refuses is refused here too.

    Args:
        text: A file that one would apply with kubectl; other kinds of object in it are passed over.
        now: The moment at which the run counts as accepted; the present by default.

    Raises:
        TrainingError: InvalidConfiguration, with a line for each field that is wrong.
    """
    content = json.dumps(_without_nulls(_training_job(read_documents(text))))
    try:
        manifest = TrainingJobManifest.model_validate_json(content, by_alias=True, by_name=False)
    except ValidationError as error:
        raise TrainingError("InvalidConfiguration", "\n".join(faults_of(error, TrainingJobManifest))) from error
    spec = manifest.spec
    return TrainingRun(
        namespace=manifest.metadata.namespace or "local",
        name=manifest.metadata.name,
        uid=str(uuid.uuid4()),
        run=1,
        attempt=1,
        spec_hash=spec_hash(spec),
        window=resolve_window(spec.data, now or datetime.now(UTC)),
        accelerator_policy=spec.accelerator.policy or ("Preferred" if spec.model.type == "gru" else "Disabled"),
        adopt=spec.reuse == "Equal",
        spec=spec,
    )


def _training_job(documents: list[Any]) -> dict[str, Any]:
    """The one document that is, or was meant to be, a TrainingJob."""
    faults = []
    found = []
    for number, document in enumerate(documents, start=1):
        if not isinstance(document, dict):
            faults.append(f"document {number} must be a mapping with apiVersion, kind, metadata and spec")
        elif _is_meant(document):
            found.append(document)
    if not documents:
        faults.append("the file is empty; it must hold a TrainingJob")
    elif not faults and len(found) != 1:
        kinds = ", ".join(f"{document.get('apiVersion')} {document.get('kind')}" for document in documents)
        faults.append(f"the file must hold one TrainingJob; it holds {len(found)} (its documents are {kinds})")
    if faults:
        raise TrainingError("InvalidConfiguration", "\n".join(faults))
    return found[0]


def _is_meant(document: Mapping[str, Any]) -> bool:
    version, kind = document.get("apiVersion"), document.get("kind")
    return version is kind is None or str(kind).lower() == "trainingjob" or str(version).startswith(f"{_GROUP}/")


def resolve_window(data: Data, now: datetime) -> Window:
    """Fix the window of the data at the moment the run is accepted.

    The end is never later than ``now``, so that telemetry which keeps coming in changes no attempt of the run.

    Args:
        data: Dates (an end date is included whole), instants (an end instant is excluded) or lookbackDays (the last
            whole UTC days before ``now``).
        now: The moment of acceptance, with a time zone.
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    if data.lookback_days is not None:
        midnight = now.replace(hour=0, minute=0, second=0)
        return Window(start=midnight - timedelta(days=data.lookback_days), end=midnight)
    start = parse_moment(data.start_date) if data.start_date else None
    end = parse_moment(data.end_date) if data.end_date else now
    if data.end_date and len(data.end_date) == len("2025-01-01"):
        end += timedelta(days=1)
    return Window(start=start, end=min(end, now))


def spec_hash(spec: TrainingJobSpec) -> str:
    """Hash what decides the model: machine, model and data, without Secret names.

    SHA-256, in hex, of JSON with sorted keys and without whitespace, in which whole numbers have no fraction and
    what equals its default is left out. The operator computes the same from the API's own JSON.
    """
    block = getattr(spec.model, spec.model.type)
    decisive: dict[str, Any] = {
        "machine": spec.machine,
        "model": _set(spec.model, without=("gru", "xgb")) | _nested(spec.model.type, _set(block)),
    }
    decisive |= _nested("data", _set(spec.data, without=("database_secret_name",)))
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _without_nulls(value: Any) -> Any:
    """The same without fields that are written but empty, which the API server drops too."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _set(part: BaseModel, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a part that differ from their default, by API name."""
    result: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name in without or (not field.is_required() and value == field.get_default(call_default_factory=True)):
            continue
        result[field.alias or name] = _canonical(value)
    return result


def _nested(name: str, value: dict[str, Any]) -> dict[str, Any]:
    return {name: value} if value else {}


def _canonical(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _set(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
