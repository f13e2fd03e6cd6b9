"""The termination message fits its limit, drops the least important parts first, and satisfies the CRD when read."""

import json
import math
import re
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.api_schema import Schema, root_schema
from trainingjob_api.names import FLEET_KIND, KIND
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import LIMIT_BYTES, SUMMARY_CHARACTERS, Outcome, termination_message
from trainingjob_api.termination_report import Report, read_report

_SECTIONS = {
    KIND: {"summary", "metrics", "artifacts", "registration", "data", "device", "warnings"},
    FLEET_KIND: {"summary", "machines", "failures", "artifacts", "device", "warnings"},
}
_SECTION_SCHEMAS = {
    kind: {name: root_schema(kind)["properties"]["status"]["properties"][name] for name in sections}
    for kind, sections in _SECTIONS.items()
}
_KEYS = sorted(
    {
        key
        for schemas in _SECTION_SCHEMAS.values()
        for schema in schemas.values()
        for key in schema.get("properties", ())
    }
    | {"name", "machine", "reason", "message", *_SECTION_SCHEMAS[KIND], *_SECTION_SCHEMAS[FLEET_KIND]}
)
_IDENTITY = {"uid": "1f0c9a3e-5d1c-4b8e-9d53-0d2a5e3c1b11", "run": 3, "attempt": 1, "exitCode": 0}
_FILE = {"uri": "s3://models/" + "x" * 120, "sha256": "0" * 64, "sizeBytes": 1}
_LONG: dict[str, Any] = _IDENTITY | {
    "outcome": "Succeeded",
    "reason": "Completed",
    "message": "m" * 900,
    "summary": "skill 0.31",
    "metrics": {"skill": 0.31, "rmse": 0.019} | {f"minor_{number}": float(number) for number in range(150)},
    "artifacts": [{"name": name} | _FILE for name in ("report", "model", "scaler", "manifest")],
    "data": {"rowsRead": 10, "fingerprint": "f" * 64},
    "warnings": ["w" * 200] * 10,
}


def test_a_short_message_keeps_everything() -> None:
    facts = _IDENTITY | {"outcome": "Succeeded", "reason": "Completed", "message": "ok", "metrics": {"skill": 0.3}}
    assert json.loads(termination_message(facts)) == facts


def test_unknown_empty_and_non_finite_values_are_absent() -> None:
    facts = _IDENTITY | {
        "message": "ok",
        "metrics": {"skill": math.nan, "r2": math.inf, "mae": None, "epochs_trained": 3, "features_used": ["Oil_P"]},
        "registration": {"modelID": None},
        "warnings": (),
    }
    assert json.loads(termination_message(facts)) == _IDENTITY | {"message": "ok", "metrics": {"epochs_trained": 3}}


def test_warnings_are_dropped_first_and_one_by_one() -> None:
    kept = json.loads(termination_message(_LONG | {"metrics": {"skill": 0.31}, "artifacts": []}))
    assert 0 < len(kept["warnings"]) <= 10
    assert kept["message"] == _LONG["message"]


def test_gate_metrics_and_the_model_are_dropped_last() -> None:
    kept = json.loads(termination_message(_LONG))
    assert "warnings" not in kept
    assert kept["metrics"] == {"skill": 0.31, "rmse": 0.019}
    assert {"model", "scaler"} <= {file["name"] for file in kept["artifacts"]}
    assert kept["data"] == _LONG["data"]


_texts = st.text(max_size=2000)
_numbers = st.floats() | st.integers(-(2**53), 2**53) | st.none()


@given(
    message=_texts,
    summary=_texts,
    metrics=st.dictionaries(st.text(max_size=40), _numbers, max_size=200),
    warnings=st.lists(_texts, max_size=20),
    files=st.lists(st.text(max_size=60), max_size=30),
)
def test_any_message_is_json_of_at_most_4096_bytes_with_run_and_result(
    message: str, summary: str, metrics: dict[str, Any], warnings: list[str], files: list[str]
) -> None:
    ending = _IDENTITY | {"outcome": "Failed", "reason": "TrainerError"}
    artifacts = [{"name": name} | _FILE for name in files]
    content = termination_message(
        ending
        | {"message": message, "summary": summary, "metrics": metrics, "warnings": warnings, "artifacts": artifacts}
    )
    assert len(content) <= LIMIT_BYTES
    assert ending.items() <= json.loads(content).items()


def _read(content: bytes, *, fleet: bool = False) -> Report | None:
    return read_report(content.decode(), str(_IDENTITY["uid"]), int(str(_IDENTITY["run"])), fleet=fleet)


_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
_counts = st.integers(0, 2**63 - 1)
_files = st.fixed_dictionaries(
    {"name": st.text("abc-", min_size=1, max_size=20), "uri": st.text("s3:/x", min_size=1, max_size=80)},
    optional={"sha256": st.just("0" * 64), "sizeBytes": _counts},
)
_sections = st.fixed_dictionaries(
    {},
    optional={
        "summary": st.text(st.characters(codec="utf-8"), min_size=1, max_size=SUMMARY_CHARACTERS),
        "metrics": st.dictionaries(
            st.text("abc_", min_size=1, max_size=20), st.floats(allow_nan=False, allow_infinity=False), min_size=1
        ),
        "artifacts": st.lists(_files, min_size=1, max_size=3, unique_by=lambda file: file["name"]),
        "registration": st.fixed_dictionaries({"modelID": st.just("17")}, optional={"bucketAddress": _words}),
        "data": st.fixed_dictionaries({"start": st.just("2025-01-01T00:00:00Z"), "rowsRead": _counts}),
        "device": st.sampled_from([{"used": "CPU"}, {"used": "GPU"}]),
        "warnings": st.lists(_words, min_size=1, max_size=3),
    },
)


@given(
    outcome=st.sampled_from(get_args(Outcome)),
    reason=st.sampled_from(Reason),
    message=st.text(st.characters(codec="utf-8"), max_size=300),
    sections=_sections,
)
def test_a_message_that_fits_is_read_back_as_it_was_built(
    outcome: Outcome, reason: Reason, message: str, sections: dict[str, Any]
) -> None:
    facts = _IDENTITY | {"outcome": outcome, "reason": reason, "message": message} | sections
    assume(len(json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()) <= LIMIT_BYTES)
    assert _read(termination_message(facts)) == Report(outcome, reason, message, sections)


def test_a_shortened_message_is_read_back_without_the_dropped_parts() -> None:
    report = _read(termination_message(_LONG))
    assert report is not None
    assert (report.outcome, report.reason, report.message) == ("Succeeded", Reason.COMPLETED, _LONG["message"])
    assert report.fields["metrics"] == {"skill": 0.31, "rmse": 0.019}
    assert report.fields["artifacts"] == _LONG["artifacts"]


_BORDER_CASES = ["x" * length for length in (63, 64, 65, 512, 513, 1024, 1025)]
_BORDER_CASES += [
    "0" * 64,
    "Diverged",
    "2025-01-01T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "GPU",
    "TPU",
    -1,
    2**63 - 1,
    2**63,
]


@pytest.mark.parametrize("kind", _SECTIONS)
@given(
    written=st.recursive(
        st.sampled_from(_BORDER_CASES) | st.none() | st.booleans() | st.floats() | st.text(max_size=100),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
        max_leaves=30,
    )
)
def test_any_message_of_a_container_gives_a_status_within_the_crd(kind: str, written: Any) -> None:
    content = written if isinstance(written, dict) else {"data": written}
    identity = {"uid": _IDENTITY["uid"], "run": _IDENTITY["run"], "outcome": "Failed"}
    report = _read(json.dumps(content | identity).encode(), fleet=kind == FLEET_KIND)
    assert report is not None
    assert set(report.fields) <= set(_SECTION_SCHEMAS[kind])
    for name, value in report.fields.items():
        _assert_fits(value, _SECTION_SCHEMAS[kind][name], name)


def _assert_fits(value: Any, schema: Schema, path: str) -> None:
    kind = schema["type"]
    if kind == "object":
        properties, values = schema.get("properties", {}), schema.get("additionalProperties")
        assert len(value) <= schema.get("maxProperties", len(properties)), path
        assert set(schema.get("required", ())) <= set(value), path
        for name, item in value.items():
            _assert_fits(item, values or properties[name], f"{path}.{name}")
    elif kind == "array":
        assert len(value) <= schema["maxItems"], path
        for item in value:
            _assert_fits(item, schema["items"], f"{path}[]")
    elif kind == "string":
        assert schema.get("minLength", 0) <= len(value) <= schema["maxLength"], path
        assert re.fullmatch(schema.get("pattern", "(?s:.*)"), value), path
        assert value in schema.get("enum", [value]), path
    else:
        assert isinstance(value, int if kind == "integer" else int | float), path
        assert math.isfinite(value), path
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), path


def test_a_message_of_another_run_or_program_is_no_report() -> None:
    facts = _IDENTITY | {"outcome": "Succeeded", "reason": "Completed", "message": "ok"}
    assert _read(termination_message(facts)) is not None
    for other in ({"uid": "another"}, {"run": 4}, {"outcome": "Unsure"}):
        assert _read(termination_message(facts | other)) is None
    for text in ("", "Traceback (most recent call last)", "{", "[1]", "{" * 4000, '{"uid": 1}'):
        assert _read(text.encode()) is None


@pytest.mark.parametrize(
    ("section", "kept"),
    [
        ({"artifacts": [{"name": "model", "uri": "s" * 1025}]}, {}),
        (
            {"artifacts": [{"name": "model", "uri": "s3://a", "sha256": "0" * 63}]},
            {"artifacts": [{"name": "model", "uri": "s3://a"}]},
        ),
        ({"artifacts": [{"name": "model"}, {"name": "x" * 64, "uri": "s3://a"}]}, {}),
        ({"metrics": {"skill": math.nan, "x" * 64: 1.0, "rmse": True, "r2": 10**400}}, {}),
        (
            {"metrics": {f"m{number}": number for number in range(70)}},
            {"metrics": {f"m{number}": number for number in range(64)}},
        ),
        ({"device": {"used": "TPU"}}, {}),
        ({"data": {"rowsRead": -1, "rowsUsed": 2**63, "start": "yesterday"}}, {}),
        ({"warnings": ["w" * 600] * 20}, {"warnings": ["w" * 511 + "…"] * 16}),
        ({"summary": "s" * 65}, {"summary": "s" * 63 + "…"}),
        ({"registration": {"modelID": 17}}, {}),
        ({"phase": "Succeeded"}, {}),
    ],
)
def test_the_reader_leaves_out_or_cuts_what_the_crd_refuses(section: dict[str, Any], kept: dict[str, Any]) -> None:
    report = _read(json.dumps(_IDENTITY | {"outcome": "Failed"} | section).encode())
    assert report is not None
    assert report.fields == kept


_MACHINES = {"selected": 300, "waiting": 0, "running": 0, "registered": 270, "failed": 30}
_FLEET: dict[str, Any] = _IDENTITY | {
    "outcome": "Failed",
    "reason": "TooManyFailed",
    "message": "30 of 300 machines failed.",
    "machines": _MACHINES,
    "failures": [
        {"machine": f"MOTOBOMBA-{number:03}", "reason": "InsufficientData", "message": "m" * 200}
        for number in range(30)
    ],
    "artifacts": [{"name": name} | _FILE for name in ("report", "summary")],
}


def test_the_report_of_a_fleet_is_read_with_its_counts_and_as_many_failures_as_fit() -> None:
    report = _read(termination_message(_FLEET), fleet=True)
    assert report is not None
    assert (report.outcome, report.reason) == ("Failed", Reason.TOO_MANY_FAILED)
    assert report.fields["machines"] == _MACHINES
    assert 5 < len(report.fields["failures"]) <= 20
    assert report.fields["failures"] == _FLEET["failures"][: len(report.fields["failures"])]
    assert report.fields["artifacts"] == _FLEET["artifacts"]


def test_a_message_of_the_other_kind_has_none_of_its_sections() -> None:
    content = termination_message(_FLEET | {"metrics": {"skill": 0.3}})
    one, fleet = _read(content), _read(content, fleet=True)
    assert one is not None
    assert fleet is not None
    assert set(one.fields) == {"metrics", "artifacts"}
    assert set(fleet.fields) == {"machines", "failures", "artifacts"}
