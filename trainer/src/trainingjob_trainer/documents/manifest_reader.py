"""Reads the manifest of one object from YAML, and the JSON of a run from an environment variable."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from trainingjob_api.names import FLEET_KIND, GROUP, KIND
from trainingjob_api.nearest import nearest
from trainingjob_api.reasons import Reason
from trainingjob_trainer.documents.faults import faults_of
from trainingjob_trainer.documents.yaml_documents import read_documents
from trainingjob_trainer.errors import TrainingError

_KINDS: Mapping[str, str] = {kind.lower(): kind for kind in (KIND, FLEET_KIND)}
Model = TypeVar("Model", bound=BaseModel)


def read_variable(text: str, variable: str, model: type[Model]) -> Model:
    """Read the JSON that the operator passes in an environment variable.

    Raises:
        TrainingError: InvalidConfiguration; the message has each invalid field.
    """
    try:
        return model.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION, f"{variable}: {'; '.join(faults_of(error, model))}"
        ) from error


def read_manifest(text: str, models: Mapping[str, type[Model]]) -> Model:
    """Read the manifest of the one object of these kinds. Manifests that the API server refuses are refused here too.

    Args:
        text: A file as for ``kubectl apply``; objects of other kinds in it are ignored.
        models: The manifest of each wanted kind.

    Raises:
        TrainingError: InvalidConfiguration, with one line for each invalid field.
    """
    kind, document = _the_one(read_documents(text), tuple(models))
    try:
        return models[kind].model_validate_json(json.dumps(_without_nulls(document)), by_alias=True, by_name=False)
    except ValidationError as error:
        raise TrainingError(Reason.INVALID_CONFIGURATION, "\n".join(faults_of(error, models[kind]))) from error


def _the_one(documents: list[Any], kinds: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The kind and content of the one document that is of these kinds, or is probably meant to be."""
    wanted = " or ".join(kinds)
    faults = []
    found = []
    for number, document in enumerate(documents, start=1):
        if not isinstance(document, dict):
            faults.append(f"document {number} must be a mapping with apiVersion, kind, metadata and spec")
        elif kind := _probable_kind(document, kinds):
            found.append((kind, document))
    if not documents:
        faults.append(f"the file is empty; it must have a {wanted}")
    elif not faults and len(found) != 1:
        names = ", ".join(f"{document.get('apiVersion')} {document.get('kind')}" for document in documents)
        faults.append(f"the file must have one {wanted}; it has {len(found)} (its documents are {names})")
    if faults:
        raise TrainingError(Reason.INVALID_CONFIGURATION, "\n".join(faults))
    return found[0]


def _probable_kind(document: Mapping[str, Any], kinds: Sequence[str]) -> str | None:
    """The one of the wanted kinds that a document has or is probably meant to have; None for another object."""
    version, kind = document.get("apiVersion"), document.get("kind")
    if version is kind is None:
        return kinds[0]
    if known := _KINDS.get(str(kind).lower()):
        return known if known in kinds else None
    return (nearest(str(kind), kinds) or kinds[0]) if str(version).startswith(f"{GROUP}/") else None


def _without_nulls(value: Any) -> Any:
    """The value without null fields, which the API server removes too."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
