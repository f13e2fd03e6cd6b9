"""The gate on the improvement: a new model against the newest registered one, on real servers."""

import io
import json
import os
import pickle
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from cluster.processes import free_ports
from integration.trainer.installation import MACHINE, OTHER_UID, Installation, small_spec
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.artifact_paths import registered_paths
from trainingjob_trainer.storage.object_store import ObjectStore as Bucket
from trainingjob_trainer.storage.registered_model import read_newest_model

ANY = [{"metric": "improvement", "min": -1000}]
"""A gate that every model passes, so that the improvement is measured."""
NO_LOSS = [{"metric": "improvement", "min": 0}]


def spec(installation: Installation, model_type: str = "gru", **more: Any) -> TrainingJobSpec:
    return small_spec(model_type, installation.bucket, **more)


def first_half(installation: Installation) -> dict[str, Any]:
    """Data that end in the middle of the telemetry."""
    ((middle,),) = installation.rows(
        'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY "timestamp") FROM processed_data'
    )
    return {"data": {"endDate": middle.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}}


def put(installation: Installation, key: str, content: bytes) -> None:
    installation.client.put_object(installation.bucket, key, io.BytesIO(content), len(content))


def registered(installation: Installation) -> list[str]:
    return [address for (address,) in installation.rows("SELECT bucket_address FROM models ORDER BY id")]


def test_a_gru_model_is_compared_on_the_rows_that_the_registered_one_was_not_trained_on(
    installation: Installation,
) -> None:
    old = installation.launch(installation.training_run(spec(installation, **first_half(installation))))
    assert old.reason == "Completed", old.message
    result = installation.launch(installation.training_run(spec(installation, gates=ANY), OTHER_UID))
    assert result.reason == "Completed", result.message

    first, second = registered(installation)
    ((metrics,),) = installation.rows(f"SELECT metrics FROM models WHERE bucket_address = '{second}'")
    compared = metrics["compared_with"]
    assert (compared["bucket_address"], compared["age_days"], compared["metric"]) == (first, 0, "rmse")
    assert metrics["improvement"] == pytest.approx(1 - compared["new"] / compared["registered"], abs=1e-6)
    # The first model was trained on the first two fifths of the telemetry, so every test window of the second counts.
    assert compared["count"] == metrics["test_size"]
    assert compared["new"] == pytest.approx(metrics["rmse"])
    assert result.summary.metrics["improvement"] == metrics["improvement"]
    assert not any("improvement" in warning for warning in result.summary.warnings)
    (report,) = [file["uri"] for file in result.summary.artifacts if file["name"] == "report"]
    page = installation.read(report.removeprefix(f"s3://{installation.bucket}/")).decode()
    assert f"Compared with {first}, registered today, on {metrics['test_size']:,} test windows" in page


def test_a_model_that_is_not_better_enough_is_rejected(installation: Installation) -> None:
    gate = [{"metric": "improvement", "min": 0.9}]
    assert installation.launch(installation.training_run(spec(installation))).reason == "Completed"
    result = installation.launch(installation.training_run(spec(installation, gates=gate), OTHER_UID, adopt=False))
    assert (result.reason, result.exit_code) == ("GateFailed", ExitCode.GATE_FAILED)
    # Equal spec and data give an equal model.
    assert "improvement is 0, at least 0.9 is required" in result.message
    assert len(registered(installation)) == 1


@pytest.mark.parametrize("model_type", ["gru", "xgb"])
def test_the_first_model_of_a_machine_passes_with_a_warning(installation: Installation, model_type: str) -> None:
    result = installation.launch(installation.training_run(spec(installation, model_type, gates=NO_LOSS)))
    assert result.reason == "Completed", result.message
    assert (
        f"The gate on improvement passes without a comparison: no {model_type} model of {MACHINE} is registered."
        in result.summary.warnings
    )
    ((metrics,),) = installation.rows("SELECT metrics FROM models")
    assert metrics["improvement"] is None


class _Trap:
    """Writes a file when its pickle is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize(
    ("model_type", "address"),
    [
        ("gru", f"gru_model_weights_{MACHINE}_2026_01_01_00_00_00.h5"),
        ("xgb", f"xgb_model_{MACHINE}_2026_01_01_00_00_00.pkl"),
    ],
)
def test_a_model_of_another_program_is_not_read(
    installation: Installation, tmp_path: Path, model_type: str, address: str
) -> None:
    trap = tmp_path / "loaded"
    pickles = {address, address.replace("weights", "scaler").replace(".h5", ".pkl")}
    for key in pickles:
        put(installation, key, pickle.dumps(_Trap(trap)))
    installation.rows(
        "INSERT INTO models (machine_name, bucket_address, data_start_date, data_end_date, metrics, model_type) "
        f"VALUES ('{MACHINE}', '{address}', '2024-01-01', '2024-02-01', '{{}}', '{model_type}')"
    )
    result = installation.launch(installation.training_run(spec(installation, model_type, gates=NO_LOSS)))
    assert result.reason == "Completed", result.message
    (warning,) = [warning for warning in result.summary.warnings if "improvement" in warning]
    assert f"{address} has no safe copy" in warning
    assert not trap.exists()
    pickle.loads(installation.read(address))
    assert trap.exists()


def damage(installation: Installation, model_type: str, role: str, content: bytes | None) -> str:
    """Change or remove a file of the only registered model; return its URI."""
    (address,) = registered(installation)
    manifest = json.loads(installation.read(registered_paths(address, MACHINE, model_type).manifest_key))
    (key,) = [file["key"] for file in manifest["files"] if file["name"] == role]
    if content is None:
        installation.client.remove_object(installation.bucket, key)
    else:
        put(installation, key, content)
    return f"s3://{installation.bucket}/{key}"


@pytest.mark.parametrize(
    ("model_type", "role", "content", "fault"),
    [
        ("gru", "model", b"not a model", "was changed"),
        ("gru", "scaler-json", None, "is missing"),
        ("xgb", "model-ubj", b"", "was changed"),
    ],
)
def test_a_damaged_registered_model_passes_with_a_warning(
    installation: Installation, model_type: str, role: str, content: bytes | None, fault: str
) -> None:
    assert installation.launch(installation.training_run(spec(installation, model_type))).reason == "Completed"
    uri = damage(installation, model_type, role, content)
    run = installation.training_run(spec(installation, model_type, gates=NO_LOSS), OTHER_UID, adopt=False)
    result = installation.launch(run)
    assert result.reason == "Completed", result.message
    assert any(f"{uri} {fault}" in warning for warning in result.summary.warnings)


def test_features_and_window_length_of_the_registered_model_may_differ(installation: Installation) -> None:
    indicators = ["Oil_P", "Oil_L", "Recalque", "Succao"]
    settings = {"sequenceLength": 25, "units": [3, 2], "epochs": 1, "stepsPerEpoch": 5, "features": indicators}
    old = spec(installation, model={"type": "gru", "gru": settings})
    assert installation.launch(installation.training_run(old)).reason == "Completed"
    result = installation.launch(installation.training_run(spec(installation, gates=ANY), OTHER_UID))
    assert result.reason == "Completed", result.message
    assert -1 < result.summary.metrics["improvement"] < 1
    assert 0 < result.summary.metrics["compared_with"]["count"] <= result.summary.metrics["test_size"]


def test_a_column_that_the_new_run_lacks_passes_with_a_warning(installation: Installation) -> None:
    assert installation.launch(installation.training_run(spec(installation))).reason == "Completed"
    installation.rows('ALTER TABLE processed_data DROP COLUMN "Bat_V"')
    result = installation.launch(installation.training_run(spec(installation, gates=NO_LOSS), OTHER_UID))
    assert result.reason == "Completed", result.message
    assert any("needs columns that this model does not use: Bat_V" in note for note in result.summary.warnings)


def test_xgb_models_are_compared_by_average_precision(installation: Installation) -> None:
    more = {"data": {"testFraction": 0.6}}
    assert installation.launch(installation.training_run(spec(installation, "xgb", **more))).reason == "Completed"
    run = installation.training_run(spec(installation, "xgb", gates=NO_LOSS, **more), OTHER_UID, adopt=False)
    result = installation.launch(run)
    assert result.reason == "Completed", result.message
    metrics = result.summary.metrics
    assert metrics["improvement"] == 0
    assert metrics["compared_with"]["metric"] == "average_precision"
    assert metrics["compared_with"]["count"] == metrics["test_size"]


def test_an_adopted_model_is_not_compared(installation: Installation) -> None:
    assert installation.launch(installation.training_run(spec(installation, "xgb"))).reason == "Completed"
    strict = spec(installation, "xgb", gates=[{"metric": "improvement", "min": 0.5}])
    result = installation.launch(installation.training_run(strict, OTHER_UID))
    assert result.reason == "AdoptedExistingRun", result.message
    assert "improvement" not in result.summary.metrics


def test_a_store_that_is_down_is_a_transient_error_and_passes_no_gate(installation: Installation) -> None:
    assert installation.launch(installation.training_run(spec(installation, "xgb"))).reason == "Completed"
    (port,) = free_ports(1)
    nobody = replace(installation.object_store, endpoint=f"127.0.0.1:{port}")
    store = Bucket.from_environment(nobody.environment(), installation.bucket, patience_seconds=0.5)
    with pytest.raises(TrainingError) as failure:
        read_newest_model(store, MACHINE, "xgb")
    assert (failure.value.reason, failure.value.transient) == ("ArtifactStoreFailed", True)
