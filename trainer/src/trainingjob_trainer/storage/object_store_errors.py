"""Classifies errors of the object store as transient or permanent, and explains them. No I/O."""

from ssl import SSLCertVerificationError
from ssl import SSLError as TLSError
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, S3Error, ServerError
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, SSLError

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError

TOO_MANY_REQUESTS = 429
_TRANSIENT_CODES = {
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "RequestTimeout",
    "InternalError",
    "ServiceUnavailable",
    "TooManyRequests",
    "TooManyRequestsException",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "OperationAborted",
    "ConditionalRequestConflict",
}
_UNREADABLE = (UnicodeDecodeError, ParseError)
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
_CERTIFICATE_LIBRARIES = {"X509", "PEM", "ASN1"}
_REFUSED_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken", "ExpiredToken"}

STORE_ERRORS = (S3Error, ServerError, InvalidResponseError, HTTPError, *_UNREADABLE)
"""Every exception that a request to the store may raise."""


class UnverifiedError(Exception):
    """An object is missing, or its content is not the one that was stored; the text says which object and what."""


def explain(error: Exception, endpoint: str, bucket: str, action: str, tries: str) -> TrainingError:
    """Convert an error of the object store into one that says what to do.

    Args:
        error: One of ``STORE_ERRORS``.
        endpoint: URL of the store.
        bucket: Name of the bucket.
        action: What the request was for, such as ``read KEY``.
        tries: How often and how long it was tried, in words.
    """
    store = f"The object store {endpoint}, bucket {bucket!r}"
    code = error.code if isinstance(error, S3Error) else None
    if code == "NoSuchBucket":
        return missing_bucket(endpoint, bucket)
    if code in _REFUSED_CODES:
        return _permanent(
            f"{store}: cannot {action}, the credentials are refused ({code}). Check accessKey and secretKey of the "
            "store Secret (S3_ACCESS_KEY, S3_SECRET_KEY) and the rights of that key in the bucket."
        )
    if isinstance(error, LocationValueError):
        return TrainingError(Reason.INVALID_CONFIGURATION, f"S3_ENDPOINT {endpoint!r} is not an address.")
    if _is_tls_fault(error):
        return _permanent(
            f"{store}: cannot {action}, TLS fails ({error}). Check ca.crt of the store Secret, or set secure to "
            '"false" in that Secret if the store uses plain HTTP.'
        )
    if not is_transient(error):
        return _permanent(f"{store}: cannot {action}, the response is {error_text(error)}.")
    return TrainingError(
        Reason.ARTIFACT_STORE_FAILED,
        f"{store}: cannot {action}, {tries}: {error_text(error)}. Check that the store is up and reachable.",
        transient=True,
    )


def missing_bucket(endpoint: str, bucket: str) -> TrainingError:
    """The error for a bucket that does not exist."""
    return _permanent(
        f"The object store {endpoint} has no bucket {bucket!r}. Create it, for example with "
        f"`trainingjob-trainer init-db --bucket {bucket}`, or correct spec.artifacts.bucket."
    )


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later without any change."""
    if isinstance(error, S3Error):
        return error.code in _TRANSIENT_CODES or _is_transient_status(error.response.status)
    if isinstance(error, ServerError):
        return _is_transient_status(error.status_code)
    if isinstance(error, (InvalidResponseError, *_UNREADABLE)):
        return True
    return isinstance(error, HTTPError) and not isinstance(error, LocationValueError) and not _is_tls_fault(error)


def error_text(error: BaseException | None) -> str:
    """The error as text for messages."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        return str(error.reason)
    if isinstance(error, S3Error):
        return f"{error.code}: {error.message}"
    if isinstance(error, _UNREADABLE):
        return f"not a valid S3 response ({type(error).__name__})"
    return str(error)


def _permanent(message: str) -> TrainingError:
    return TrainingError(Reason.ARTIFACT_STORE_FAILED, message)


def _is_transient_status(status: int) -> bool:
    return status >= 500 or status == TOO_MANY_REQUESTS


def _is_tls_fault(error: BaseException) -> bool:
    """Whether a certificate, the client's or the server's, is invalid, or the server does not use TLS.

    Other errors of a TLS connection, such as its end during the handshake, are network errors.
    """
    reason = error.reason if isinstance(error, MaxRetryError) else error
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(cause, SSLCertVerificationError) or (
        isinstance(cause, TLSError) and (cause.reason in _NOT_TLS or cause.library in _CERTIFICATE_LIBRARIES)
    )
