"""A third model type, which is one class and one entry: check, training, report and registry work with it."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from integration.trainer.installation import MACHINE, Installation, small_spec
from trainingjob_api.spec import Gate, TrainingJobSpec
from trainingjob_trainer.data.dataset import HealthDataset, ModelFile, Telemetry, TrainedModel
from trainingjob_trainer.data.health_dataset import prepare_health_dataset
from trainingjob_trainer.models.base import ContractName, ModelType
from trainingjob_trainer.models.comparison import Comparison, RegisteredModel
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.models.metrics import regression_metrics
from trainingjob_trainer.report.content import MetricsTable
from trainingjob_trainer.tools.check import check


class MeanModel(ModelType[HealthDataset]):
    """Predicts the mean health score of the training part."""

    name = "mean"
    trainer_revision = 1
    contract_names = {"model": ContractName("mean_model_", ".json")}  # noqa: RUF012
    comparison_files = ("model",)

    def prepare(self, telemetry: Telemetry, spec: TrainingJobSpec) -> HealthDataset:
        return prepare_health_dataset(telemetry, spec.data, spec.model.gru)

    def train(self, dataset: HealthDataset, *_: Any, **__: Any) -> TrainedModel:
        training, test = np.split(dataset.frame["health_score"].to_numpy(), [dataset.test_start])
        mean, actual = float(np.nanmean(training)), test[np.isfinite(test)]
        metrics = regression_metrics(actual, np.full_like(actual, mean))
        model = ModelFile("model", ".json", json.dumps({"mean": mean}).encode())
        return TrainedModel([model], metrics, f"RMSE {metrics['rmse']:.3f}", report={})

    def compare(
        self, dataset: HealthDataset, spec: TrainingJobSpec, trained: TrainedModel, registered: RegisteredModel
    ) -> Comparison:
        test = dataset.frame["health_score"].to_numpy()[dataset.timestamps > registered.train_end]
        actual = test[np.isfinite(test)]
        mean = json.loads(registered.files["model"])["mean"]
        rmse = regression_metrics(actual, np.full_like(actual, mean))["rmse"]
        return Comparison(
            1 - trained.metrics["rmse"] / rmse, "rmse", trained.metrics["rmse"], rmse, len(actual), "test rows"
        )

    def sample_metrics(self) -> Mapping[str, Any]:
        return {"rmse": 0.1}

    def result_table(self, metrics: Mapping[str, Any]) -> MetricsTable:
        return MetricsTable("Test part", ["RMSE"], [("this model", [metrics["rmse"]])], ("R2", metrics["r2"]))

    def settings(self, spec: TrainingJobSpec) -> dict[str, Any]:
        return {}


def test_a_third_model_type_is_trained_published_and_registered(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelFactory, "types", {**ModelFactory.types, "mean": MeanModel()})
    run = installation.training_run(small_spec("gru", installation.bucket))
    # The contract accepts two types; ``model_copy`` does not validate.
    model = run.spec.model.model_copy(update={"type": "mean"})
    run = run.model_copy(update={"spec": run.spec.model_copy(update={"model": model})})

    assert MACHINE in check(run.spec, run.window)
    result = installation.launch(run)

    assert result.reason == "Completed", result.message
    ((model_type, address, metrics),) = installation.rows("SELECT model_type, bucket_address, metrics FROM models")
    assert model_type == "mean"
    assert address.startswith(f"mean_model_{MACHINE}_")
    assert 0 <= json.loads(installation.read(address))["mean"] <= 1
    assert metrics["rmse"] == result.summary.metrics["rmse"]
    assert {file["name"] for file in result.summary.artifacts} == {"model", "report", "manifest"}
    again = installation.launch(run.model_copy(update={"uid": "77777777-5d1c-4b8e-9d53-0d2a5e3c1b11"}))
    assert again.reason == "AdoptedExistingRun"
    gated = run.spec.model_copy(update={"gates": (Gate(metric="improvement", min=0),)})
    better = installation.launch(
        run.model_copy(update={"uid": "88888888-5d1c-4b8e-9d53-0d2a5e3c1b11", "spec": gated, "adopt": False})
    )
    assert better.reason == "Completed", better.message
    assert better.summary.metrics["improvement"] == 0
    assert better.summary.metrics["compared_with"]["bucket_address"] == address
