"""Which specs are equal: hashes over the JSON of a spec. An unknown field of another API version counts as it is."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainingjob_api.defaults import DEFAULTS


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Hash what decides the model: machine, model and data, without Secret names. Equal hashes are equal models.

    SHA-256, in hex, of JSON with sorted keys and without whitespace, in which whole numbers have no fraction and what
    equals its default is left out: a new field whose default is the old behaviour changes no hash.
    """
    data = {key: value for key, value in (spec.get("data") or {}).items() if key != "databaseSecretName"}
    decisive = {"machine": spec["machine"], "model": spec["model"], "data": data}
    return _digest(_without_defaults(decisive, DEFAULTS))


def gates_hash(spec: Mapping[str, Any]) -> str:
    """Hash the gates, whatever their order."""
    return _digest(sorted((_plain(gate) for gate in spec.get("gates") or ()), key=lambda gate: str(gate["metric"])))


def attempt_hash(spec: Mapping[str, Any]) -> str:
    """Hash what shapes a Job but not the model; short enough for a label.

    Accelerator, resources, scheduling, artifacts, Secret names and gates: a change of these during a run is the next
    attempt. Not runPolicy, whose limits hold from the next Job on, nor reuse, which only a run's start looks at.
    """
    parts = {key: spec[key] for key in ("accelerator", "resources", "scheduling", "artifacts") if spec.get(key)}
    shaping = _without_defaults(parts, DEFAULTS)
    secret = (spec.get("data") or {}).get("databaseSecretName")
    return _digest({**shaping, "gates": gates_hash(spec), "databaseSecretName": secret})[:16]


def _without_defaults(part: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in part.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            # A map without defaults of its own, such as columns, is compared whole: its default is the empty map.
            value = _without_defaults(value, default)  # noqa: PLW2901
            default = {}
        if value is not None and value != default:
            kept[key] = _plain(value)
    return kept


def _plain(value: Any) -> Any:
    """The same value with whole numbers as integers: JSON's 1 and 1.0 are one number."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
