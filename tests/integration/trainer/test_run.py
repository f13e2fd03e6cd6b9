"""Whole runs, from telemetry in PostgreSQL to objects in S3 and rows of the registry, on real servers."""

import hashlib
import json
import os
import pickle
import re
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cluster.processes import wait_until
from integration.trainer.installation import MACHINE, OTHER_UID, UID, Installation, small_spec
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.progress import Stage
from trainingjob_trainer.data.dataset import FailureDataset, TrainedModel
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.models.xgb.model import XgbModel
from trainingjob_trainer.report.content import ReportContent
from trainingjob_trainer.run.progress import Progress

_STAMP = r"\d{4}(_\d\d){5}"
_RUN_FILES = {"manifest.json", "report.html", f"run-{UID[:8]}-1-1.json"}


def models(installation: Installation) -> list[str]:
    return [address for (address,) in installation.rows("SELECT bucket_address FROM models ORDER BY id")]


def recorded(installation: Installation) -> list[tuple[str, int, str]]:
    return installation.rows("SELECT uid, run, outcome FROM training_runs ORDER BY recorded_at")


def test_an_xgb_run_stores_the_files_of_the_contract(installation: Installation) -> None:
    result = installation.launch(installation.training_run(small_spec("xgb", installation.bucket)))
    assert (result.reason, result.exit_code) == ("Completed", ExitCode.DONE), result.message

    (address,) = models(installation)
    stamp = re.fullmatch(rf"xgb_model_{MACHINE}_({_STAMP})\.pkl", address)
    assert stamp
    folder = f"runs/{MACHINE}/{stamp[1]}/"
    own = {f"{folder}{name}" for name in {"model.ubj", "search.json"} | _RUN_FILES}
    assert installation.objects() == {address} | own

    ((machine, model_type, metrics, span),) = installation.rows(
        "SELECT machine_name, model_type, metrics, data_end_date - data_start_date > interval '1 day' FROM models"
    )
    assert (machine, model_type, span) == (MACHINE, "xgb", True)
    assert {"auc_score", "best_params", "classification_report", "failure_events_test", "versions"} <= metrics.keys()
    assert metrics["run"]["uid"] == UID
    assert metrics["durations"].keys() == {"Starting", "Loading", "Preparing", "Training", "Evaluating"}
    assert recorded(installation) == [(UID, 1, "registered")]

    classifier = pickle.loads(installation.read(address))
    rows = pd.DataFrame(np.zeros((3, len(metrics["features_used"])), np.float32), columns=metrics["features_used"])
    assert np.isfinite(classifier.predict_proba(rows)).all()

    files = {file["key"]: file for file in json.loads(installation.read(f"{folder}manifest.json"))["files"]}
    assert set(files) == {address, f"{folder}model.ubj", f"{folder}search.json", f"{folder}report.html"}
    for key, file in files.items():
        content = installation.read(key)
        assert (file["sha256"], file["sizeBytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert {file["name"]: file["uri"] for file in result.summary.artifacts}[
        "model"
    ] == f"s3://{installation.bucket}/{address}"
    ((model_id,),) = installation.rows("SELECT id::text FROM models")
    assert result.summary.registration == {"modelID": model_id, "bucketAddress": address}
    assert result.summary.data["rowsRead"] >= result.summary.data["rowsUsed"] > 0


def test_a_gru_run_stores_a_model_and_its_scaler(installation: Installation) -> None:
    result = installation.launch(installation.training_run(small_spec("gru", installation.bucket)))
    assert result.reason == "Completed", result.message

    (address,) = models(installation)
    stamp = re.fullmatch(rf"gru_model_weights_{MACHINE}_({_STAMP})\.h5", address)
    assert stamp
    folder = f"runs/{MACHINE}/{stamp[1]}/"
    scaler_address = address.replace("weights", "scaler").replace(".h5", ".pkl")
    own = {f"{folder}{name}" for name in {"scaler.json"} | _RUN_FILES}
    assert installation.objects() == {address, scaler_address} | own

    ((metrics,),) = installation.rows("SELECT metrics FROM models")
    wanted = "mae rmse r2 r2_score mse train_size test_size sequence_length features_used epochs_trained"
    wanted += " final_train_loss final_val_loss health_score_mean_train health_score_mean_test"
    wanted += " health_score_std_train health_score_std_test scaler_path skill data_fingerprint health_ranges versions"
    assert set(wanted.split()) <= metrics.keys()
    assert metrics["scaler_path"] == scaler_address
    scaler = pickle.loads(installation.read(scaler_address))
    assert list(scaler.feature_names_in_) == metrics["features_used"]
    assert re.fullmatch(r"skill -?\d+\.\d\d", result.summary.summary)


def test_a_second_attempt_of_a_registered_run_reports_it_and_trains_nothing(installation: Installation) -> None:
    spec = small_spec("xgb", installation.bucket)
    first = installation.launch(installation.training_run(spec))
    before = installation.objects()
    seen: list[Progress] = []
    second = installation.launch(installation.training_run(spec, attempt=2), [seen.append])
    assert second == first
    assert second.reason == "Completed"
    assert {progress.stage for progress in seen} == {Stage.STARTING}
    assert installation.objects() == before
    assert len(models(installation)) == 1


def test_an_equal_run_is_adopted_and_a_retrain_run_is_not(installation: Installation) -> None:
    spec = small_spec("xgb", installation.bucket)
    first = installation.launch(installation.training_run(spec))
    before = installation.objects()
    result = installation.launch(installation.training_run(spec, OTHER_UID))
    assert (result.reason, result.exit_code) == ("AdoptedExistingRun", ExitCode.DONE)
    assert result.summary.registration == first.summary.registration
    assert result.summary.summary == first.summary.summary
    assert installation.objects() == before
    result = installation.launch(installation.training_run(spec, OTHER_UID, run=2, adopt=False))
    assert result.reason == "Completed"
    assert len(models(installation)) == 2
    assert recorded(installation) == [(UID, 1, "registered"), (OTHER_UID, 1, "adopted"), (OTHER_UID, 2, "registered")]


class _WithoutReport(XgbModel):
    """An xgb model whose report fails."""

    def report(self, dataset: FailureDataset, trained: TrainedModel) -> ReportContent:
        raise ValueError("no content")


def test_a_library_that_is_not_installed_ends_the_run_unless_it_adopts_a_model(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_spec("xgb", installation.bucket)
    assert installation.launch(installation.training_run(spec)).reason == "Completed"
    monkeypatch.setattr(XgbModel, "libraries", ("a_library_that_is_not_installed",))
    assert installation.launch(installation.training_run(spec, OTHER_UID)).reason == "AdoptedExistingRun"
    result = installation.launch(installation.training_run(spec, OTHER_UID, run=2, adopt=False))
    assert (result.reason, result.exit_code) == ("TrainerError", ExitCode.UNEXPECTED)
    assert "ModuleNotFoundError: No module named 'a_library_that_is_not_installed'" in result.message


def test_libraries_are_imported_in_another_thread_before_the_training(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "heavy_library.py").write_text("import threading\nthread = threading.current_thread()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(XgbModel, "libraries", ("heavy_library",))

    def wait_for_import(progress: Progress) -> None:
        if progress.stage is Stage.PREPARING:
            wait_until(lambda: "heavy_library" in sys.modules, "the library is imported before the training")

    spec = small_spec("xgb", installation.bucket)
    assert installation.launch(installation.training_run(spec), [wait_for_import]).reason == "Completed"
    assert sys.modules.pop("heavy_library").thread is not threading.main_thread()


def test_a_model_whose_report_cannot_be_drawn_is_registered_without_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelFactory, "types", {"xgb": _WithoutReport()})
    result = installation.launch(installation.training_run(small_spec("xgb", installation.bucket)))
    assert result.reason == "Completed"
    names = {artifact["name"] for artifact in result.summary.artifacts}
    assert names == {"model", "model-ubj", "search-json", "manifest"}
    assert any("The model has no report (ValueError: " in warning for warning in result.summary.warnings)
    assert installation.rows("SELECT metrics->'warnings' FROM models") == [(list(result.summary.warnings),)]


def test_a_model_whose_object_was_changed_is_not_adopted(installation: Installation) -> None:
    spec = small_spec("xgb", installation.bucket)
    installation.launch(installation.training_run(spec))
    (address,) = models(installation)
    installation.client.remove_object(installation.bucket, address)
    result = installation.launch(installation.training_run(spec, OTHER_UID))
    assert result.reason == "Completed"
    assert len(models(installation)) == 2
    result = installation.launch(installation.training_run(spec, attempt=2))
    assert (result.reason, result.exit_code) == ("ArtifactStoreFailed", ExitCode.ARTIFACT_STORE)


def test_an_equal_model_that_fails_a_new_gate_is_not_adopted(installation: Installation) -> None:
    installation.launch(installation.training_run(small_spec("xgb", installation.bucket)))
    strict = small_spec("xgb", installation.bucket, gates=[{"metric": "auc_score", "min": 2}])
    result = installation.launch(installation.training_run(strict, OTHER_UID))
    assert result.reason == "GateFailed"


def test_a_model_that_fails_a_gate_is_rejected_and_never_registered(installation: Installation) -> None:
    spec = small_spec("xgb", installation.bucket, gates=[{"metric": "auc_score", "min": 2}])
    result = installation.launch(installation.training_run(spec))
    assert (result.reason, result.exit_code, result.outcome) == ("GateFailed", ExitCode.GATE_FAILED, "Failed")
    assert "auc_score" in result.message
    assert models(installation) == []
    assert recorded(installation) == [(UID, 1, "rejected")]
    assert {key.split("/")[0] for key in installation.objects()} == {"rejected"}
    assert {key.split("/")[-1] for key in installation.objects()} == _RUN_FILES | {
        "model.pkl",
        "model.ubj",
        "search.json",
    }
    assert not result.summary.registration
    again = installation.launch(installation.training_run(spec, attempt=2))
    assert (again.reason, again.message) == (result.reason, result.message)
    assert len(recorded(installation)) == 1


def test_a_stopped_gru_continues_from_its_checkpoint(installation: Installation) -> None:
    spec = small_spec("gru", installation.bucket)

    def terminate(progress: Progress) -> None:
        if progress.epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    result = installation.launch(installation.training_run(spec), [terminate])
    assert (result.reason, result.exit_code, result.outcome) == ("Suspended", ExitCode.STOPPED, "Stopped")
    run = installation.training_run(spec, attempt=2)
    assert installation.objects() == {f"checkpoints/pumps/itu-415/{run.spec_hash}/{UID[:8]}-1-1"}
    seen: list[int] = []
    result = installation.launch(run, [lambda progress: seen.append(progress.epoch)])
    assert result.reason == "Completed"
    assert 1 not in seen
    assert result.summary.metrics["epochs_trained"] == 2
    assert not any(key.startswith("checkpoints/") for key in installation.objects())


@pytest.mark.parametrize(("model_type", "reason"), [("gru", "InsufficientData"), ("xgb", "InsufficientData")])
def test_a_machine_without_rows_is_refused_as_a_data_error(
    installation: Installation, model_type: str, reason: str
) -> None:
    installation.rows("DELETE FROM processed_data")
    result = installation.launch(installation.training_run(small_spec(model_type, installation.bucket)))
    assert (result.reason, result.exit_code) == (reason, ExitCode.DATA)
    assert MACHINE in result.message
    assert installation.objects() == set()


def test_every_result_is_written_as_termination_message(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from trainingjob_trainer.run.process import RuntimeConfig, launch

    path = tmp_path_factory.mktemp("pod") / "termination-log"
    spec = small_spec("xgb", installation.bucket)
    result = launch(installation.training_run(spec), RuntimeConfig(path))
    told = json.loads(path.read_bytes())
    assert (told["outcome"], told["reason"]) == ("Succeeded", "Completed")
    assert (told["uid"], told["run"], told["attempt"], told["exitCode"]) == (UID, 1, 1, 0)
    assert (told["registration"], told["data"], told["device"]) == (
        result.summary.registration,
        result.summary.data,
        {"used": "CPU"},
    )
    missing = small_spec("xgb", "no-such-bucket")
    result = launch(installation.training_run(missing, OTHER_UID), RuntimeConfig(path))
    assert json.loads(path.read_bytes()) == {
        "uid": OTHER_UID,
        "run": 1,
        "attempt": 1,
        "outcome": "Failed",
        "reason": "ArtifactStoreFailed",
        "message": result.message,
        "exitCode": 12,
        "device": {"used": "CPU"},
    }
