"""The object store: one bucket of an S3 server, with retries of transient errors."""

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tenacity
import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.object_store_errors import (
    STORE_ERRORS,
    TOO_MANY_REQUESTS,
    UnverifiedError,
    error_text,
    explain,
    is_transient,
    missing_bucket,
)
from trainingjob_trainer.storage.server_settings import store_settings

logger = logging.getLogger(__name__)
_PATIENCE_SECONDS = 120.0
_CONNECT_TIMEOUT_SECONDS = 10.0
_READ_TIMEOUT_SECONDS = 60.0
_CONNECTIONS = 16
"""Kept open. A worker of a fleet reads, publishes and trains from several threads."""
_CONFLICT = 409
# A response to HEAD has no body, so minio cannot tell a conflict or a rate limit from other errors.
_NO_RETRIES = urllib3.Retry(total=0, status_forcelist=[_CONFLICT, TOO_MANY_REQUESTS], allowed_methods=["HEAD"])
_LIFECYCLE_UNSUPPORTED_CODES = {"NotImplemented", "MethodNotAllowed", "AccessDenied"}

Response = TypeVar("Response")


@dataclass(frozen=True)
class StoredObject:
    """One object in a listing: its key in the bucket and its size in bytes."""

    key: str
    size: int


class ObjectStore:
    """One bucket of an S3 server.

    Every method raises ``TrainingError`` with reason ArtifactStoreFailed when the store refuses a request or does not
    respond. The error is ``transient`` when a later retry may succeed.

    Attributes:
        bucket: Name of the bucket.
    """

    def __init__(self, client: Minio, endpoint: str, bucket: str, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Create a client of a bucket that need not exist yet. No request is sent.

        Args:
            client: A client that does not retry by itself.
            endpoint: URL of the server, for error messages.
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
            TrainingError: InvalidConfiguration; the message has the variable that is missing or invalid.
        """
        settings = store_settings(environment)
        pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT_SECONDS, read=_READ_TIMEOUT_SECONDS),
            retries=_NO_RETRIES,
            maxsize=_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            # In a pod the variable is always set, but the file exists only if the Secret has the key ca.crt.
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
        """Check that the store responds, accepts the credentials and has the bucket."""
        if not self._call("find the bucket", lambda: self._client.bucket_exists(self.bucket)):
            raise missing_bucket(self._endpoint, self.bucket)

    def create_bucket(self) -> bool:
        """Create the bucket unless it exists; return whether it was created."""
        if self._call("find the bucket", lambda: self._client.bucket_exists(self.bucket)):
            return False
        self._call("create the bucket", lambda: self._client.make_bucket(self.bucket))
        return True

    def expire(self, prefix: str, days: int) -> bool:
        """Add a lifecycle rule, by which the store removes objects under a prefix some days after they were written.

        Existing rules of the bucket are kept; an existing rule for this prefix is not changed.

        Returns:
            False when the store does not support such rules, or does not allow this user to set them.
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
                if error.code in _LIFECYCLE_UNSUPPORTED_CODES:
                    return False
                raise
            return True

        return self._call(f"set the expiry of {prefix}", add)

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Store an object atomically; an existing object is replaced."""
        self._call(
            f"store {key}",
            lambda: self._client.put_object(
                self.bucket, key, io.BytesIO(content), len(content), content_type=content_type
            ),
        )

    def get(self, key: str) -> bytes | None:
        """Read an object; None when it does not exist."""
        return self._call(f"read {key}", lambda: _absent_as_none(lambda: self._read(key)))

    def get_verified(self, key: str, wanted: str) -> bytes:
        """Read an object whose SHA-256 is known.

        Raises:
            UnverifiedError: It is missing or was changed.
        """
        content = self.get(key)
        if content is None:
            raise UnverifiedError(f"{self.uri(key)} is missing")
        if sha256(content) != wanted:
            raise UnverifiedError(f"{self.uri(key)} was changed: its SHA-256 differs from the one that was recorded")
        return content

    def size(self, key: str) -> int | None:
        """Size of an object in bytes; None when it does not exist."""
        return self._call(
            f"find {key}",
            lambda: _absent_as_none(lambda: self._client.stat_object(self.bucket, key).size),
        )

    def list(self, prefix: str) -> list[StoredObject]:
        """Every object whose key starts with ``prefix``, sorted by key."""
        return self._call(
            f"list {prefix}",
            lambda: [
                StoredObject(entry.object_name or "", entry.size or 0)
                for entry in self._client.list_objects(self.bucket, prefix=prefix, recursive=True)
            ],
        )

    def delete(self, key: str) -> None:
        """Remove an object, if it exists."""
        self._call(f"remove {key}", lambda: self._client.remove_object(self.bucket, key))

    def uri(self, key: str) -> str:
        """The URI of an object: ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}"

    def _read(self, key: str) -> bytes:
        response = self._client.get_object(self.bucket, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def _call(self, action: str, function: Callable[[], Response]) -> Response:
        """Call the function; retry it after transient errors."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=tenacity.stop_after_delay(self._patience_seconds),
            before_sleep=lambda state: logger.warning(
                "object store %s: cannot %s (try %d), next try in %.1f s: %s",
                self._endpoint,
                action,
                state.attempt_number,
                state.next_action.sleep if state.next_action else 0.0,
                error_text(state.outcome.exception() if state.outcome else None),
            ),
            reraise=True,
        )
        try:
            return retrying(function)
        except STORE_ERRORS as error:
            tries, seconds = retrying.statistics["attempt_number"], retrying.statistics["delay_since_first_attempt"]
            tried = f"gave up after {tries} tries in {seconds:.0f} s"
            raise explain(error, self._endpoint, self.bucket, action, tried) from error


def sha256(content: bytes) -> str:
    """The SHA-256 of a file, in hex."""
    return hashlib.sha256(content).hexdigest()


def _absent_as_none(function: Callable[[], Response]) -> Response | None:
    try:
        return function()
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchObject"):
            return None
        raise
