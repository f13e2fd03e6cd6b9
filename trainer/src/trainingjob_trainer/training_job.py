"""From text to TrainingRun: the operator's JSON, or a TrainingJob's YAML resolved as the operator would resolve it."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.spec import Data, TrainingJobSpec, TrainingRun, Window
from trainingjob_trainer.spec_types import parse_moment

API_VERSION = "training.pumphealth.io/v1alpha1"


def read_training_run(text: str) -> TrainingRun:
    """Read what the operator hands over in ``TRAINING_JOB``.

    Raises:
        TrainingError: InvalidConfiguration, naming each field that is wrong.
    """
    try:
        return TrainingRun.model_validate_json(text)
    except ValidationError as error:
        raise TrainingError("InvalidConfiguration", f"TRAINING_JOB: {_told(error, '')}") from error


def load_training_job(text: str, now: datetime | None = None) -> TrainingRun:
    """Read the YAML of one TrainingJob as the first run of a new object, to train without a cluster.

    Args:
        text: A file that one would apply with kubectl; other kinds of object in it are passed over.
        now: The moment at which the run counts as accepted; the present by default.

    Raises:
        TrainingError: InvalidConfiguration, naming each field that is wrong.
    """
    try:
        documents = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise TrainingError("InvalidConfiguration", f"The file is not YAML: {error}") from error
    jobs = [document for document in documents if _kind(document) == (API_VERSION, "TrainingJob")]
    if len(jobs) != 1:
        raise TrainingError(
            "InvalidConfiguration", f"The file must hold one TrainingJob of {API_VERSION}; it holds {len(jobs)}."
        )
    (document,) = jobs
    metadata = document.get("metadata") or {}
    if not metadata.get("name"):
        raise TrainingError("InvalidConfiguration", "The TrainingJob is not valid: metadata.name is missing")
    try:
        spec = TrainingJobSpec.model_validate_json(json.dumps(_without_nulls(document.get("spec") or {})))
    except ValidationError as error:
        raise TrainingError("InvalidConfiguration", f"The TrainingJob is not valid: {_told(error, 'spec')}") from error
    return TrainingRun(
        namespace=metadata.get("namespace") or "local",
        name=metadata["name"],
        uid=str(uuid.uuid4()),
        run=1,
        attempt=1,
        spec_hash=spec_hash(spec),
        window=resolve_window(spec.data, now or datetime.now(UTC)),
        accelerator_policy=spec.accelerator.policy or ("Preferred" if spec.model.type == "gru" else "Disabled"),
        adopt=spec.reuse == "Equal",
        spec=spec,
    )


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


def _kind(document: Any) -> tuple[Any, Any] | None:
    return (document.get("apiVersion"), document.get("kind")) if isinstance(document, dict) else None


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


def _told(error: ValidationError, root: str) -> str:
    """All faults in one line, each with the path of its field."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join([root, *(str(step) for step in fault["loc"])]).strip(".")
        faults.append(f"{path}: {fault['msg'].removeprefix('Value error, ')}")
    return "; ".join(faults)


class _Loader(yaml.SafeLoader):
    """Reads YAML as the API server does: dates stay text, and 1e-3 is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
