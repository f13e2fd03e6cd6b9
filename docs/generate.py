"""Writes the generated parts of the documentation: reasons, gates, configuration, metrics and API reference.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``; the rest of a page is prose.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, get_args

import yaml
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trainingjob_api.fleet_spec import TrainingFleetSpec
from trainingjob_api.metrics import METRICS
from trainingjob_api.names import GROUP
from trainingjob_api.reasons import EXPLANATIONS, Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_operator import metrics, state_metrics
from trainingjob_operator.config import Configuration
from trainingjob_operator.state_metrics import State

DOCS = Path(__file__).parent
CRDS = DOCS.parent / "crds"
Schema = Mapping[str, Any]


def generated() -> dict[Path, str]:
    """Each page that has generated parts, with these parts as they must be."""
    pages = {page: page.read_text() for page in sorted(DOCS.glob("**/*.md"))}
    return {page: _replace(text) for page, text in pages.items() if "<!-- generated:" in text}


def _replace(page: str) -> str:
    for name, render in PARTS.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        if begin in page:
            before, rest = page.split(begin)
            _, after = rest.split(end)
            page = f"{before}{begin}\n\n{render()}\n\n{end}{after}"
    return page


def reasons() -> str:
    """The table of reasons, in the order in which the code lists them."""
    rows = ((f"`{reason}`", EXPLANATIONS[reason].meaning, EXPLANATIONS[reason].action) for reason in Reason)
    return _table(("Reason", "Meaning", "What to do"), rows)


def gates() -> str:
    """The table of the metrics that a gate may name."""
    rows = (
        (f"`{metric.name}`", f"`{metric.model_type}`", metric.unit, metric.meaning) for metric in METRICS if metric.gate
    )
    return _table(("Metric", "Model type", "Unit", "Meaning"), rows)


def configuration() -> str:
    """The table of the operator's environment variables."""
    rows = (
        (f"`{variable}`", "must be set" if default is None else f"`{default}`" if default else "", meaning)
        for variable, default, meaning in Configuration.table()
    )
    return _table(("Variable", "Default", "Meaning"), rows)


def operator_metrics() -> str:
    """The table of the metrics that the operator serves."""
    rows = (
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            ", ".join(f"`{label}`" for label in labels),
            family.documentation,
        )
        for family, labels in _families()
    )
    return _table(("Metric", "Type", "Labels", "Meaning"), rows)


def operator_metric_names() -> set[str]:
    """The names of the time series of the operator's metrics."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{family.name}{end}" for family, _ in _families() for end in suffixes.get(family.type, ("",))}


def _families() -> Iterator[tuple[Metric, Iterable[str]]]:
    """Each metric of the operator with the names of its labels."""
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            yield from ((family, value._labelnames) for family in value.describe())
    for family in state_metrics.families(State()):
        yield family, getattr(family, "_labelnames", ())


def api_reference(plural: str, part: str, model: type[BaseModel] | None = None) -> str:
    """Every field of the spec or of the status, one section for each object.

    Args:
        plural: The resource, such as ``trainingjobs``.
        part: ``spec`` or ``status``.
        model: Resolves the defaults of the spec.
    """
    crd = yaml.safe_load((CRDS / f"{plural}.{GROUP}.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return "\n\n".join(_sections(part, schema, model))


PARTS: Mapping[str, Callable[[], str]] = {
    "reasons": reasons,
    "gates": gates,
    "configuration": configuration,
    "metrics": operator_metrics,
    "spec": lambda: api_reference("trainingjobs", "spec", TrainingJobSpec),
    "status": lambda: api_reference("trainingjobs", "status"),
    "fleet spec": lambda: api_reference("trainingfleets", "spec", TrainingFleetSpec),
    "fleet status": lambda: api_reference("trainingfleets", "status"),
}


def _sections(path: str, schema: Schema, model: type[BaseModel] | None) -> Iterator[str]:
    """The section of one object, then those of the objects in it.

    Args:
        path: Of the object, such as ``spec.gates[]``.
        schema: Of the object.
        model: Resolves the defaults of its fields; None where there are none.
    """
    fields = {field.alias or name: field for name, field in (model.model_fields if model else {}).items()}
    required, rows, below = schema.get("required", ()), [], []
    rules = [rule["message"] for rule in schema.get("x-kubernetes-validations", ())]
    for name, node in schema["properties"].items():
        field = fields.get(name)
        nested_path, nested = _nested(f"{path}.{name}", node)
        if "properties" in nested:
            below.append(_sections(nested_path, nested, _model_in(field.annotation) if field else None))
        if nested is not node or "properties" not in node:
            # What is a section of its own lists its rules there.
            rules += [rule["message"] for rule in node.get("x-kubernetes-validations", ())]
        label = f"`{name}`" + (" (required)" if name in required else "")
        rows.append(
            (label, _type(nested_path, node, nested), _default(field), _bounds(node), _prose(node["description"]))
        )
    yield f"### {path}"
    yield _prose(schema["description"])
    yield _table(("Field", "Type", "Default", "Allowed values", "Description"), rows)
    if rules:
        yield "Rules:\n\n" + "\n".join(f"- {_prose(rule)}" for rule in rules)
    for sections in below:
        yield from sections


def _nested(path: str, node: Schema) -> tuple[str, Schema]:
    """Path and schema of what a list or map holds, or of the node itself."""
    if "items" in node:
        return f"{path}[]", node["items"]
    if "additionalProperties" in node:
        return f"{path}.*", node["additionalProperties"]
    return path, node


def _type(path: str, node: Schema, nested: Schema) -> str:
    inner = "integer or string" if nested.get("x-kubernetes-int-or-string") else nested["type"]
    if "properties" in nested:
        inner = f"[object](#{re.sub(r'[^a-z0-9]', '', path.lower())})"
    elif "format" in nested:
        inner = f"{inner} ({nested['format']})"
    if "items" in node:
        return f"list of {inner}"
    return f"map of string to {inner}" if "additionalProperties" in node else inner


def _bounds(node: Schema) -> str:
    """What a value must be, in words; of a list or map first how many values there are, then what each must be."""
    _, nested = _nested("", node)
    parts = [_size(node, "items", "Items"), _size(node, "entries", "Properties")] if nested is not node else []
    if "enum" in nested:
        parts.append(", ".join(_code(str(value)) for value in nested["enum"]))
    elif nested.get("type") in {"integer", "number"}:
        parts.append(_interval(nested))
    else:
        parts.append(_size(nested, "characters", "Length"))
    if "pattern" in nested:
        parts.append(f"pattern {_code(nested['pattern'])}")
    return "; ".join(part for part in parts if part)


def _size(node: Schema, noun: str, suffix: str) -> str:
    least, most = node.get(f"min{suffix}", 0), node.get(f"max{suffix}")
    if most is None:
        return ""
    if least == most:
        return f"exactly {most} {noun}"
    return f"{least} to {most} {noun}" if least else f"at most {most} {noun}"


def _interval(node: Schema) -> str:
    least, most = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum", False), node.get("exclusiveMaximum", False)
    if least is not None and most is not None and not above and not below:
        return f"{least} to {most}"
    lower = "" if least is None else f"{'above' if above else 'at least'} {least}"
    upper = "" if most is None else f"{'below' if below else 'at most'} {most}"
    return ", ".join(bound for bound in (lower, upper) if bound)


def _default(field: FieldInfo | None) -> str:
    if field is None or field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return ""
    return _code(value if isinstance(value, str) else json.dumps(value))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that a type names, such as ``Gate`` in ``tuple[Gate, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for each in get_args(annotation) if (model := _model_in(each))), None)


def _prose(text: str) -> str:
    return escape(text, quote=False).replace("|", "&#124;")


def _code(text: str) -> str:
    """Code in a cell of a table, where Markdown ends the cell at each vertical bar, in code too."""
    if "|" not in text:
        return f"`{text}`"
    return f"<code>{''.join(c if c.isalnum() else f'&#{ord(c)};' for c in text)}</code>"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    headings = tuple(headings)
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows))


def main() -> None:
    """Write the pages that differ."""
    for page, text in generated().items():
        if page.read_text() != text:
            page.write_text(text)


if __name__ == "__main__":
    main()
