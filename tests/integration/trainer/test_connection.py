"""Refused connections to PostgreSQL: temporary errors are retried, permanent ones are reported at once."""

import pytest
from psycopg2.extensions import connection

from cluster.postgres import Database, PostgresServer
from integration.trainer.proxy import proxy_to
from integration.trainer.refusing_server import refusing_server
from integration.trainer.statements import execute
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import with_connection

IMPORTANT = "ВАЖНО".encode("koi8-r")


def refusal() -> TrainingError:
    """The error of a connection that is retried for a short time."""
    with pytest.raises(TrainingError) as failure:
        with_connection(lambda _: None, reason=Reason.REGISTRY_FAILED, patience_seconds=0.2)
    return failure.value


MAY_PASS = {
    "starting": ("57P03", b"the database system is starting up", b"FATAL"),
    "starting, in German": ("57P03", b"das Datenbanksystem startet", b"FATAL"),
    "starting, in Russian and KOI8-R": ("57P03", "система баз данных запускается".encode("koi8-r"), IMPORTANT),
    "too many clients, in French and Latin-1": ("53300", "trop de clients connectés".encode("latin-1"), b"FATAL"),
    "closed for now": ("55000", b"database is not currently accepting connections", b"FATAL"),
    "another program's fault": ("XX000", b"Tenant not ready", b"FATAL"),
    "pooler: no connection in time": ("08P01", b"query_wait_timeout", b"FATAL"),
    "pooler: too many clients": ("08P01", b"no more connections allowed (max_client_conn)", b"FATAL"),
    "pooler: server away": ("08P01", b"server login has been failing, try again later (server_login_retry)", b"FATAL"),
    "pooler: an old error": (
        "08P01",
        b"server login has been failing, cached error: password authentication failed (server_login_retry)",
        b"FATAL",
    ),
    "pooler: unknown words": ("08P01", b"pgbouncer cannot connect to server", b"FATAL"),
}
FINAL = {
    "password, in German": ("28P01", b"Passwort-Authentifizierung fehlgeschlagen", b"FATAL"),
    "password, in Russian and KOI8-R": ("28P01", "проверка подлинности".encode("koi8-r"), IMPORTANT),
    "pg_hba, in French and Latin-1": ("28000", "aucune entrée dans pg_hba.conf".encode("latin-1"), b"FATAL"),
    "role, in Portuguese and Latin-1": ("28000", "função não existe".encode("latin-1"), b"FATAL"),
    "database, in Chinese": ("3D000", "数据库不存在".encode(), "致命错误".encode()),
    "pooler: password": ("08P01", b"SASL authentication failed", b"FATAL"),
    "pooler: database": ("08P01", b"no such database: telemetry", b"FATAL"),
    "pooler: user": ("08P01", b"no such user: trainer", b"FATAL"),
}


@pytest.mark.parametrize("kind", MAY_PASS)
def test_a_temporary_refusal_is_transient_in_any_language(
    session: connection, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with refusing_server(*MAY_PASS[kind]) as port:
        monkeypatch.setenv("PGPORT", str(port))
        error = refusal()
    assert (error.reason, error.transient) == ("RegistryFailed", True)
    assert f"port {port}" in error.message


@pytest.mark.parametrize("kind", FINAL)
def test_a_permanent_refusal_is_final_in_any_language(
    session: connection, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with refusing_server(*FINAL[kind]) as port:
        monkeypatch.setenv("PGPORT", str(port))
        error = refusal()
    assert (error.reason, error.exit_code, error.transient) == ("RegistryFailed", ExitCode.REGISTRY, False)
    assert "Check the database Secret" in error.message


def test_a_wrong_password_is_final_in_any_language(
    session: connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with proxy_to(database.host, database.port) as proxy:
        proxy.altered = (b"password authentication failed", b"Anmeldung mit Passwort falsch.")
        monkeypatch.setenv("PGPORT", str(proxy.port))
        error = refusal()
    assert not error.transient
    assert "Anmeldung mit Passwort" in error.message


def test_a_server_without_a_free_connection_is_transient(
    session: connection, database: Database, postgres_server: PostgresServer
) -> None:
    with postgres_server.connect() as superuser:
        superuser.autocommit = True
        execute(superuser, f'ALTER ROLE "{database.user}" CONNECTION LIMIT 1')
    assert refusal().transient
    session.close()
    with_connection(lambda _: None, reason=Reason.REGISTRY_FAILED)


def test_a_database_closed_for_maintenance_is_transient(
    session: connection, database: Database, postgres_server: PostgresServer
) -> None:
    with postgres_server.connect() as superuser:
        superuser.autocommit = True
        execute(superuser, f'ALTER DATABASE "{database.dbname}" ALLOW_CONNECTIONS false')
    assert refusal().transient


def test_a_server_without_configuration_is_reported(session: connection, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER"):
        monkeypatch.delenv(name)
    message = refusal().message
    for told in ("PGHOST is not set", "PGPORT is not set", "PGDATABASE is not set", "PGUSER is not set"):
        assert told in message


def test_a_wrong_host_is_named_with_port_database_and_user(
    session: connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    error = refusal()
    assert error.transient
    assert f"host nowhere.invalid, port {database.port}, database {database.dbname}, user {database.user}" in (
        error.message
    )
