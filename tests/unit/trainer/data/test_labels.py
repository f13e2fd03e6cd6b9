"""Which rows are labelled as shortly before a failure."""

import numpy as np

from support.telemetry import at
from trainingjob_trainer.data.labels import distinct_failures, failure_events, failure_labels, leakage_mask

WINDOW = np.timedelta64(30, "m")


def test_an_event_is_a_speed_drop_to_the_threshold_or_below() -> None:
    drops = np.array([-69.99, -70, -100, np.nan, 5], np.float32)
    assert failure_events(drops, -70).tolist() == [False, True, True, False, False]


def test_the_label_window_includes_its_start_but_not_the_event() -> None:
    instants = at([0, 59, 60, 61, 1859, 1860, 1861])
    events = np.array([False, False, False, False, False, True, False])
    labels = failure_labels(instants, np.zeros(7, np.int32), events, WINDOW)
    assert labels.tolist() == [False, False, True, True, True, False, False]


def test_an_event_before_another_event_has_a_positive_label() -> None:
    events = np.array([False, True, False, True, False])
    labels = failure_labels(at(np.arange(5) * 60), np.zeros(5, np.int32), events, WINDOW)
    assert labels.tolist() == [True, True, True, False, False]


def test_no_label_window_crosses_a_gap() -> None:
    segments = np.array([0, 0, 0, 1, 1, 1], np.int32)
    events = np.array([False, False, False, False, True, False])
    labels = failure_labels(at(np.arange(6) * 60), segments, events, WINDOW)
    assert labels.tolist() == [False, False, False, True, False, False]


def test_a_training_row_whose_window_reaches_the_test_part_is_marked() -> None:
    instants = at([0, 100, 200, 2000, 2100])
    past = leakage_mask(instants, 3, WINDOW)
    assert past.tolist() == [False, False, True, False, False]
    assert leakage_mask(instants, 4, WINDOW).tolist() == [False, False, False, True, False]


def test_events_within_one_window_and_segment_are_one_failure() -> None:
    minutes = np.array([0, 1, 20, 51, 90, 91, 92, 93])
    segments = np.array([0, 0, 0, 0, 1, 2, 2, 2], np.int32)
    events = np.array([True, True, True, True, True, True, True, True])
    # The second and third event belong to the first; the fourth is too late; each of the next two begins a segment.
    assert distinct_failures(at(minutes * 60), segments, events, 8, WINDOW) == (4, 0)
    assert distinct_failures(at(minutes * 60), segments, events, 7, WINDOW) == (4, 1)
    assert distinct_failures(at(minutes * 60), segments, ~events, 7, WINDOW) == (0, 0)
