"""The TrainingJobs and the TrainingFleet of the demonstration, and how it displays them."""

import json
from typing import Any

import pytest

from demo.story import SUCCEEDED, WITHOUT_DATA, columns, expected_of_fleet, report_key, small_fleet
from trainingjob_trainer.documents.training_fleet import load_training_fleet

REPORT = {"name": "report", "uri": "s3://models/runs/ITU-415/2026_01_02_03_04_05/report.html"}
MODEL = {"name": "model", "uri": "s3://models/xgb_model_ITU-415_2026_01_02_03_04_05.pkl"}


@pytest.mark.parametrize(
    ("job", "key"),
    [
        ({"status": {"artifacts": [MODEL, REPORT]}}, "runs/ITU-415/2026_01_02_03_04_05/report.html"),
        ({"status": {"artifacts": [MODEL]}}, None),
        ({"status": {}}, None),
        ({}, None),
    ],
    ids=["with a report", "without a report", "failed", "new"],
)
def test_the_report_is_found_by_its_artifact(job: dict[str, Any], key: str | None) -> None:
    assert report_key(job) == key


def ended(status: str, *failed: str) -> dict[str, Any]:
    """The small fleet with a status."""
    conditions = [{"type": "Succeeded", "status": status, "reason": "Completed" if status == "True" else "NoProgress"}]
    machines = {"selected": 6, "registered": 6 - len(failed), "failed": len(failed), "display": f"{6 - len(failed)}/6"}
    failures = [{"machine": machine, "reason": "InsufficientData"} for machine in failed]
    return small_fleet() | {
        "status": {"phase": "Succeeded", "conditions": conditions, "machines": machines, "failures": failures}
    }


@pytest.mark.parametrize(
    ("fleet", "as_expected"),
    [
        (ended("True", WITHOUT_DATA), True),
        (ended("True"), False),
        (ended("True", "RENTAL-1", WITHOUT_DATA), False),
        (ended("True", "RENTAL-1"), False),
        (ended("False", WITHOUT_DATA), False),
        (small_fleet(), False),
    ],
)
def test_a_fleet_must_end_with_the_failure_of_the_machine_without_data(
    fleet: dict[str, Any], as_expected: bool
) -> None:
    announcement = expected_of_fleet(small_fleet())
    assert announcement.ending == SUCCEEDED
    assert announcement.is_met_by(fleet) is as_expected


def test_a_fleet_is_shown_with_its_counts() -> None:
    assert columns(ended("True", WITHOUT_DATA))[:4] == ("rental-health", "5/6", "gru", "Succeeded")
    assert columns(small_fleet())[:4] == ("rental-health", "", "gru", "")


def test_the_small_fleet_is_valid_and_may_lose_one_machine() -> None:
    spec = load_training_fleet(json.dumps(small_fleet())).spec
    assert 100 <= spec.max_failed_percent * len(spec.machines.names) < 200
