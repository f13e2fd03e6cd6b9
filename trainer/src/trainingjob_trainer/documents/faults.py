"""Converts validation errors of a TrainingJob into one line of text for each invalid field."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from trainingjob_api.nearest import nearest
from trainingjob_api.values import MOMENT, PATTERN_RULES

_SHOWN_CHARACTERS = 60
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a mapping",
    "mapping_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "finite_number": "a finite number",
}


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Describe each fault in one line: the path of the field, what it must be, and what it is.

    Args:
        error: The error from validating JSON against the model.
        model: The model; its schema has the known fields and the patterns.
    """
    lines: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        if fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]:
            continue  # pydantic counts only the valid values here; the invalid ones have faults of their own.
        path, node = _path_and_schema(model, fault["loc"])
        # Each branch of a union reports a fault; the first one is enough.
        lines.setdefault(path, f"{path}: {_description(fault, node)}" if path else _description(fault, node))
    return list(lines.values())


def _path_and_schema(model: type[BaseModel], steps: Sequence[int | str]) -> tuple[str, Mapping[str, Any]]:
    """The path of a fault in the usual notation, and the schema of its field; for an unknown field, of its parent."""
    schema = _schema(model)
    node: Mapping[str, Any] = schema
    path = ""
    for step in steps:
        node = _resolved(node, schema)
        if isinstance(step, int):
            path, node = f"{path}[{step}]", node.get("items", {})
            continue
        if "anyOf" in node:
            break  # This step is the name of a branch of the union, not a field in the file.
        path = f"{path}.{step}".lstrip(".")
        child = node.get("properties", {}).get(step) or node.get("additionalProperties")
        if not isinstance(child, Mapping):
            break
        node = child
    return path, _resolved(node, schema)


@lru_cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with its reference resolved, and without the null of an optional field."""
    branches = [branch for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        return _resolved(branches[0], schema)
    if "$ref" in node:
        return _resolved(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    return node


def _description(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    if "anyOf" in node and (rule := _rule_of_any(node)):
        value = fault["input"]
        quoted = any(re.fullmatch(branch.get("pattern", "(?!)"), str(value)) for branch in node["anyOf"])
        return f"must be {rule}, {_not_this(value)}{': put it in quotes' if quoted else ''}"
    describe = _DESCRIPTIONS.get(fault["type"])
    return describe(fault, node) if describe else fault["msg"].removeprefix("Value error, ")


def _rule_of_any(node: Mapping[str, Any]) -> str | None:
    return next((PATTERN_RULES.get(branch.get("pattern", "")) for branch in node["anyOf"]), None)


def _missing(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    return "is missing"


def _unknown_field(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    name, known = str(fault["loc"][-1]), list(node.get("properties", ()))
    meant = to_camel(name) if to_camel(name) in known else nearest(name, known)
    if meant is not None:
        return f"there is no such field; {meant} is probably meant"
    return f"there is no such field; there are {', '.join(known)}"


def _other_choice(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    value, choices = fault["input"], [str(choice) for choice in node.get("enum", [node.get("const")])]
    meant = nearest(value, choices) if isinstance(value, str) and len(choices) > 1 else None
    return f"must be {_choice(choices)}, not {_shown(value)}{f'; {meant} is probably meant' if meant else ''}"


def _other_pattern(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    pattern, value = node["pattern"], fault["input"]
    rule = PATTERN_RULES.get(pattern)
    text = f"must be {rule}, not {_shown(value)}" if rule else f"does not match: {_shown(value)}"
    return f"{text}{_moment_hint(value)}" if pattern == MOMENT else f"{text} (as a regular expression: {pattern})"


def _other_kind(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    kind, value = fault["type"], fault["input"]
    return f"must be {_KINDS[kind]}, {_not_this(value)}{_quoting(kind, value)}"


def _out_of_bounds(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    bound, words = _BOUNDS[fault["type"]]
    return f"must be {words} {fault['ctx'][bound]:g}, not {_shown(fault['input'])}"


def _other_length(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    kind, context = fault["type"], fault["ctx"]
    if kind.startswith("string") and not re.fullmatch(node.get("pattern", "(?s:.*)"), fault["input"]):
        return _other_pattern(fault, node)
    number = context.get("max_length", context.get("min_length"))
    limit = "at most" if kind.endswith("long") else "at least"
    things = "character" if kind.startswith("string") else "value"
    return f"must have {limit} {number} {things}{'s' if number != 1 else ''}, not {len(fault['input'])}"


def _choice(values: Sequence[str]) -> str:
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last


def _moment_hint(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return ""
    if moment.year < 1970:
        return ""
    if moment.tzinfo is None:
        return f"; if that is UTC, write {moment:%Y-%m-%dT%H:%M:%SZ}"
    return f"; in UTC that is {moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _not_this(value: Any) -> str:
    if value is None:
        return "and is empty"
    if isinstance(value, Mapping):
        return "not a mapping"
    if isinstance(value, list):
        return "not a list"
    kind = "the text " if isinstance(value, str) else "" if isinstance(value, bool) else "the number "
    return f"not {kind}{_shown(value)}"


def _quoting(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, bool | int | float):
        return ": put it in quotes"
    if isinstance(value, str) and (
        (kind == "bool_type" and value.lower() in ("true", "false", "yes", "no"))
        or (kind in ("int_type", "float_type") and re.fullmatch(r"[-+]?[0-9.]+", value))
    ):
        return ": write it without quotes"
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    text = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return repr(text) if isinstance(value, str) else text


_DESCRIPTIONS: Mapping[str, Callable[[ErrorDetails, Mapping[str, Any]], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_field,
    "literal_error": _other_choice,
    "string_pattern_mismatch": _other_pattern,
    **dict.fromkeys(_KINDS, _other_kind),
    **dict.fromkeys(_BOUNDS, _out_of_bounds),
    **dict.fromkeys(("string_too_long", "string_too_short", "too_long", "too_short"), _other_length),
}
