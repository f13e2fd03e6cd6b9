"""A log line in a pod is one JSON object with known keys, whichever library wrote the record."""

import json
import logging
import sys
from typing import Any

import pytest

from trainingjob_api.log_format import FIELDS, JsonLineFormatter, identity_of


def record(message: object = "it works", *arguments: object, **attributes: Any) -> logging.LogRecord:
    made = logging.LogRecord("library", logging.WARNING, __file__, 1, message, arguments, None)
    vars(made).update(attributes)
    return made


def line(made: logging.LogRecord, formatter: logging.Formatter | None = None) -> dict[str, Any]:
    text = (formatter or JsonLineFormatter()).format(made)
    assert "\n" not in text
    fields: dict[str, Any] = json.loads(text)
    assert list(fields) == [name for name in FIELDS if name in fields]
    return fields


def test_a_line_has_time_in_utc_level_logger_and_message() -> None:
    fields = line(record("%d of %d", 1, 2, created=0.5))
    assert fields == {
        "time": "1970-01-01T00:00:00.500000+00:00",
        "level": "WARNING",
        "logger": "library",
        "message": "1 of 2",
    }


@pytest.mark.parametrize("message", ["two\nlines", 'a "quote" \\ here', "S\u00e3o \udcff", "\x1b[31m", ""])
def test_any_message_is_one_line_and_comes_back_unchanged(message: str) -> None:
    assert line(record(message))["message"] == message


def test_the_identity_of_a_record_precedes_that_of_the_process() -> None:
    formatter = JsonLineFormatter(identity_of("TrainingJob", "pumps", "itu-415", 1, 2))
    own = line(record(**identity_of("TrainingJob", "other", "b", 3, 4)), formatter)
    assert (own["namespace"], own["trainingjob"], own["run"], own["attempt"]) == ("other", "b", 3, 4)
    default = line(record(), formatter)
    assert (default["namespace"], default["trainingjob"], default["run"], default["attempt"]) == (
        *("pumps", "itu-415", 1, 2),
    )


def test_the_object_of_kopf_becomes_namespace_and_trainingjob() -> None:
    reference = {"kind": "TrainingJob", "namespace": "pumps", "name": "itu-415", "uid": "1"}
    fields = line(record(k8s_ref=reference, k8s_skip=False, settings=object()))
    assert (fields["namespace"], fields["trainingjob"]) == ("pumps", "itu-415")
    assert "trainingjob" not in line(record(k8s_ref=reference | {"kind": "Pod"}))


def test_an_exception_is_part_of_the_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        fields = line(record(exc_info=sys.exc_info()))
    assert "ValueError: first\nsecond" in fields["exception"]


def test_texts_are_redacted_before_characters_are_escaped() -> None:
    secret = 'pass"word\\é'
    formatter = JsonLineFormatter(redact=lambda text: text.replace(secret, "[redacted]"))
    try:
        raise ValueError(secret)
    except ValueError:
        fields = line(record(f"the password is {secret}", exc_info=sys.exc_info()), formatter)
    assert fields["message"] == "the password is [redacted]"
    assert "ValueError: [redacted]" in fields["exception"]
