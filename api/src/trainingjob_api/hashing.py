"""Hashes over the JSON of a spec, to compare specs. Unknown fields of other API versions are hashed unchanged."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainingjob_api.defaults import DEFAULTS


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Hash the fields that determine the model: machine, model and data, without Secret names.

    The hash is SHA-256, in hex, of JSON with sorted keys and without whitespace. Whole numbers are written as integers,
    and values equal to their default are omitted, so a new field whose default is the old behaviour changes no hash.
    """
    data = {key: value for key, value in (spec.get("data") or {}).items() if key != "databaseSecretName"}
    decisive = {"machine": spec["machine"], "model": spec["model"], "data": data}
    return _digest(_without_defaults(decisive, DEFAULTS))


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
