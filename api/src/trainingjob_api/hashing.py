"""Hashes over the JSON of a spec, to compare specs. Unknown fields of other API versions are hashed unchanged."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainingjob_api.defaults import DEFAULTS, FLEET_DEFAULTS


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Hash the fields that determine the model: machine, model and data, without Secret names.

    The hash is SHA-256, in hex, of JSON with sorted keys and without whitespace. Whole numbers are written as integers,
    and values equal to their default are omitted, so a new field whose default is the old behaviour changes no hash.
    """
    decisive = {"machine": spec["machine"], "model": spec["model"], "data": _data(spec)}
    return _digest(_without_defaults(decisive, DEFAULTS))


def fleet_spec_hash(spec: Mapping[str, Any]) -> str:
    """The same for a TrainingFleet: the selection of machines, their model and data, and when to train them again.

    The order of names and patterns is not hashed, nor is ``minPercentOfLastRun``, which only refuses runs.
    """
    machines = {key: value for key, value in spec["machines"].items() if key != "minPercentOfLastRun"}
    machines |= {key: sorted(machines[key]) for key in ("names", "exclude") if machines.get(key)}
    template = {"model": spec["template"]["model"], "data": _data(spec["template"])}
    decisive = {"machines": machines, "template": template, "retrain": spec.get("retrain")}
    return _digest(_without_defaults(decisive, FLEET_DEFAULTS))


def gates_hash(spec: Mapping[str, Any]) -> str:
    """Hash the gates, independent of their order."""
    return _digest(sorted((_plain(gate) for gate in spec.get("gates") or ()), key=lambda gate: str(gate["metric"])))


def attempt_hash(spec: Mapping[str, Any]) -> str:
    """Hash the fields that determine the Job but not the model; the hash is short enough for a label.

    These are accelerator, resources, scheduling, artifacts, Secret names and gates: when one of them changes during a
    run, a new attempt starts. runPolicy is not hashed, because its limits apply from the next Job on; nor is reuse,
    because only the start of a run reads it.
    """
    parts = {key: spec[key] for key in ("accelerator", "resources", "scheduling", "artifacts") if spec.get(key)}
    shaping = _without_defaults(parts, DEFAULTS)
    secret = (spec.get("data") or {}).get("databaseSecretName")
    return _digest({**shaping, "gates": gates_hash(spec), "databaseSecretName": secret})[:16]


def fleet_attempt_hash(spec: Mapping[str, Any]) -> str:
    """The same for a TrainingFleet, and the number of its workers."""
    workers = spec.get("workers") or FLEET_DEFAULTS["workers"]
    return _digest({"workers": workers, "attempt": attempt_hash({**spec, **spec["template"]})})[:16]


def _data(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (spec.get("data") or {}).items() if key != "databaseSecretName"}


def _without_defaults(part: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in part.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            # A map without nested defaults, such as columns, is compared as a whole; its default is the empty map.
            value = _without_defaults(value, default)  # noqa: PLW2901
            default = {}
        if value is not None and value != default:
            kept[key] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    """The value with whole numbers as integers, because 1 and 1.0 are the same number in JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
