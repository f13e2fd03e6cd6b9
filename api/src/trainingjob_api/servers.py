"""The environment variables with the trainer's connection settings, and the Secret keys that they are read from."""

from collections.abc import Mapping
from typing import NamedTuple


class SecretKey(NamedTuple):
    """A key of a Secret; an optional one may be missing."""

    key: str
    optional: bool = False


DATABASE_VARIABLES: Mapping[str, SecretKey] = {
    "PGHOST": SecretKey("host"),
    "PGPORT": SecretKey("port"),
    "PGDATABASE": SecretKey("dbname"),
    "PGUSER": SecretKey("user"),
    "PGPASSWORD": SecretKey("password"),
    "PGSSLMODE": SecretKey("sslmode", optional=True),
}
"""Variables of libpq. Each key of the Secret is also the name of libpq's parameter."""

STORE_VARIABLES: Mapping[str, SecretKey] = {
    "S3_ENDPOINT": SecretKey("endpoint"),
    "S3_ACCESS_KEY": SecretKey("accessKey"),
    "S3_SECRET_KEY": SecretKey("secretKey"),
    "S3_REGION": SecretKey("region", optional=True),
    "S3_SECURE": SecretKey("secure", optional=True),
}
