"""Runs of fleets as the operator passes them to workers."""

import json
from collections.abc import Mapping
from typing import Any

from trainingjob_api.fleet_run import FleetRun

FLEET_UID = "5e1f0c9a-0000-4b8e-9d53-0d2a5e3c1b11"


def fleet_run(spec: Mapping[str, Any], **more: Any) -> FleetRun:
    """A run of a fleet with the field names of the API, by default the first attempt of the first run."""
    identity = {"namespace": "pumps", "name": "rental", "uid": FLEET_UID, "run": 1, "attempt": 1, "adopt": False}
    content = identity | {"specHash": "a" * 64, "window": {}, "acceleratorPolicy": "Disabled", "spec": spec} | more
    return FleetRun.model_validate_json(json.dumps(content))
