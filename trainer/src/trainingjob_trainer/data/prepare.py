"""Preparation of telemetry for training: cleaned, renamed, filled, scored or labelled, split in time.

Everything that is fitted or decided from data is fitted on the rows before the border alone.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Gru, TrainingJobSpec, Xgb
from trainingjob_api.values import HEALTH_INDICATORS
from trainingjob_trainer.data.absence import refuse_absent_indicators
from trainingjob_trainer.data.cleaning import Cleaned, clean
from trainingjob_trainer.data.columns import ANALOGUE_COLUMNS, ANALOGUE_OF, GRU_FEATURES, RPM_DROP
from trainingjob_trainer.data.dataset import Prepared, Telemetry
from trainingjob_trainer.data.fill import carried_forward
from trainingjob_trainer.data.health import fit_health_score, score
from trainingjob_trainer.data.labels import (
    MINIMUM_FAILURES,
    distinct_failures,
    failure_events,
    failure_labels,
    looks_past_border,
)
from trainingjob_trainer.data.notes import Notes
from trainingjob_trainer.errors import TrainingError

_ROWS_FITTED_AT_ONCE = 262_144
_PLAUSIBLE_EVENT_SHARE = 0.001


def prepare_data(telemetry: Telemetry, spec: TrainingJobSpec) -> Prepared:
    """Turn the telemetry of one machine into data to train on.

    Args:
        telemetry: As loaded.
        spec: Says which model, how to clean and how to split.

    Raises:
        TrainingError: InsufficientData or SingleClass when the data cannot train this model, InvalidConfiguration
            when the spec names columns that are not there; the message says what was found and what to do.
    """
    renamed = _renamed(telemetry, spec)
    cleaned = clean(renamed, spec.data)
    notes = Notes(renamed, cleaned, spec.data)
    if spec.model.type == "gru":
        return _prepare_gru(renamed, cleaned, spec.model.gru, notes)
    return _prepare_xgb(renamed, cleaned, spec.model.xgb, notes)


def _prepare_gru(telemetry: Telemetry, cleaned: Cleaned, gru: Gru, notes: Notes) -> Prepared:
    values = _with_analogue_inputs(cleaned, notes)
    training = values.iloc[: cleaned.border]
    absent = [notes.absence(name) for name in HEALTH_INDICATORS if not _has_value(training, name)]
    if gru.missing_indicators == "Refuse":
        refuse_absent_indicators(telemetry.machine, absent)
    health = fit_health_score(telemetry.machine, training, gru.health_ranges)
    _refuse_unknown_features(telemetry, values.columns, gru)
    features = _informative(training, gru.features or GRU_FEATURES, notes)
    unseen = [name for name in health.ranges if name not in features]
    if unseen and gru.output == "Residual":
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"machine {telemetry.machine}: features lacks {', '.join(unseen)}, which output Residual needs to know the "
            "last score. Add it, or set output to Direct.",
        )
    filled = pd.DataFrame(
        {name: _filled(name, values[name].to_numpy(np.float32), cleaned, notes) for name in (*features, *unseen)},
        copy=False,
    )
    frame = filled[list(features)].copy(deep=False)
    frame["health_score"] = score(health, values)
    missing_targets = int(np.count_nonzero(np.isnan(frame["health_score"].to_numpy())))
    notes.count("rows without a health score", missing_targets)
    if health.neutral:
        causes = {one.column: one.cause for one in absent}
        told = (f"{name} ({causes.get(name, 'constant in the training part')})" for name in health.neutral)
        notes.warnings.append(f"The health score counts as unchanging: {', '.join(told)}.")
    return Prepared(
        machine=telemetry.machine,
        frame=frame,
        timestamps=cleaned.timestamps,
        segments=cleaned.segments,
        border=cleaned.border,
        features=features,
        running=_running(values, cleaned.border),
        usable=np.ones(len(frame), np.bool_),
        summary=notes.summary(),
        scaler=_fitted_scaler(frame, features, cleaned.border),
        health=health,
        last_scores=score(health, filled),
    )


def _prepare_xgb(telemetry: Telemetry, cleaned: Cleaned, xgb: Xgb, notes: Notes) -> Prepared:
    values, border = cleaned.values, cleaned.border
    if not _has_value(values.iloc[:border], RPM_DROP):
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"machine {telemetry.machine}: column {RPM_DROP} has no value in the training part, and without it no "
            f"failure can be told. {notes.absence(RPM_DROP).told}",
        )
    events = failure_events(values[RPM_DROP].to_numpy(np.float32), xgb.rpm_drop_percent)
    window = np.timedelta64(xgb.pre_failure_window_minutes, "m")
    labels = failure_labels(cleaned.timestamps, cleaned.segments, events, window)
    past = looks_past_border(cleaned.timestamps, border, window)
    usable = ~past
    _refuse_single_class(telemetry, cleaned, events, labels[:border][usable[:border]], xgb)
    columns = (*map(str, values.columns), *telemetry.unreadable)
    candidates = [name for name in columns if name not in (*ANALOGUE_COLUMNS, "failure_label")]
    features = _informative(values.iloc[:border], candidates, notes)
    frame = values[list(features)].copy(deep=False)
    frame["failure_label"] = labels.astype(np.float32)
    notes.count("training rows whose label would look into the test part", int(np.count_nonzero(past)))
    notes.counts["failure events in the training part"] = int(np.count_nonzero(events[:border]))
    notes.counts["failure events in the test part"] = int(np.count_nonzero(events[border:]))
    _warn_of_standardised_inputs(values, events[:border], notes)
    failures = distinct_failures(cleaned.timestamps, cleaned.segments, events, border, window)
    _warn_of_few_failures(*failures, notes)
    return Prepared(
        machine=telemetry.machine,
        frame=frame,
        timestamps=cleaned.timestamps,
        segments=cleaned.segments,
        border=border,
        features=features,
        running=_running(values, border),
        usable=usable,
        summary=notes.summary(),
        events=events,
    )


def _renamed(telemetry: Telemetry, spec: TrainingJobSpec) -> Telemetry:
    """Give columns the names that ``data.columns`` wants; a column of such a name gives way."""
    renames = spec.data.columns
    if not renames:
        return telemetry
    absent = sorted(source for source in renames.values() if source not in telemetry.values)
    if absent:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"columns: table {spec.data.table} has no numeric column {_with_types(absent, telemetry)}. It has "
            f"{', '.join(map(str, telemetry.values.columns))}.",
        )
    sources = set(renames.values())
    kept = {name: telemetry.values[name] for name in telemetry.values if name not in sources and name not in renames}
    values = pd.DataFrame(kept | {target: telemetry.values[source] for target, source in renames.items()}, copy=False)
    unreadable = {name: column for name, column in telemetry.unreadable.items() if name not in renames}
    return replace(telemetry, values=values, unreadable=unreadable)


def _with_analogue_inputs(cleaned: Cleaned, notes: Notes) -> pd.DataFrame:
    """Let the raw analogue inputs stand for the pressures that have no value in the training part."""
    values = cleaned.values.copy(deep=False)
    for pressure, analogue in ANALOGUE_OF.items():
        training = values.iloc[: cleaned.border]
        if not _has_value(training, pressure) and _has_value(training, analogue):
            values[pressure] = values[analogue]
            notes.sources[pressure] = analogue
            notes.warnings.append(f"{analogue} is used as {pressure}. {notes.absence(pressure).told}")
    return values


def _has_value(training: pd.DataFrame, name: str) -> bool:
    return name in training and bool(training[name].notna().any())


def _refuse_unknown_features(telemetry: Telemetry, columns: Iterable[object], gru: Gru) -> None:
    unknown = sorted(set(gru.features).difference(map(str, columns), HEALTH_INDICATORS))
    if unknown:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"machine {telemetry.machine}: features names {_with_types(unknown, telemetry)}, which the table does "
            "not have as a numeric column.",
        )


def _with_types(names: Iterable[str], telemetry: Telemetry) -> str:
    types = {name: f"{name} (it is of type {column.type_name})" for name, column in telemetry.unreadable.items()}
    return ", ".join(types.get(name, name) for name in names)


def _informative(training: pd.DataFrame, candidates: Iterable[str], notes: Notes) -> tuple[str, ...]:
    """The candidates that have at least two different values in the training part."""
    features = []
    for name in candidates:
        if name not in training:
            if name in notes.telemetry.unreadable:
                notes.drop(name)
            continue
        values = training[name].to_numpy()
        values = values[np.isfinite(values)]
        if not values.size:
            notes.drop(name)
        elif values.min() == values.max():
            notes.dropped[name] = f"constant in the training part ({values[0]:g})"
        else:
            features.append(name)
    if not features:
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"machine {notes.telemetry.machine}: no column varies in the {len(training)} rows of the training part: "
            + "; ".join(f"{name}: {reason}" for name, reason in notes.dropped.items()),
        )
    notes.warn_of_losses(features)
    return tuple(features)


def _filled(name: str, values: NDArray[np.float32], cleaned: Cleaned, notes: Notes) -> NDArray[np.float32]:
    missing = int(np.count_nonzero(np.isnan(values)))
    if not missing:
        return values
    carried = carried_forward(values, cleaned.segments)
    rest = np.isnan(carried)
    notes.count(f"{name} carried forward", missing - int(np.count_nonzero(rest)))
    notes.count(f"{name} filled with the training median", int(np.count_nonzero(rest)))
    return np.where(rest, np.float32(np.nanmedian(values[: cleaned.border])), carried)


def _fitted_scaler(frame: pd.DataFrame, features: tuple[str, ...], border: int) -> MinMaxScaler:
    """Fitted on a DataFrame of float64, so that readers get exact ranges and names; in blocks, so that memory holds."""
    scaler = MinMaxScaler()
    for start in range(0, border, _ROWS_FITTED_AT_ONCE):
        block = frame.iloc[start : min(start + _ROWS_FITTED_AT_ONCE, border)]
        scaler.partial_fit(block[list(features)].astype(np.float64))
    return scaler


def _running(values: pd.DataFrame, border: int) -> NDArray[np.bool_]:
    """Whether the engine ran: by ``running``, where that is missing by the engine's speed; all True without both."""
    known = [name for name in ("running", "Eng_RPM") if _has_value(values.iloc[:border], name)]
    if not known:
        return np.ones(len(values), np.bool_)
    sensor = values[known[0]].to_numpy(np.float32)
    if known == ["running", "Eng_RPM"]:
        sensor = np.where(np.isnan(sensor), values["Eng_RPM"].to_numpy(np.float32), sensor)
    running: NDArray[np.bool_] = sensor > 0
    return running


def _refuse_single_class(
    telemetry: Telemetry, cleaned: Cleaned, events: NDArray[np.bool_], labels: NDArray[np.bool_], xgb: Xgb
) -> None:
    if labels.any() and not labels.all():
        return
    drops = failure_events(telemetry.values[RPM_DROP].to_numpy(np.float32)[cleaned.kept], xgb.rpm_drop_percent)
    restarts = drops & cleaned.first_of_segment
    false = drops & ~restarts & ~events
    in_training = int(np.count_nonzero(events[: cleaned.border]))
    positives = int(np.count_nonzero(labels))
    raise TrainingError(
        Reason.SINGLE_CLASS,
        f"machine {telemetry.machine}: the training part has one class only: {positives} of its {len(labels)} rows lie "
        f"in the {xgb.pre_failure_window_minutes} minutes before a failure. {RPM_DROP} falls to "
        f"{xgb.rpm_drop_percent:g} or below in {np.count_nonzero(drops)} rows, {np.count_nonzero(restarts)} of them "
        f"restarts after a gap and {np.count_nonzero(false)} next to a false reading, which are no failures; of the "
        f"{np.count_nonzero(events)} left, {in_training} lie in the training part (before "
        f"{np.datetime_as_string(cleaned.timestamps[cleaned.border], 's')}Z). A longer period with failures is needed.",
    )


def _warn_of_few_failures(training: int, test: int, notes: Notes) -> None:
    if min(training, test) >= MINIMUM_FAILURES:
        return
    nothing = (
        "Without a failure in the test part AUC, average precision and recall have no value, and accuracy says "
        "nothing. "
    )
    notes.warnings.insert(
        0,
        f"The model cannot be judged: {training} distinct failures lie in the training part and {test} in the test "
        f"part, where at least {MINIMUM_FAILURES} in each are wanted. {'' if test else nothing}Train on a longer "
        "period, or change data.testFraction.",
    )


def _warn_of_standardised_inputs(values: pd.DataFrame, events: NDArray[np.bool_], notes: Notes) -> None:
    if "Eng_RPM" not in values:
        return
    negative = int(np.count_nonzero(values["Eng_RPM"].to_numpy()[: len(events)] < 0))
    number = int(np.count_nonzero(events))
    if negative and number > _PLAUSIBLE_EVENT_SHARE * len(events):
        notes.warnings.append(
            f"Eng_RPM is negative in {negative} rows and falls like at a failure in {number} of {len(events)} rows of "
            "the training part: the telemetry looks standardised, and then percentages invent failures. "
            "Store it in the units of the sensors."
        )
