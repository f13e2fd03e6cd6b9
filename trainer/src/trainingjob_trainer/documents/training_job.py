"""Reads a TrainingRun from the operator's JSON, or from the YAML of a TrainingJob, resolved like the operator does."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from trainingjob_api.hashing import spec_hash
from trainingjob_api.names import GROUP, KIND, TRAINING_JOB_VARIABLE
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun, Window
from trainingjob_api.values import DEFAULT_ACCELERATOR_POLICIES
from trainingjob_api.window import resolve_window
from trainingjob_trainer.documents.faults import faults_of
from trainingjob_trainer.documents.manifest import TrainingJobManifest
from trainingjob_trainer.documents.yaml_documents import read_documents
from trainingjob_trainer.errors import TrainingError


def read_training_run(text: str) -> TrainingRun:
    """Read the JSON that the operator passes in ``TRAINING_JOB``.

    Raises:
        TrainingError: InvalidConfiguration; the message has each invalid field.
    """
    try:
        return TrainingRun.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION, f"{TRAINING_JOB_VARIABLE}: {'; '.join(faults_of(error, TrainingRun))}"
        ) from error


def load_training_job(text: str, now: datetime | None = None) -> TrainingRun:
    """Read the YAML of one TrainingJob as the first run of a new object, for training without a cluster.

    Manifests that the API server refuses are refused here too.

    Args:
        text: A file as for ``kubectl apply``; objects of other kinds in it are ignored.
        now: The time at which the run is accepted; the current time by default.

    Raises:
        TrainingError: InvalidConfiguration, with one line for each invalid field.
    """
    content = json.dumps(_without_nulls(_training_job(read_documents(text))))
    try:
        manifest = TrainingJobManifest.model_validate_json(content, by_alias=True, by_name=False)
    except ValidationError as error:
        raise TrainingError(Reason.INVALID_CONFIGURATION, "\n".join(faults_of(error, TrainingJobManifest))) from error
    spec = manifest.spec
    start, end = resolve_window(spec.as_json(), now or datetime.now(UTC))
    return TrainingRun(
        namespace=manifest.metadata.namespace or "local",
        name=manifest.metadata.name,
        uid=str(uuid.uuid4()),
        run=1,
        attempt=1,
        spec_hash=spec_hash(spec.as_json()),
        window=Window(start=start, end=end),
        accelerator_policy=spec.accelerator.policy or DEFAULT_ACCELERATOR_POLICIES[spec.model.type],
        adopt=spec.reuse == "Equal",
        spec=spec,
    )


def _training_job(documents: list[Any]) -> dict[str, Any]:
    """The one document that is a TrainingJob, or is probably meant to be one."""
    faults = []
    found = []
    for number, document in enumerate(documents, start=1):
        if not isinstance(document, dict):
            faults.append(f"document {number} must be a mapping with apiVersion, kind, metadata and spec")
        elif _is_probably_training_job(document):
            found.append(document)
    if not documents:
        faults.append("the file is empty; it must have a TrainingJob")
    elif not faults and len(found) != 1:
        kinds = ", ".join(f"{document.get('apiVersion')} {document.get('kind')}" for document in documents)
        faults.append(f"the file must have one TrainingJob; it has {len(found)} (its documents are {kinds})")
    if faults:
        raise TrainingError(Reason.INVALID_CONFIGURATION, "\n".join(faults))
    return found[0]


def _is_probably_training_job(document: Mapping[str, Any]) -> bool:
    version, kind = document.get("apiVersion"), document.get("kind")
    return version is kind is None or str(kind).lower() == KIND.lower() or str(version).startswith(f"{GROUP}/")


def _without_nulls(value: Any) -> Any:
    """The value without null fields, which the API server removes too."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
