"""Reads and validates the connection settings of the servers. Error messages never contain the value of a setting."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from trainingjob_api.reasons import Reason
from trainingjob_api.servers import DATABASE_VARIABLES, STORE_VARIABLES
from trainingjob_trainer.errors import TrainingError

_ASCII = ("endpoint", "accessKey", "region")
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")

SECRETS = ("PGPASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
"""Variables whose values must not appear in any message or log line."""


@dataclass(frozen=True)
class StoreSettings:
    """Connection settings of the object store.

    Attributes:
        host: host[:port].
        secure: Whether to use TLS.
        access_key: The access key ID.
        secret_key: The secret access key.
        region: The region; None asks the store for it.
        ca_file: A file of CA certificates to trust; empty uses those of the system.
    """

    host: str
    secure: bool
    access_key: str
    secret_key: str
    region: str | None
    ca_file: str


def postgres_parameters(environment: Mapping[str, str]) -> dict[str, str]:
    """The libpq parameters that the environment sets; libpq has defaults for the others.

    Whitespace around a value is removed. From a password only trailing line breaks are removed, because ``echo`` adds
    one when somebody writes the password to a file for a Secret.

    Raises:
        TrainingError: InvalidConfiguration; the message has the variable whose value has an invalid character.
    """
    values = {
        key: _cleaned(environment.get(variable, ""), variable, key, "database")
        for variable, (key, _) in DATABASE_VARIABLES.items()
    }
    return {key: value for key, value in values.items() if value}


def describe_server(parameters: Mapping[str, str]) -> str:
    """The PostgreSQL server, database and user of the parameters, as text for messages."""
    host = f"at host {parameters['host']}" if "host" in parameters else "on this machine (PGHOST is not set)"
    port = parameters.get("port", "5432 (PGPORT is not set)")
    database = parameters.get("dbname", "named like the user (PGDATABASE is not set)")
    user = parameters.get("user", "of this process (PGUSER is not set)")
    return f"PostgreSQL {host}, port {port}, database {database}, user {user}"


def store_settings(environment: Mapping[str, str]) -> StoreSettings:
    """Read ``S3_*``, or ``MINIO_*`` where that is not set; whitespace around a value is removed.

    ``ENDPOINT`` is ``host[:port]`` or a URL; ``ACCESS_KEY`` and ``SECRET_KEY`` are required; ``REGION``, ``SECURE``
    (by default the scheme of the URL decides, else true) and ``CA_FILE`` are optional.

    Raises:
        TrainingError: InvalidConfiguration; the message has the variable that is missing or invalid.
    """

    def read(variable: str) -> str:
        return environment.get(variable) or environment.get(variable.replace("S3_", "MINIO_", 1)) or ""

    values = {
        variable: _cleaned(read(variable), variable, key, "store") for variable, (key, _) in STORE_VARIABLES.items()
    }
    missing = [variable for variable, (_, optional) in STORE_VARIABLES.items() if not optional and not values[variable]]
    if missing:
        raise _invalid(
            f"The object store is not configured: {', '.join(missing)} must be set (in a cluster by the keys endpoint, "
            "accessKey and secretKey of the store Secret)."
        )
    host, secure = _parse_endpoint(values["S3_ENDPOINT"], values["S3_SECURE"])
    if not all(character.isalnum() or character in "-_." for character in values["S3_REGION"]):
        raise _invalid("S3_REGION (key region of the store Secret) must be a name such as eu-central-1.")
    return StoreSettings(
        host, secure, values["S3_ACCESS_KEY"], values["S3_SECRET_KEY"], values["S3_REGION"] or None, read("S3_CA_FILE")
    )


def _cleaned(value: str, variable: str, key: str, secret: str) -> str:
    cleaned = value.rstrip("\r\n") if key == "password" else value.strip()
    fault = None
    if any(unicodedata.category(character) in _UNPRINTABLE for character in cleaned):
        fault = "contains a line break or another character that cannot be printed"
    elif key in _ASCII and not cleaned.isascii():
        fault = "contains a character that is not ASCII"
    elif key in _ASCII and " " in cleaned:
        fault = "contains a space"
    if fault:
        raise _invalid(
            f"{variable} (key {key} of the {secret} Secret) {fault}. Create the Secret again, for example with "
            "`kubectl create secret generic --from-literal`. This message does not show the value."
        )
    return cleaned


def _parse_endpoint(endpoint: str, secure: str) -> tuple[str, bool]:
    """Split an endpoint into host[:port] and whether to use TLS; ``secure`` takes precedence over the scheme."""
    if secure.lower() not in ("", "true", "false"):
        raise _invalid("S3_SECURE (key secure of the store Secret) must be true or false.")
    invalid_endpoint = _invalid(
        "S3_ENDPOINT must be host:port or a URL such as https://minio.example.com:9000, without a path and without "
        "keys. In a cluster its value is the key endpoint of the store Secret."
    )
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port_is_valid = parts.port != 0
    except ValueError as error:
        raise invalid_endpoint from error
    extra_parts = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in ("", "http", "https") or not parts.hostname or extra_parts or not port_is_valid:
        raise invalid_endpoint
    return parts.netloc, secure.lower() == "true" if secure else parts.scheme != "http"


def _invalid(message: str) -> TrainingError:
    return TrainingError(Reason.INVALID_CONFIGURATION, message)
