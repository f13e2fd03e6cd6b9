"""The command check: loads, cleans and counts the telemetry of a run without training."""

from collections.abc import Iterator

import numpy as np

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.data.dataset import Dataset
from trainingjob_trainer.models.factory import ModelFactory, prepare_data
from trainingjob_trainer.storage.telemetry import load_telemetry


def check(spec: TrainingJobSpec, window: Window) -> str:
    """Load and prepare the data of a run like its training, and describe them.

    Returns:
        A description for the terminal.

    Raises:
        TrainingError: The error that the run would end with.
    """
    telemetry = load_telemetry(spec, window)
    dataset = prepare_data(telemetry, spec)
    described = ModelFactory.create(spec.model.type).describe(dataset, spec)
    return "\n".join([*_lines(dataset), *(f"{name:<15}{text}" for name, text in described)])


def _lines(dataset: Dataset) -> Iterator[str]:
    summary = dataset.summary
    yield f"machine        {dataset.machine}"
    yield f"period         {summary.start}Z to {summary.end}Z"
    yield f"rows           {summary.rows_used} of {summary.rows_read} read, every {summary.step_seconds:g} s"
    yield f"segments       {summary.segments} without a gap"
    test_rows = len(dataset.frame) - dataset.test_start
    yield f"test part      {test_rows} rows from {dataset.timestamps[dataset.test_start]}Z on"
    yield f"running        {np.count_nonzero(dataset.running)} rows"
    yield f"features       {', '.join(dataset.features)}"
    yield from (f"not used       {name}: {reason}" for name, reason in summary.dropped_columns.items())
    yield from (f"found          {number} {name}" for name, number in summary.counts.items())
    yield from (f"warning        {warning}" for warning in summary.warnings)
    yield f"fingerprint    {summary.fingerprint}"
