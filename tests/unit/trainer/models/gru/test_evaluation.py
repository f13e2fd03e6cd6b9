"""A model that cannot be judged, or is worse than a constant, is not called good."""

import math

import pytest

from trainingjob_trainer.models.gru.evaluation import cautions, summary

GOOD = {"skill": 0.31, "r2": 0.8, "rmse": 0.1, "rmse_mean": 0.2, "test_size": 100}


@pytest.mark.parametrize(
    ("changes", "line", "told"),
    [
        ({}, "skill 0.31", []),
        ({"r2": 0.0, "rmse": 0.2}, "skill 0.31", []),
        ({"test_size": 99}, "skill 0.31, 99 windows", ["99 windows, where at least 100"]),
        ({"r2": -0.01}, "skill 0.31, R2 -0.01", ["R2 is -0.01"]),
        ({"r2": -0.35, "rmse": 0.3}, "skill 0.31, R2 -0.35", ["worse than a constant"]),
        (
            {"skill": 0.27, "r2": -0.35, "rmse": 0.3, "test_size": 16},
            "skill 0.27, R2 -0.35, 16 windows",
            ["16 windows", "its RMSE is 0.3, that of the training mean 0.2"],
        ),
        ({"skill": math.nan, "r2": math.nan}, "skill unknown", []),
    ],
)
def test_the_summary_and_notes_contain_the_doubts_about_a_model(
    changes: dict[str, float], line: str, told: list[str]
) -> None:
    metrics = GOOD | changes
    assert summary(metrics) == line
    sentences = cautions(metrics)
    assert len(sentences) == len(told)
    for sentence, words in zip(sentences, told, strict=True):
        assert words in sentence
