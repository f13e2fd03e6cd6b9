"""The CRDs for tests: their schemas, every node of them, and random specs that satisfy the schema of each node."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft202012Validator

from trainingjob_api.names import FLEET_KIND, GROUP, KIND

CRD_FOLDER = Path(__file__).parents[2] / "crds"
CRD_FILES: Mapping[str, Path] = {
    KIND: CRD_FOLDER / f"trainingjobs.{GROUP}.yaml",
    FLEET_KIND: CRD_FOLDER / f"trainingfleets.{GROUP}.yaml",
}

Schema = Mapping[str, Any]


def load_crd(kind: str = KIND) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    crd: dict[str, Any] = yaml.safe_load(CRD_FILES[kind].read_text())
    return crd


def root_schema(kind: str = KIND) -> Schema:
    """The schema of a whole object of the kind in its only version."""
    (version,) = load_crd(kind)["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def spec_schema(kind: str = KIND) -> Schema:
    """The schema of ``spec``."""
    schema: Schema = root_schema(kind)["properties"]["spec"]
    return schema


def status_validator(kind: str = KIND) -> Draft202012Validator:
    """Validates ``status``, and refuses unknown fields, which the API server would drop silently."""
    schema = _closed(root_schema(kind)["properties"]["status"])
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _closed(part) for key, part in schema.items()}
    return kept | ({"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {})


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """This node and every one below, each with its path; ``[]`` is an item and ``{}`` a value of a map."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


_DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31)).map(date.isoformat)
_INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 12, 31)).map(lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}")
_COLUMNS = st.sampled_from(["Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM", "Cool_T", "X9_"])
_LABEL_KEYS = st.sampled_from(["zone", "nvidia.com/gpu.present", "a.b/C_d-e"])
# Values that random generation from the schema rarely produces.
_BY_NAME: Mapping[str, SearchStrategy[Any]] = {
    "startDate": _DAYS | _INSTANTS,
    "endDate": _DAYS | _INSTANTS,
    "cron": st.sampled_from(
        ["30 2 * * 1", "0 */6 1,15 * *", "0 3 L * *", "15 4 * JAN-MAR MON#1", "60 2 * * 1", "0 0 * * 8"]
    ),
    "timeZone": st.sampled_from(["Etc/UTC", "America/Sao_Paulo", "Europe/Berlin"]),
    "metric": st.sampled_from(["skill", "rmse", "r2", "recall", "auc_score", "f1"]),
    "tolerations": st.lists(
        st.sampled_from(
            [
                {"operator": "Exists"},
                {"key": "a.b/c", "value": "d", "effect": "NoSchedule"},
                {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0},
                {"effect": "NoSchedule"},
            ]
        ),
        max_size=3,
    ),
}
_KEYS: Mapping[str, SearchStrategy[str]] = {
    "healthRanges": st.sampled_from(["Oil_P", "Oil_L", "Recalque", "Succao"]),
    "columns": _COLUMNS,
    "limits": _COLUMNS,
    "nodeSelector": _LABEL_KEYS,
}


def specs(kind: str = KIND) -> SearchStrategy[dict[str, Any]]:
    """Specs that satisfy the schema of each node; rules over several nodes may still refuse some of them."""
    return _values("spec", spec_schema(kind))


def _values(name: str, schema: Schema) -> SearchStrategy[Any]:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(1, 64) | st.sampled_from(["500m", "2", "1.5", "4Gi", "100M"])
    kinds = {
        "object": _objects,
        "array": lambda _, s: st.lists(
            _values("", s["items"]),
            min_size=s.get("minItems", 0),
            max_size=min(s["maxItems"], 4),
            unique=s.get("x-kubernetes-list-type") == "set",
        ),
        "string": _strings,
        "boolean": lambda *_: st.booleans(),
        "integer": lambda _, s: st.integers(s["minimum"], s["maximum"]),
        "number": _numbers,
    }
    return kinds[schema["type"]](name, schema)


def _objects(name: str, schema: Schema) -> SearchStrategy[dict[str, Any]]:
    if "additionalProperties" in schema:
        return st.dictionaries(_KEYS[name], _values("", schema["additionalProperties"]), max_size=3)
    values = {key: _values(key, child) for key, child in schema["properties"].items()}
    if {"min", "max"} <= values.keys():
        # Mostly a valid range: invalid ranges have their own tests, and would hide all other errors here.
        ends = st.tuples(values.pop("min"), values.pop("max")).filter(lambda pair: pair[0] != pair[1]).map(sorted)
        rest = st.fixed_dictionaries(values)
        return st.tuples(rest, ends).map(lambda parts: {**parts[0], "min": parts[1][0], "max": parts[1][1]})
    if {"names", "matching"} <= values.keys():
        # Mostly one of the two, for the same reason.
        rest = st.fixed_dictionaries({}, optional={key: values[key] for key in ("exclude", "minPercentOfLastRun")})
        one = [st.fixed_dictionaries({key: values[key]}) for key in ("names", "matching")]
        return st.tuples(rest, one[0] | one[1]).map(lambda parts: parts[0] | parts[1])
    required = {key: values.pop(key) for key in schema.get("required", ())}
    if name == "model":
        return st.sampled_from(["gru", "xgb"]).flatmap(
            lambda kind: st.fixed_dictionaries(
                {"type": st.just(kind)}, optional={kind: values[kind], "seed": values["seed"]}
            )
        )
    return st.fixed_dictionaries(required, optional=values)


def _numbers(_: str, schema: Schema) -> SearchStrategy[float]:
    return st.floats(
        schema["minimum"],
        schema["maximum"],
        exclude_min=schema.get("exclusiveMinimum", False),
        exclude_max=schema.get("exclusiveMaximum", False),
    )


def _strings(_: str, schema: Schema) -> SearchStrategy[str]:
    if "pattern" not in schema:
        return st.text(min_size=schema.get("minLength", 0), max_size=schema["maxLength"])
    short = range(schema.get("minLength", 0), schema["maxLength"] + 1)
    return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: len(text) in short)
