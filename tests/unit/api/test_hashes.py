"""Hashes of equal and different specs, random ones and fixed ones of both kinds, and the resolved windows."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from support.api_schema import nodes, spec_schema, specs
from trainingjob_api.defaults import DEFAULTS, FLEET_DEFAULTS
from trainingjob_api.fleet_spec import TrainingFleetSpec
from trainingjob_api.hashing import attempt_hash, fleet_attempt_hash, fleet_spec_hash, gates_hash, spec_hash
from trainingjob_api.names import FLEET_KIND
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.window import resolve_window

random_specs = settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
Spec = TypeVar("Spec", TrainingJobSpec, TrainingFleetSpec)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def _read(spec: Mapping[str, Any]) -> TrainingJobSpec:
    return _valid(TrainingJobSpec, spec)


def _valid(model: type[Spec], spec: Mapping[str, Any]) -> Spec:
    try:
        return model.model_validate_json(json.dumps(spec))
    except ValidationError:
        assume(False)
        raise


@random_specs
@given(specs(), moments)
def test_a_spec_means_the_same_before_and_after_validation(spec: dict[str, Any], now: datetime) -> None:
    read = _read(spec).as_json()
    assert spec_hash(read) == spec_hash(spec)
    assert gates_hash(read) == gates_hash(spec)
    assert attempt_hash(read) == attempt_hash(spec)
    assert resolve_window(read, now) == resolve_window(spec, now)


@random_specs
@given(specs())
def test_the_defaults_that_validation_fills_in_change_no_hash(spec: dict[str, Any]) -> None:
    filled = _read(spec).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert spec_hash(filled) == spec_hash(spec)


@random_specs
@given(specs())
def test_writing_a_default_out_changes_no_hash(spec: dict[str, Any]) -> None:
    model = spec["model"]
    block = DEFAULTS["model"][model["type"]]
    written = {
        **DEFAULTS,
        **spec,
        "model": {"seed": 42, **model, model["type"]: {**block, **model.get(model["type"], {})}},
        "data": {**DEFAULTS["data"], **spec.get("data", {})},
    }
    for hashed in (spec_hash, gates_hash):
        assert hashed(written) == hashed(spec)
    assert attempt_hash({**DEFAULTS, **spec}) == attempt_hash(spec)


@random_specs
@given(specs(FLEET_KIND))
def test_a_spec_of_a_fleet_means_the_same_with_and_without_its_defaults(spec: dict[str, Any]) -> None:
    read = _valid(TrainingFleetSpec, spec)
    filled = read.model_dump(mode="json", by_alias=True, exclude_none=True)
    kind = spec["template"]["model"]["type"]
    filled["template"]["model"].pop("xgb" if kind == "gru" else "gru")
    for same in (read.as_json(), filled):
        assert fleet_spec_hash(same) == fleet_spec_hash(spec)
        assert gates_hash(same["template"]) == gates_hash(spec["template"])
    assert fleet_attempt_hash(read.as_json()) == fleet_attempt_hash(spec)
    assert fleet_attempt_hash({**FLEET_DEFAULTS, **spec}) == fleet_attempt_hash(spec)


BASE: Mapping[str, Any] = {"machine": "M-1", "model": {"type": "gru"}}
# Each entry is one change of the spec, and the hashes that change with it.
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"machine": "M-2"}, "spec"),
    ({"model": {"type": "xgb"}}, "spec"),
    ({"model": {"type": "gru", "seed": 1}}, "spec"),
    ({"model": {"type": "gru", "gru": {"features": ["Oil_P", "Oil_L", "Recalque", "Succao"]}}}, "spec"),
    ({"data": {"startDate": "2025-01-01"}}, "spec"),
    ({"data": {"columns": {"Recalque": "P1"}}}, "spec"),
    ({"data": {"databaseSecretName": "other"}}, "attempt"),
    ({"artifacts": {"bucket": "other"}}, "attempt"),
    ({"artifacts": {"secretName": "other"}}, "attempt"),
    ({"accelerator": {"policy": "Required"}}, "attempt"),
    ({"accelerator": {"nodeSelector": {"a": "b"}}}, "attempt"),
    ({"resources": {"limits": {"memory": "8Gi"}}}, "attempt"),
    ({"scheduling": {"queueName": "night"}}, "attempt"),
    ({"gates": [{"metric": "skill", "min": 0}]}, "attempt gates"),
    ({"reuse": "Never"}, ""),
    ({"runPolicy": {"suspend": True, "backoffLimit": 1, "activeDeadlineSeconds": 60}}, ""),
]


@pytest.mark.parametrize(("change", "changed"), CHANGES, ids=[json.dumps(change) for change, _ in CHANGES])
def test_a_change_starts_what_it_should_start(change: dict[str, Any], changed: str) -> None:
    hashes = {
        "spec": spec_hash,
        "attempt": attempt_hash,
        "gates": gates_hash,
    }
    spec = {**BASE, **change}
    assert {name for name, hashed in hashes.items() if hashed(spec) != hashed(BASE)} == set(changed.split())


FLEET: Mapping[str, Any] = {"machines": {"matching": "*"}, "template": {"model": {"type": "gru"}}}
FLEET_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"machines": {"matching": "M*"}}, "spec"),
    ({"machines": {"matching": "*", "exclude": ["M-1"]}}, "spec"),
    ({"machines": {"matching": "*", "minPercentOfLastRun": 0}}, ""),
    ({"template": {"model": {"type": "xgb"}}}, "spec"),
    ({"template": {"model": {"type": "gru", "gru": {"base": "Own"}}}}, "spec"),
    ({"template": {"model": {"type": "gru", "gru": {"base": "Fleet"}}}}, ""),
    ({"template": {"model": {"type": "gru"}, "data": {"lookbackDays": 90}}}, "spec"),
    ({"template": {"model": {"type": "gru"}, "data": {"databaseSecretName": "other"}}}, "attempt"),
    ({"template": {"model": {"type": "gru"}, "artifacts": {"bucket": "other"}}}, "attempt"),
    ({"template": {"model": {"type": "gru"}, "gates": [{"metric": "skill", "min": 0}]}}, "attempt"),
    ({"template": {"model": {"type": "gru"}, "reuse": "Never"}}, ""),
    ({"retrain": {"olderThanDays": 30}}, "spec"),
    ({"schedule": {"cron": "30 2 * * 1"}}, ""),
    ({"workers": 2}, "attempt"),
    ({"workers": 1}, ""),
    ({"retriesPerMachine": 3, "maxFailedPercent": 1}, ""),
    ({"accelerator": {"policy": "Required"}}, "attempt"),
    ({"resources": {"limits": {"memory": "8Gi"}}}, "attempt"),
    ({"scheduling": {"queueName": "night"}}, "attempt"),
    ({"runPolicy": {"suspend": True}}, ""),
]


@pytest.mark.parametrize(("change", "changed"), FLEET_CHANGES, ids=[json.dumps(change) for change, _ in FLEET_CHANGES])
def test_a_change_of_a_fleet_starts_what_it_should_start(change: dict[str, Any], changed: str) -> None:
    hashes = {"spec": fleet_spec_hash, "attempt": fleet_attempt_hash}
    spec = {**FLEET, **change}
    assert {name for name, hashed in hashes.items() if hashed(spec) != hashed(FLEET)} == set(changed.split())


def test_the_order_of_machines_means_nothing() -> None:
    orders = ({"names": ["A", "B"], "exclude": ["C", "D"]}, {"names": ["B", "A"], "exclude": ["D", "C"]})
    one, other = (fleet_spec_hash({**FLEET, "machines": machines}) for machines in orders)
    assert one == other


def test_a_machine_of_a_fleet_without_base_has_the_hash_of_its_training_job() -> None:
    template = {"model": {"type": "gru", "gru": {"base": "Own", "epochs": 5}}, "data": {"lookbackDays": 90}}
    fleet = TrainingFleetSpec.model_validate({**FLEET, "template": template})
    alone = {"machine": "M-1", "model": {"type": "gru", "gru": {"epochs": 5}}, "data": {"lookbackDays": 90}}
    assert spec_hash(fleet.of_machine("M-1").as_json()) == spec_hash(alone)


def test_every_field_of_machine_model_and_data_counts() -> None:
    example = {"string": "zz9", "integer": 7, "number": 0.31}
    for path, node in nodes(spec_schema()):
        name = path.split(".")[-1]
        if not path.startswith(("model.gru.", "data.", "model.xgb.")) or node.get("type") not in example:
            continue
        if "[]" in path or "{}" in path or name == "databaseSecretName":
            continue
        spec: dict[str, Any] = {"machine": "M-1", "model": {"type": "xgb" if "xgb" in path else "gru"}}
        before = spec_hash(spec)
        part = spec
        *parents, last = path.split(".")
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = node["enum"][-1] if "enum" in node else example[node["type"]]
        if name in ("output", "missingIndicators", "scoring"):
            part[last] = {"output": "Direct", "missingIndicators": "Neutral", "scoring": "average_precision"}[name]
        assert spec_hash(spec) != before, path


def test_the_order_of_gates_means_nothing_and_that_of_a_search_does() -> None:
    gates = [{"metric": "rmse", "max": 1}, {"metric": "skill", "min": 0.0}]
    assert gates_hash({"gates": gates}) == gates_hash({"gates": gates[::-1]})
    trees = [[100, 200], [200, 100]]
    xgb = [{"machine": "M", "model": {"type": "xgb", "xgb": {"search": {"nEstimators": order}}}} for order in trees]
    assert spec_hash(xgb[0]) != spec_hash(xgb[1])


def test_a_number_is_the_same_with_and_without_a_fraction() -> None:
    whole = {**BASE, "data": {"limits": {"Oil_P": {"min": 0, "max": 1500}}}}
    fraction = {**BASE, "data": {"limits": {"Oil_P": {"min": -0.0, "max": 1500.0}}}}
    assert spec_hash(whole) == spec_hash(fraction)
    assert spec_hash(_read(whole).as_json()) == spec_hash(_read(fraction).as_json())


NOW = datetime(2025, 6, 15, 13, 30, 5, 999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "start", "end"),
    [
        ({}, None, "2025-06-15T13:30:05"),
        ({"startDate": "2025-01-01"}, "2025-01-01T00:00:00", "2025-06-15T13:30:05"),
        ({"endDate": "2025-02-28"}, None, "2025-03-01T00:00:00"),
        ({"endDate": "2025-02-28T00:00:00Z"}, None, "2025-02-28T00:00:00"),
        ({"startDate": "2025-02-28", "endDate": "2025-02-28"}, "2025-02-28T00:00:00", "2025-03-01T00:00:00"),
        ({"startDate": "2025-01-01T06:00:00Z", "endDate": "2026-01-01"}, "2025-01-01T06:00:00", "2025-06-15T13:30:05"),
        ({"lookbackDays": 1}, "2025-06-14T00:00:00", "2025-06-15T00:00:00"),
        ({"lookbackDays": 90}, "2025-03-17T00:00:00", "2025-06-15T00:00:00"),
    ],
)
def test_a_window_is_resolved_to_two_instants(data: dict[str, Any], start: str | None, end: str) -> None:
    first, last = resolve_window({**BASE, "data": data}, NOW)
    assert first == (datetime.fromisoformat(start).replace(tzinfo=UTC) if start else None)
    assert last == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_a_lookback_counts_days_of_utc_wherever_the_clock_stands() -> None:
    elsewhere = NOW.replace(hour=23).astimezone(timezone(timedelta(hours=5)))
    spec = {**BASE, "data": {"lookbackDays": 3}}
    assert resolve_window(spec, elsewhere) == resolve_window(spec, NOW)


# These ten hashes must never change, because every model of every user would be trained again. New fields do not change
# them, because fields that equal their default are not hashed.
GOLDEN: list[tuple[dict[str, Any], str]] = [
    (
        {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}},
        "81fc8d703da389b4696c12082392325a7f283395c163ae8af2b2ce85cff79c29",
    ),
    (
        {"machine": "MOTOBOMBA-007", "model": {"type": "xgb"}},
        "7514398622351bb802a7d9c214a2cdb1ea1baec681866de44926a18f1aca9c98",
    ),
    (
        {"machine": "ITU-415", "model": {"type": "gru", "seed": 7}},
        "566ae39c1bc6f00a7dfdd5758109c2d6734e200542eb6a6ec88aba562f387f8b",
    ),
    (
        {"machine": "ITU-415", "model": {"type": "gru", "gru": {"sequenceLength": 30, "units": [32, 16]}}},
        "128c667384190f9c327a3ae58aa167c34e358b5ed01ac00ee46b3e9be139b11a",
    ),
    (
        {
            "machine": "ITU-415",
            "model": {
                "type": "gru",
                "gru": {
                    "learningRate": 0.003,
                    "dropout": 0,
                    "healthRanges": {"Oil_P": {"min": 0, "max": 700}},
                    "missingIndicators": "Neutral",
                    "output": "Direct",
                },
            },
        },
        "fc3c1bfbf049ea1bc7eddd6e72a6c070f67b035458d7bd72b75596fdf2c3f121",
    ),
    (
        {"machine": "ITU-415", "model": {"type": "gru"}, "data": {"startDate": "2025-01-01", "endDate": "2025-08-31"}},
        "6dce2273853aa4041c57fe2846fcc3f90fec82d4a1a0e469c566cc5b7cf6ccfc",
    ),
    (
        {"machine": "ITU-415", "model": {"type": "gru"}, "data": {"lookbackDays": 90, "table": "telemetry.rows"}},
        "e6467e503cd0681e49f71ef46fdfdbd06af4c6ab6ceee138cd07a89b1fe5604d",
    ),
    (
        {
            "machine": "P",
            "model": {"type": "gru"},
            "data": {
                "columns": {"Recalque": "FlexAnalogue4_1"},
                "limits": {"Oil_P": {"min": 0, "max": 1500.5}},
                "maxGapSeconds": 600,
                "minRows": 50,
                "testFraction": 0.25,
            },
        },
        "124cf67fb9f82b1e99b35bc46855f0cba37f5d3afd80bb3b2fc65471b452f974",
    ),
    (
        {"machine": "P", "model": {"type": "xgb", "xgb": {"rpmDropPercent": -60.5, "folds": 5, "targetRecall": 1}}},
        "6d67f445b81ef1439793ced58682f0fd60b6682bca1db7da1a45684d1d14d7aa",
    ),
    (
        {
            "machine": "P",
            "model": {"type": "xgb", "xgb": {"search": {"nEstimators": [50], "subsample": [1], "maxDepth": [3, 2]}}},
        },
        "7e873d9b9848dc3424c32fea81fb3bf48d1e1348b0d3a15dac4ddf6166dd7091",
    ),
]


@pytest.mark.parametrize(("spec", "expected"), GOLDEN)
def test_a_hash_never_changes(spec: dict[str, Any], expected: str) -> None:
    assert spec_hash(spec) == expected
    assert spec_hash(_read(spec).as_json()) == expected


# The same of fleets: each of them would run at once.
GOLDEN_FLEETS: list[tuple[dict[str, Any], str]] = [
    (
        {"machines": {"names": ["MOTOBOMBA-007", "ITU-415"]}, "template": {"model": {"type": "gru"}}},
        "c4d3647be9154f2e35de900cb0cc55348d9ce19bf1907f39f326409c24d28ed6",
    ),
    (
        {"machines": {"matching": "MOTOBOMBA-*"}, "template": {"model": {"type": "gru"}}},
        "6f5f5a5706c429a94e9cb9e0f2123eadde4b5406833c3c0d1c9b526bfb8bd4ef",
    ),
    (
        {"machines": {"matching": "*", "exclude": ["*-TEST"]}, "template": {"model": {"type": "xgb", "seed": 7}}},
        "68a00ed56bf34bbaf3d9ee13d6126cd875ba5d07e7a734154bbc6ec5e7b2ff59",
    ),
    (
        {
            "machines": {"matching": "*", "minPercentOfLastRun": 80},
            "template": {
                "model": {"type": "gru", "gru": {"base": "Own", "sequenceLength": 30}},
                "data": {"lookbackDays": 90, "databaseSecretName": "telemetry"},
                "gates": [{"metric": "skill", "min": 0}],
            },
            "retrain": {"newRows": 10_000, "errorRatio": 1.5},
            "schedule": {"cron": "30 2 * * 1"},
            "workers": 4,
        },
        "5035983fc9449ee6528569eed58783979faceef9c98c7abc22c9c13529ae2ef3",
    ),
]


@pytest.mark.parametrize(("spec", "expected"), GOLDEN_FLEETS)
def test_a_hash_of_a_fleet_never_changes(spec: dict[str, Any], expected: str) -> None:
    assert fleet_spec_hash(spec) == expected
    assert fleet_spec_hash(_valid(TrainingFleetSpec, spec).as_json()) == expected
