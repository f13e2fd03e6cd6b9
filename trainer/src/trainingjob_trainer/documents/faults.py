"""What is wrong in a TrainingJob, in words for the person who wrote it: one line for each field."""

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
    """Each fault as one line: the path of the field, and what it must be instead of what it is.

    Args:
        error: Of the validation of the model's JSON.
        model: What was validated; its schema tells known fields and the patterns.
    """
    told: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        if fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]:
            continue  # It counts only the values that are right; the others are told by themselves.
        path, node = _located(model, fault["loc"])
        # Of a union every branch complains; the first one speaks for all.
        told.setdefault(path, f"{path}: {_words(fault, node)}" if path else _words(fault, node))
    return list(told.values())


def _located(model: type[BaseModel], steps: Sequence[int | str]) -> tuple[str, Mapping[str, Any]]:
    """The path of a fault as one writes it, and the schema there; of an unknown field the schema around it."""
    schema = _schema(model)
    node: Mapping[str, Any] = schema
    path = ""
    for step in steps:
        node = _resolved(node, schema)
        if isinstance(step, int):
            path, node = f"{path}[{step}]", node.get("items", {})
            continue
        if "anyOf" in node:
            break  # Not a step in the file, but the name of a branch.
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
    """The same without a reference, and without the null that stands for an absent field."""
    branches = [branch for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) == 1:
        return _resolved(branches[0], schema)
    if "$ref" in node:
        return _resolved(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    return node


def _words(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    if "anyOf" in node and (rule := _rule_of_any(node)):
        value = fault["input"]
        quoted = any(re.fullmatch(branch.get("pattern", "(?!)"), str(value)) for branch in node["anyOf"])
        return f"must be {rule}, {_instead(value)}{': put it in quotes' if quoted else ''}"
    words = _WORDS.get(fault["type"])
    return words(fault, node) if words else fault["msg"].removeprefix("Value error, ")


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
    said = f"must be {rule}, not {_shown(value)}" if rule else f"does not fit: {_shown(value)}"
    return f"{said}{_moment_hint(value)}" if pattern == MOMENT else f"{said} (as a regular expression: {pattern})"


def _other_kind(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
    kind, value = fault["type"], fault["input"]
    return f"must be {_KINDS[kind]}, {_instead(value)}{_quoting(kind, value)}"


def _beyond(fault: ErrorDetails, node: Mapping[str, Any]) -> str:
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


def _instead(value: Any) -> str:
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


_WORDS: Mapping[str, Callable[[ErrorDetails, Mapping[str, Any]], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_field,
    "literal_error": _other_choice,
    "string_pattern_mismatch": _other_pattern,
    **dict.fromkeys(_KINDS, _other_kind),
    **dict.fromkeys(_BOUNDS, _beyond),
    **dict.fromkeys(("string_too_long", "string_too_short", "too_long", "too_short"), _other_length),
}
