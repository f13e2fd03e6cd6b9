"""The object store: one bucket of an S3 server, with retries where trouble passes and plain words where it stays."""

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLCertVerificationError
from ssl import SSLError as TLSError
from typing import TypeVar
from xml.etree.ElementTree import ParseError

import tenacity
import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, SSLError

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.server_settings import store_settings

logger = logging.getLogger(__name__)
_PATIENCE_SECONDS = 120.0
_CONNECT_TIMEOUT_SECONDS = 10.0
_READ_TIMEOUT_SECONDS = 60.0
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
_TOO_MANY_REQUESTS = 429
_CONFLICT = 409
# An answer to HEAD has no body that could say more, and minio cannot read a conflict there.
_NO_RETRIES = urllib3.Retry(total=0, status_forcelist=[_CONFLICT, _TOO_MANY_REQUESTS], allowed_methods=["HEAD"])
_UNREADABLE = (UnicodeDecodeError, ParseError)
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
_CERTIFICATE_LIBRARIES = {"X509", "PEM", "ASN1"}
_NO_RULES_CODES = {"NotImplemented", "MethodNotAllowed", "AccessDenied"}
_REFUSED_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken", "ExpiredToken"}

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class StoredObject:
    """One object as the store lists it: its key in the bucket and its size in bytes."""

    key: str
    size: int


class ObjectStore:
    """One bucket of an S3 server.

    Every method raises ``TrainingError`` with reason ArtifactStoreFailed when the store refuses or does not answer;
    ``transient`` then says whether trying later may help.

    Attributes:
        bucket: Name of the bucket.
    """

    def __init__(self, client: Minio, endpoint: str, bucket: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Talk to a bucket that need not exist yet; nothing is sent.

        Args:
            client: A client that does no retries of its own.
            endpoint: The server, as errors shall name it.
            bucket: Name of the bucket.
            patience_seconds: How long one call is retried before it fails.
        """
        self.bucket = bucket
        self._client = client
        self._endpoint = endpoint
        self._patience_seconds = patience_seconds

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], bucket: str, patience_seconds: float = _PATIENCE_SECONDS
    ) -> "ObjectStore":
        """Read the connection from the environment, as ``store_settings`` does.

        Raises:
            TrainingError: InvalidConfiguration, naming the variable that is missing or wrong.
        """
        settings = store_settings(environment)
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_SECONDS, read=_READ_TIMEOUT_SECONDS),
            retries=_NO_RETRIES,
            cert_reqs="CERT_REQUIRED",
            # In a pod the variable is always set and the file is there only where the Secret has a ca.crt.
            ca_certs=settings.ca_file if Path(settings.ca_file).is_file() else None,
        )
        try:
            client = Minio(
                settings.host,
                access_key=settings.access_key,
                secret_key=settings.secret_key,
                region=settings.region,
                secure=settings.secure,
                http_client=pool,
            )
        except ValueError as error:
            message = f"S3_ENDPOINT {settings.host!r} is not an address: {error}."
            raise TrainingError(Reason.INVALID_CONFIGURATION, message) from error
        scheme = "https" if settings.secure else "http"
        return cls(client, f"{scheme}://{settings.host}", bucket, patience_seconds)

    def check(self) -> None:
        """Make sure that the store answers, takes our keys and has the bucket."""
        if not self._call("look for the bucket", lambda: self._client.bucket_exists(self.bucket)):
            raise self._no_bucket()

    def create_bucket(self) -> bool:
        """Create the bucket unless it is there; returns whether it was created."""
        if self._call("look for the bucket", lambda: self._client.bucket_exists(self.bucket)):
            return False
        self._call("create the bucket", lambda: self._client.make_bucket(self.bucket))
        return True

    def expire(self, prefix: str, days: int) -> bool:
        """Let the store itself remove objects under a prefix some days after they were written.

        Rules that the bucket has already stay; one for this prefix is left as it is.

        Returns:
            False when the store takes no such rule, or not from us.
        """
        identity = f"expire-{prefix.strip('/')}"
        rule = Rule(ENABLED, Filter(prefix=prefix), rule_id=identity, expiration=Expiration(days=days))

        def add() -> bool:
            try:
                present = self._client.get_bucket_lifecycle(self.bucket)
                rules = list(present.rules) if present else []
                if all(known.rule_id != identity for known in rules):
                    self._client.set_bucket_lifecycle(self.bucket, LifecycleConfig([*rules, rule]))
            except S3Error as error:
                if error.code in _NO_RULES_CODES:
                    return False
                raise
            return True

        return self._call(f"let {prefix} expire", add)

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Store an object, whole or not at all, over what is there."""
        self._call(
            f"store {key}",
            lambda: self._client.put_object(
                self.bucket, key, io.BytesIO(content), len(content), content_type=content_type
            ),
        )

    def get(self, key: str) -> bytes | None:
        """Read an object; None when there is none."""
        return self._call(f"read {key}", lambda: _absent_as_none(lambda: self._read(key)))

    def size(self, key: str) -> int | None:
        """Size of an object in bytes; None when there is none."""
        return self._call(
            f"look for {key}",
            lambda: _absent_as_none(lambda: self._client.stat_object(self.bucket, key).size),
        )

    def list(self, prefix: str) -> list[StoredObject]:
        """Every object whose key starts with ``prefix``, by key."""
        return self._call(
            f"list {prefix}",
            lambda: [
                StoredObject(entry.object_name or "", entry.size or 0)
                for entry in self._client.list_objects(self.bucket, prefix=prefix, recursive=True)
            ],
        )

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""
        self._call(f"remove {key}", lambda: self._client.remove_object(self.bucket, key))

    def uri(self, key: str) -> str:
        """The address of an object as people write it: ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}"

    def _read(self, key: str) -> bytes:
        response = self._client.get_object(self.bucket, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def _call(self, what: str, function: Callable[[], Answer]) -> Answer:
        """Do it, again and again while the trouble may pass, and say what was tried when it did not work."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=tenacity.stop_after_delay(self._patience_seconds),
            before_sleep=lambda state: logger.warning(
                "object store %s: could not %s (try %d), the next in %.1f s: %s",
                self._endpoint,
                what,
                state.attempt_number,
                state.next_action.sleep if state.next_action else 0.0,
                _message(state.outcome.exception() if state.outcome else None),
            ),
            reraise=True,
        )
        try:
            return retrying(function)
        except (S3Error, ServerError, InvalidResponseError, HTTPError, *_UNREADABLE) as error:
            tries, seconds = retrying.statistics["attempt_number"], retrying.statistics["delay_since_first_attempt"]
            raise self._told(what, error, f"given up at try {tries} after {seconds:.0f} s") from error

    def _told(self, what: str, error: Exception, tried: str) -> TrainingError:
        where = f"The object store {self._endpoint}, bucket {self.bucket!r}"
        code = error.code if isinstance(error, S3Error) else None
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in _REFUSED_CODES:
            return _failed(
                f"{where}: could not {what}, the credentials are refused ({code}). Check accessKey and secretKey of "
                "the store's Secret (S3_ACCESS_KEY, S3_SECRET_KEY) and what that key may do in the bucket."
            )
        if isinstance(error, LocationValueError):
            return TrainingError(Reason.INVALID_CONFIGURATION, f"S3_ENDPOINT {self._endpoint!r} is not an address.")
        if _tls_fault(error):
            return _failed(
                f"{where}: could not {what}, TLS fails ({error}). Check ca.crt of the store's Secret, or set secure "
                'to "false" there when the store speaks plain HTTP.'
            )
        if not _is_transient(error):
            return _failed(f"{where}: could not {what}, it answers {_message(error)}.")
        return TrainingError(
            Reason.ARTIFACT_STORE_FAILED,
            f"{where}: could not {what}, {tried}: {_message(error)}. Check that the store is up and reachable.",
            transient=True,
        )

    def _no_bucket(self) -> TrainingError:
        return _failed(
            f"The object store {self._endpoint} has no bucket {self.bucket!r}. Create it, for example with "
            f"`trainingjob-trainer init-db --bucket {self.bucket}`, or correct spec.artifacts.bucket."
        )


def sha256(content: bytes) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(content).hexdigest()


def _failed(message: str) -> TrainingError:
    return TrainingError(Reason.ARTIFACT_STORE_FAILED, message)


def _absent_as_none(function: Callable[[], Answer]) -> Answer | None:
    try:
        return function()
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchObject"):
            return None
        raise


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, S3Error):
        return error.code in _TRANSIENT_CODES or _may_pass(error.response.status)
    if isinstance(error, ServerError):
        return _may_pass(error.status_code)
    if isinstance(error, (InvalidResponseError, *_UNREADABLE)):
        return True
    return isinstance(error, HTTPError) and not isinstance(error, LocationValueError) and not _tls_fault(error)


def _may_pass(status: int) -> bool:
    return status >= 500 or status == _TOO_MANY_REQUESTS


def _tls_fault(error: BaseException) -> bool:
    """Whether a certificate, ours or the server's, is wrong, or the server does not speak TLS at all.

    Anything else that ends a TLS connection, such as its end in mid-handshake, is trouble of the network.
    """
    reason = error.reason if isinstance(error, MaxRetryError) else error
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return isinstance(cause, SSLCertVerificationError) or (
        isinstance(cause, TLSError) and (cause.reason in _NOT_TLS or cause.library in _CERTIFICATE_LIBRARIES)
    )


def _message(error: BaseException | None) -> str:
    if isinstance(error, MaxRetryError) and error.reason is not None:
        return str(error.reason)
    if isinstance(error, S3Error):
        return f"{error.code}: {error.message}"
    if isinstance(error, _UNREADABLE):
        return f"an answer that is not S3's ({type(error).__name__})"
    return str(error)
