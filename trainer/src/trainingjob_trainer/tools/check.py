"""What a run would find: telemetry loaded, cleaned and counted, nothing trained."""

from collections.abc import Iterator

import numpy as np

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.data.dataset import Prepared
from trainingjob_trainer.data.prepare import prepare_data
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.storage.telemetry import load_telemetry


def check(spec: TrainingJobSpec, window: Window) -> str:
    """Load and prepare the data of a run as its training would, and say what was found.

    Returns:
        Text for a terminal.

    Raises:
        TrainingError: The refusal that the run would end with.
    """
    telemetry = load_telemetry(spec, window)
    prepared = prepare_data(telemetry, spec)
    return "\n".join(
        [*_lines(prepared), *(_windows(prepared, spec) if spec.model.type == "gru" else _labels(prepared))]
    )


def _lines(prepared: Prepared) -> Iterator[str]:
    summary = prepared.summary
    yield f"machine        {prepared.machine}"
    yield f"period         {summary.start}Z to {summary.end}Z"
    yield f"rows           {summary.rows_used} of {summary.rows_read} read, every {summary.step_seconds:g} s"
    yield f"segments       {summary.segments} without a gap"
    yield f"test part      {len(prepared.frame) - prepared.border} rows from {prepared.timestamps[prepared.border]}Z on"
    yield f"running        {np.count_nonzero(prepared.running)} rows"
    yield f"features       {', '.join(prepared.features)}"
    yield from (f"not used       {name}: {reason}" for name, reason in summary.dropped_columns.items())
    yield from (f"found          {number} {name}" for name, number in summary.counts.items())
    yield from (f"warning        {warning}" for warning in summary.warnings)
    yield f"fingerprint    {summary.fingerprint}"


def _windows(prepared: Prepared, spec: TrainingJobSpec) -> Iterator[str]:
    gru = spec.model.gru
    sequences = create_sequences(prepared, gru.sequence_length, gru.validation_fraction)
    yield (
        f"windows        {len(sequences.training)} training, {len(sequences.validation)} validation, "
        f"{len(sequences.test)} test, {sequences.dropped} dropped for want of a target"
    )


def _labels(prepared: Prepared) -> Iterator[str]:
    label = prepared.frame["failure_label"].to_numpy() > 0
    training = label[: prepared.border][prepared.usable[: prepared.border]]
    test = label[prepared.border :]
    for part, labels in (("training", training), ("test", test)):
        yield f"{part:<15}{np.count_nonzero(labels)} of {len(labels)} rows lie shortly before a failure"
