"""Manifests of TrainingJobs and TrainingFleets for tests, and the message if the API server refuses one."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.client import ApiException

from support.training_jobs import GROUP, VERSION
from trainingjob_api.names import FLEET_KIND, KIND

PLURALS = {KIND: "trainingjobs", FLEET_KIND: "trainingfleets"}
_TEMPLATE = ("model", "data", "artifacts", "gates", "reuse")


def manifest(spec: Mapping[str, Any], name: str = "example", kind: str = KIND) -> dict[str, Any]:
    """An object of the kind with that spec."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": kind,
        "metadata": {"name": name},
        "spec": copy.deepcopy(dict(spec)),
    }


def fleet_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a fleet that has the machine of a TrainingJob, and trains the same for it."""
    template = {key: value for key, value in spec.items() if key in _TEMPLATE}
    others = {key: value for key, value in spec.items() if key not in _TEMPLATE and key != "machine"}
    return {"machines": {"names": [spec["machine"]]}, "template": template, **others}


def refusal(act: Callable[[], object]) -> str | None:
    """The message with which the API server refuses a request; None if it accepts it."""
    try:
        act()
    except ApiException as error:
        if error.status not in (400, 422):
            raise
        return str(json.loads(error.body)["message"])
    return None
