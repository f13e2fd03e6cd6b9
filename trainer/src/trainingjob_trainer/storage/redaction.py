"""Keys and passwords taken out of whatever is about to be written: the last line of defence, at the outermost edge."""

import logging
import os
import re
from collections.abc import Mapping

from trainingjob_trainer.storage.server_settings import SECRETS

_HIDDEN = "[redacted]"
_SHORTEST = 8
"""A shorter run of characters is a word as likely as a secret."""

_SIGNED = re.compile(
    r"((?:Credential|Signature|X-Amz-Credential|X-Amz-Signature|X-Amz-Security-Token)=)[^\s,&'\"<>]+", re.IGNORECASE
)
_PUBLIC = ("PGHOST", "PGDATABASE", "PGUSER")


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Replace the secrets of the environment, and the signature of any S3 request, by ``[redacted]``.

    A secret is also found where what is no printable ASCII in it was escaped. One that equals the host, the database
    or the user is none, and stays.
    """
    public = {environment.get(name, "") for name in _PUBLIC}
    pieces = {
        piece
        for name in SECRETS
        for piece in re.split(r"[^!-~]+", environment.get(name, ""))
        if len(piece) >= _SHORTEST and piece not in public
    }
    # The longest first, as one may be a part of another.
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, _HIDDEN)
    return _SIGNED.sub(rf"\1{_HIDDEN}", text)


class RedactingFormatter(logging.Formatter):
    """Formats log records, tracebacks included, without the secrets of this process's environment."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text."""
        return redact(super().format(record), os.environ)
