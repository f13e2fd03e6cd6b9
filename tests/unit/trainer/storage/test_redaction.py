"""Messages of the outermost error handler contain no key, password or signature."""

import logging
import sys

import pytest

from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.run.process import RuntimeConfig, launch
from trainingjob_trainer.run.progress import Progress
from trainingjob_trainer.storage.redaction import RedactingFormatter, redact

ENVIRONMENT = {
    "PGHOST": "postgres",
    "PGUSER": "trainer-of-models",
    "PGPASSWORD": "trainer-of-models",
    "S3_ACCESS_KEY": "AKIAIOSFODNN7EXAMPLE",
    "S3_SECRET_KEY": "wJalrXUtnFEMI\nK7MDENGbPxRfi",
    "MINIO_SECRET_KEY": "short",
}


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("the key AKIAIOSFODNN7EXAMPLE is refused", "the key [redacted] is refused"),
        ("b'wJalrXUtnFEMI\\nK7MDENGbPxRfi'", "b'[redacted]\\n[redacted]'"),
        (
            "AWS4-HMAC-SHA256 Credential=OTHER/2025, SignedHeaders=host, Signature=0123abcd",
            "AWS4-HMAC-SHA256 Credential=[redacted], SignedHeaders=host, Signature=[redacted]",
        ),
        ("user trainer-of-models", "user trainer-of-models"),
        ("a short time", "a short time"),
    ],
)
def test_secrets_and_signatures_are_redacted_and_names_are_kept(text: str, redacted: str) -> None:
    assert redact(text, ENVIRONMENT) == redacted


def test_a_traceback_in_the_log_contains_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
    try:
        raise ValueError("Invalid header value b'Credential=AKIAIOSFODNN7EXAMPLE'")
    except ValueError:
        record = logging.LogRecord("trainer", logging.ERROR, "", 1, "it failed", None, sys.exc_info())
    text = RedactingFormatter("%(message)s").format(record)
    assert "AKIAIOSFODNN7EXAMPLE" not in text
    assert "Traceback" in text


def test_an_unexpected_error_is_reported_without_its_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S3_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
    told = {"namespace": "pumps", "name": "health", "uid": "0123456789", "run": 1, "attempt": 1, "adopt": False}
    told |= {"specHash": "a" * 64, "window": {}, "acceleratorPolicy": "Disabled"}
    told |= {"spec": {"machine": "PUMP-1", "model": {"type": "gru"}}}

    def fail(progress: Progress) -> None:
        raise ValueError("Invalid header value b'AKIAIOSFODNN7EXAMPLE'")

    result = launch(TrainingRun.model_validate(told), RuntimeConfig(listeners=[fail]))
    assert result.reason == "TrainerError"
    assert "AKIAIOSFODNN7EXAMPLE" not in result.message
