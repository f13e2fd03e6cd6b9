"""Removes keys and passwords from log lines and messages just before they are written."""

import logging
import os
import re
from collections.abc import Mapping

from trainingjob_trainer.storage.server_settings import SECRETS

_HIDDEN = "[redacted]"
_SHORTEST = 8
"""Shorter pieces of a secret may be ordinary words, so they are not replaced."""

_SIGNED = re.compile(
    r"((?:Credential|Signature|X-Amz-Credential|X-Amz-Signature|X-Amz-Security-Token)=)[^\s,&'\"<>]+", re.IGNORECASE
)
_PUBLIC = ("PGHOST", "PGDATABASE", "PGUSER")


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Replace the secrets of the environment, and signatures of S3 requests, by ``[redacted]``.

    Each run of printable ASCII characters of a secret is replaced separately, so a secret is also found where its
    other characters were escaped. A piece that equals the host, the database or the user is not replaced.
    """
    public = {environment.get(name, "") for name in _PUBLIC}
    pieces = {
        piece
        for name in SECRETS
        for piece in re.split(r"[^!-~]+", environment.get(name, ""))
        if len(piece) >= _SHORTEST and piece not in public
    }
    # The longest first, because one may be part of another.
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, _HIDDEN)
    return _SIGNED.sub(rf"\1{_HIDDEN}", text)


class RedactingFormatter(logging.Formatter):
    """Formats log records and tracebacks without the secrets of this process's environment."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record and redact it."""
        return redact(super().format(record), os.environ)
