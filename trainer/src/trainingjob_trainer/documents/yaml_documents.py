"""Reads YAML like the API server: dates stay text, 1e-3 is a number, and duplicate keys are an error."""

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.reader import ReaderError

from trainingjob_api.reasons import Reason
from trainingjob_trainer.documents.file_format import other_format
from trainingjob_trainer.errors import TrainingError

_TAG = "tag:yaml.org,2002:"
_INFINITE_OR_NAN = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def decode_yaml(content: bytes) -> str:
    """Decode a YAML file, which must be UTF-8.

    Raises:
        TrainingError: InvalidConfiguration; the message has the actual format or encoding, and what to do.
    """
    other = other_format(content)
    if other is not None:
        raise TrainingError(Reason.INVALID_CONFIGURATION, f"The file is not YAML in UTF-8; it {other}.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"line {line}: byte 0x{content[error.start]:02x} is not UTF-8; the file seems to be Latin-1 (ISO 8859-1 or "
            "Windows-1252): save it as UTF-8, for example by `iconv -f WINDOWS-1252 -t UTF-8`.",
        ) from error


def read_documents(text: str) -> list[Any]:
    """Read every document of a YAML text as JSON values; empty documents are skipped.

    Raises:
        TrainingError: InvalidConfiguration with the line, when it is not YAML or a mapping has a duplicate key.
    """
    try:
        documents = list(yaml.load_all(text, _Loader))
    except yaml.MarkedYAMLError as error:
        raise TrainingError(Reason.INVALID_CONFIGURATION, _yaml_error_message(error)) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TrainingError(
            Reason.INVALID_CONFIGURATION, f"line {line}: the character U+{ord(text[error.position]):04X} is not allowed"
        ) from error
    except RecursionError as error:
        raise TrainingError(Reason.INVALID_CONFIGURATION, "The YAML is nested too deeply") from error
    except (ValueError, OverflowError) as error:
        # The scanner raises these for an escape sequence that is not a valid character.
        raise TrainingError(Reason.INVALID_CONFIGURATION, f"The file is not YAML: {error}") from error
    try:
        json.dumps(documents)
    except ValueError as error:
        raise TrainingError(Reason.INVALID_CONFIGURATION, "The YAML refers to itself") from error
    return [document for document in documents if document is not None]


def _yaml_error_message(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}: " if mark else ""
    problem = " ".join(str(part) for part in (error.context, error.problem) if part)
    hint = "; indent by blanks, not by tabs" if "'\\t'" in problem else ""
    kind = "" if isinstance(error, _RepeatedKeyError) else "not YAML: "
    return f"{where}{kind}{problem}{hint}"


class _RepeatedKeyError(yaml.MarkedYAMLError):
    """A mapping has a duplicate key."""


class _Loader(yaml.SafeLoader):
    """Resolves and constructs only JSON values, by the rules of the API server's parser."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - of the base class
    yaml_constructors: ClassVar[dict[str | None, Callable[..., Any]]] = {
        f"{_TAG}str": SafeConstructor.construct_yaml_str,
        f"{_TAG}seq": SafeConstructor.construct_yaml_seq,
        f"{_TAG}map": SafeConstructor.construct_yaml_map,
        None: SafeConstructor.construct_undefined,
    }

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        node = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in first:
                problem = f"the key {key.value} is already in this mapping, in line {first[key.value]}"
                raise _RepeatedKeyError(problem=problem, problem_mark=key.start_mark)
            first[key.value] = line
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        return {_key(key, node): value for key, value in mapping.items()}


def _key(key: Any, node: Node) -> str:
    """The key as text, because JSON keys are text; a number or boolean is converted."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool | int | float):
        return json.dumps(key)
    raise ConstructorError(None, None, "a key must be text", node.start_mark)


def _construct_number(loader: _Loader, node: ScalarNode) -> int | float:
    plain = node.value.replace("_", "")
    try:
        if re.fullmatch("[-+]?0[0-7]+", plain):
            return int(plain, 8)
        if _INFINITE_OR_NAN.fullmatch(plain):
            return float(plain.replace(".", ""))
        try:
            return int(plain, 0)
        except ValueError:
            number = float(plain)
        # The API server reads 1.0 and 1e3 as integers too.
        return int(number) if number.is_integer() else number
    except ValueError as error:
        raise ConstructorError(None, None, f"{node.value!r} is not a number", node.start_mark) from error


def _construct_boolean(loader: _Loader, node: ScalarNode) -> bool:
    if not re.fullmatch("|".join((_TRUE, _FALSE)), node.value):
        raise ConstructorError(None, None, f"{node.value!r} is not a boolean", node.start_mark)
    return re.fullmatch(_TRUE, node.value) is not None


def _construct_null(loader: _Loader, node: ScalarNode) -> None:
    return None


_TRUE = "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON"
_FALSE = "n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
_DIGITS = r"[0-9][0-9_]*"
_NUMBER = (
    rf"[-+]?(0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|({_DIGITS}(\.[0-9_]*)?|\.{_DIGITS})([eE][-+]?{_DIGITS})?)"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
for _tag, _pattern, _first in (
    ("bool", f"{_TRUE}|{_FALSE}", "yYnNtTfFoO"),
    ("float", _NUMBER, "-+.0123456789"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
for _tag, _construct in (
    ("bool", _construct_boolean),
    ("float", _construct_number),
    ("int", _construct_number),
    ("null", _construct_null),
):
    _Loader.add_constructor(f"{_TAG}{_tag}", _construct)
