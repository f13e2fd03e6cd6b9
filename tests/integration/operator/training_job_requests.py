"""Requests of tests to the API server: TrainingJobs, and the message if one is refused."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.client import ApiException

from support.training_jobs import GROUP, VERSION


def training_job(spec: Mapping[str, Any], name: str = "example") -> dict[str, Any]:
    """A TrainingJob with that spec."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": copy.deepcopy(dict(spec)),
    }


def refusal(act: Callable[[], object]) -> str | None:
    """The message with which the API server refuses a request; None if it accepts it."""
    try:
        act()
    except ApiException as error:
        if error.status not in (400, 422):
            raise
        return str(json.loads(error.body)["message"])
    return None
