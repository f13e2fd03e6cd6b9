"""The servers of a run as the environment names them: cleaned, checked, and never echoed when they are wrong."""

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
"""Variables whose values must not appear in any message."""


@dataclass(frozen=True)
class StoreSettings:
    """How the object store is reached.

    Attributes:
        host: host[:port].
        secure: Whether TLS is spoken.
        access_key: Name of the key.
        secret_key: The key itself.
        region: None lets the store say.
        ca_file: A file of certificates to trust; empty for those of the system.
    """

    host: str
    secure: bool
    access_key: str
    secret_key: str
    region: str | None
    ca_file: str


def postgres_parameters(environment: Mapping[str, str]) -> dict[str, str]:
    """The parameters for libpq that the environment sets; libpq has defaults for the others.

    White space around a value is removed. From a password only line breaks at its end are, which
    ``echo`` adds to a file that a Secret is made of.

    Raises:
        TrainingError: InvalidConfiguration, naming a variable with characters that no value can have.
    """
    values = {
        key: _cleaned(environment.get(variable, ""), variable, key, "database")
        for variable, (key, _) in DATABASE_VARIABLES.items()
    }
    return {key: value for key, value in values.items() if value}


def postgres_place(parameters: Mapping[str, str]) -> str:
    """The server, database and user of the parameters, as messages name them."""
    host = f"at host {parameters['host']}" if "host" in parameters else "on this machine (PGHOST is not set)"
    port = parameters.get("port", "5432 (PGPORT is not set)")
    database = parameters.get("dbname", "named like the user (PGDATABASE is not set)")
    user = parameters.get("user", "of this process (PGUSER is not set)")
    return f"PostgreSQL {host}, port {port}, database {database}, user {user}"


def store_settings(environment: Mapping[str, str]) -> StoreSettings:
    """Read ``S3_*``, or ``MINIO_*`` where that is not set; white space around a value is removed.

    ``ENDPOINT`` is ``host[:port]`` or a URL; ``ACCESS_KEY`` and ``SECRET_KEY`` are needed; ``REGION``, ``SECURE``
    (default true, or what the URL says) and ``CA_FILE`` are optional.

    Raises:
        TrainingError: InvalidConfiguration, naming the variable that is missing or wrong.
    """

    def given(variable: str) -> str:
        return environment.get(variable) or environment.get(variable.replace("S3_", "MINIO_", 1)) or ""

    values = {
        variable: _cleaned(given(variable), variable, key, "store") for variable, (key, _) in STORE_VARIABLES.items()
    }
    missing = [variable for variable, (_, optional) in STORE_VARIABLES.items() if not optional and not values[variable]]
    if missing:
        raise _invalid(
            f"The object store is not configured: {', '.join(missing)} must be set (in a cluster by endpoint, "
            "accessKey and secretKey of the store's Secret)."
        )
    host, secure = _parse_endpoint(values["S3_ENDPOINT"], values["S3_SECURE"])
    if not all(character.isalnum() or character in "-_." for character in values["S3_REGION"]):
        raise _invalid("S3_REGION (region of the store's Secret) must be a name such as eu-central-1.")
    return StoreSettings(
        host, secure, values["S3_ACCESS_KEY"], values["S3_SECRET_KEY"], values["S3_REGION"] or None, given("S3_CA_FILE")
    )


def _cleaned(value: str, variable: str, key: str, secret: str) -> str:
    cleaned = value.rstrip("\r\n") if key == "password" else value.strip()
    fault = None
    if any(unicodedata.category(character) in _UNPRINTABLE for character in cleaned):
        fault = "holds a line break or another character that cannot be printed"
    elif key in _ASCII and not cleaned.isascii():
        fault = "holds a character that is not ASCII"
    elif key in _ASCII and " " in cleaned:
        fault = "holds a space"
    if fault:
        raise _invalid(
            f"{variable} ({key} of the {secret}'s Secret) {fault}. Write the Secret again, for example with "
            "`kubectl create secret generic --from-literal`. The value is not shown here."
        )
    return cleaned


def _parse_endpoint(endpoint: str, secure: str) -> tuple[str, bool]:
    """Split an endpoint into host[:port] and whether TLS is spoken; an explicit setting wins over the scheme."""
    if secure.lower() not in ("", "true", "false"):
        raise _invalid("S3_SECURE (secure of the store's Secret) must be true or false.")
    wrong = _invalid(
        "S3_ENDPOINT must be host:port or a URL of it, such as https://minio.example.com:9000 (endpoint of the "
        "store's Secret), without a path and without keys."
    )
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port_is_right = parts.port != 0
    except ValueError as error:
        raise wrong from error
    beside = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in ("", "http", "https") or not parts.hostname or beside or not port_is_right:
        raise wrong
    return parts.netloc, secure.lower() == "true" if secure else parts.scheme != "http"


def _invalid(message: str) -> TrainingError:
    return TrainingError(Reason.INVALID_CONFIGURATION, message)
