"""The TrainingJobs of the demonstration, and how it displays them."""

from typing import Any

import pytest

from demo.story import report_key

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
