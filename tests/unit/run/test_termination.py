"""The termination message always fits, is always JSON, and keeps what matters longest."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trainingjob_trainer.run.termination import LIMIT_BYTES, termination_message

_IDENTITY = {"uid": "1f0c9a3e-5d1c-4b8e-9d53-0d2a5e3c1b11", "run": 3, "attempt": 1, "exitCode": 0}
_FILE = {"uri": "s3://models/" + "x" * 120, "sha256": "0" * 64, "sizeBytes": 1}
_LONG: dict[str, Any] = _IDENTITY | {
    "outcome": "Succeeded",
    "reason": "Completed",
    "message": "m" * 900,
    "summary": "skill 0.31",
    "metrics": {"skill": 0.31, "rmse": 0.019} | {f"minor_{number}": float(number) for number in range(150)},
    "artifacts": [{"name": name} | _FILE for name in ("report", "model", "scaler", "manifest")],
    "data": {"rowsRead": 10, "fingerprint": "f" * 64},
    "warnings": ["w" * 200] * 10,
}


def test_a_short_message_keeps_everything() -> None:
    facts = _IDENTITY | {"outcome": "Succeeded", "reason": "Completed", "message": "ok", "metrics": {"skill": 0.3}}
    assert json.loads(termination_message(facts)) == facts


def test_unknown_empty_and_non_finite_values_are_absent() -> None:
    facts = _IDENTITY | {
        "message": "ok",
        "metrics": {"skill": math.nan, "r2": math.inf, "mae": None, "epochs_trained": 3, "features_used": ["Oil_P"]},
        "registration": {"modelID": None},
        "warnings": (),
    }
    assert json.loads(termination_message(facts)) == _IDENTITY | {"message": "ok", "metrics": {"epochs_trained": 3}}


def test_warnings_go_first_and_one_by_one() -> None:
    kept = json.loads(termination_message(_LONG | {"metrics": {"skill": 0.31}, "artifacts": []}))
    assert 0 < len(kept["warnings"]) <= 10
    assert kept["message"] == _LONG["message"]


def test_metrics_that_people_ask_for_and_the_model_outlast_the_rest() -> None:
    kept = json.loads(termination_message(_LONG))
    assert "warnings" not in kept
    assert kept["metrics"] == {"skill": 0.31, "rmse": 0.019}
    assert {"model", "scaler"} <= {file["name"] for file in kept["artifacts"]}
    assert kept["data"] == _LONG["data"]


_texts = st.text(max_size=2000)
_numbers = st.floats() | st.integers(-(2**53), 2**53) | st.none()


@given(
    message=_texts,
    summary=_texts,
    metrics=st.dictionaries(st.text(max_size=40), _numbers, max_size=200),
    warnings=st.lists(_texts, max_size=20),
    files=st.lists(st.text(max_size=60), max_size=30),
)
def test_any_message_is_json_of_at_most_4096_bytes_and_says_who_ended_how(
    message: str, summary: str, metrics: dict[str, Any], warnings: list[str], files: list[str]
) -> None:
    ending = _IDENTITY | {"outcome": "Failed", "reason": "TrainerError"}
    artifacts = [{"name": name} | _FILE for name in files]
    content = termination_message(
        ending
        | {"message": message, "summary": summary, "metrics": metrics, "warnings": warnings, "artifacts": artifacts}
    )
    assert len(content) <= LIMIT_BYTES
    assert ending.items() <= json.loads(content).items()
