"""Prepares a dataset with failure labels."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Data, Xgb
from trainingjob_trainer.data.cleaning import Cleaned
from trainingjob_trainer.data.columns import ANALOGUE_COLUMNS, RPM_DROP
from trainingjob_trainer.data.dataset import FailureDataset, Telemetry
from trainingjob_trainer.data.labels import (
    MINIMUM_FAILURES,
    distinct_failures,
    failure_events,
    failure_labels,
    leakage_mask,
)
from trainingjob_trainer.data.notes import Notes
from trainingjob_trainer.data.prepare import clean_telemetry, has_value, informative_features, running_rows
from trainingjob_trainer.errors import TrainingError

_PLAUSIBLE_EVENT_SHARE = 0.001


def prepare_failure_dataset(telemetry: Telemetry, data: Data, xgb: Xgb) -> FailureDataset:
    """Prepare a dataset whose target says whether a failure follows within the window.

    Args:
        telemetry: The loaded telemetry.
        data: Parameters of cleaning and splitting.
        xgb: Definition of a failure, and how long before it rows are labelled.

    Raises:
        TrainingError: InsufficientData or SingleClass when no model can be trained on the data, InvalidConfiguration
            when the spec has columns that do not exist. The message says what to do.
    """
    cleaned, notes = clean_telemetry(telemetry, data)
    telemetry, values, test_start = notes.telemetry, cleaned.values, cleaned.test_start
    if not has_value(values.iloc[:test_start], RPM_DROP):
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"machine {telemetry.machine}: column {RPM_DROP} has no value in the training part, so failures cannot "
            f"be detected. {notes.absence(RPM_DROP).description}",
        )
    events = failure_events(values[RPM_DROP].to_numpy(np.float32), xgb.rpm_drop_percent)
    window = np.timedelta64(xgb.pre_failure_window_minutes, "m")
    labels = failure_labels(cleaned.timestamps, cleaned.segments, events, window)
    leaking = leakage_mask(cleaned.timestamps, test_start, window)
    usable = ~leaking
    _refuse_single_class(telemetry, cleaned, events, labels[:test_start][usable[:test_start]], xgb)
    columns = (*map(str, values.columns), *telemetry.unreadable)
    candidates = [name for name in columns if name not in (*ANALOGUE_COLUMNS, "failure_label")]
    features = informative_features(values.iloc[:test_start], candidates, notes)
    frame = values[list(features)].copy(deep=False)
    frame["failure_label"] = labels.astype(np.float32)
    notes.count("training rows whose label would look into the test part", int(np.count_nonzero(leaking)))
    notes.counts["failure events in the training part"] = int(np.count_nonzero(events[:test_start]))
    notes.counts["failure events in the test part"] = int(np.count_nonzero(events[test_start:]))
    _warn_of_standardised_inputs(values, events[:test_start], notes)
    failures = distinct_failures(cleaned.timestamps, cleaned.segments, events, test_start, window)
    _warn_of_few_failures(*failures, notes)
    return FailureDataset(
        machine=telemetry.machine,
        frame=frame,
        timestamps=cleaned.timestamps,
        segments=cleaned.segments,
        test_start=test_start,
        features=features,
        running=running_rows(values, test_start),
        usable=usable,
        summary=notes.summary(),
        events=events,
    )


def _refuse_single_class(
    telemetry: Telemetry, cleaned: Cleaned, events: NDArray[np.bool_], labels: NDArray[np.bool_], xgb: Xgb
) -> None:
    if labels.any() and not labels.all():
        return
    drops = failure_events(telemetry.values[RPM_DROP].to_numpy(np.float32)[cleaned.kept], xgb.rpm_drop_percent)
    restarts = drops & cleaned.first_of_segment
    false = drops & ~restarts & ~events
    in_training = int(np.count_nonzero(events[: cleaned.test_start]))
    positives = int(np.count_nonzero(labels))
    raise TrainingError(
        Reason.SINGLE_CLASS,
        f"machine {telemetry.machine}: the training part has one class only: {positives} of its {len(labels)} rows lie "
        f"in the {xgb.pre_failure_window_minutes} minutes before a failure. {RPM_DROP} falls to "
        f"{xgb.rpm_drop_percent:g} or below in {np.count_nonzero(drops)} rows, {np.count_nonzero(restarts)} of them "
        f"restarts after a gap and {np.count_nonzero(false)} next to a false reading, which are no failures; of the "
        f"remaining {np.count_nonzero(events)}, {in_training} are in the training part (before "
        f"{np.datetime_as_string(cleaned.timestamps[cleaned.test_start], 's')}Z). "
        "Choose a longer period with failures.",
    )


def _warn_of_few_failures(training: int, test: int, notes: Notes) -> None:
    if min(training, test) >= MINIMUM_FAILURES:
        return
    nothing = (
        "Without a failure in the test part, AUC, average precision and recall are undefined, and accuracy is "
        "meaningless. "
    )
    notes.warnings.insert(
        0,
        f"The model cannot be judged: there are {training} distinct failures in the training part and {test} in the "
        f"test part, but at least {MINIMUM_FAILURES} in each are needed. {'' if test else nothing}Train on a longer "
        "period, or change data.testFraction.",
    )


def _warn_of_standardised_inputs(values: pd.DataFrame, events: NDArray[np.bool_], notes: Notes) -> None:
    if "Eng_RPM" not in values:
        return
    negative = int(np.count_nonzero(values["Eng_RPM"].to_numpy()[: len(events)] < 0))
    number = int(np.count_nonzero(events))
    if negative and number > _PLAUSIBLE_EVENT_SHARE * len(events):
        notes.warnings.append(
            f"Eng_RPM is negative in {negative} rows and drops as in a failure in {number} of {len(events)} rows of "
            "the training part: the telemetry is probably standardised, and percentages of standardised values "
            "produce false failures. Store it in the units of the sensors."
        )
