"""Loading over connections that break, time out or are refused."""

import numpy as np
import pytest
from psycopg2.extensions import connection

from cluster.postgres import Database
from cluster.processes import free_ports
from integration.trainer.load.telemetry_table import EVERYTHING, spec, write, write_simulated
from integration.trainer.proxy import proxy_to
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage import postgres as database_module
from trainingjob_trainer.storage.postgres import with_connection
from trainingjob_trainer.storage.telemetry import load_telemetry


def test_a_server_that_stays_unavailable_is_a_transient_error(
    session: connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", str(free_ports(1)[0]))
    with pytest.raises(TrainingError, match="Connection refused") as refusal:
        with_connection(lambda _: None, reason=Reason.DATA_UNAVAILABLE, patience_seconds=0.5)
    assert refusal.value.transient
    assert refusal.value.exit_code is ExitCode.UNEXPECTED


def test_a_connection_that_breaks_while_loading_is_opened_again(
    session: connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_simulated(session, 4000)
    whole = load_telemetry(spec(), EVERYTHING)
    with proxy_to(database.host, database.port) as proxy:
        proxy.cut_next(1, after_bytes=100_000, in_answer=True)
        proxy.cut_next(1)
        monkeypatch.setenv("PGPORT", str(proxy.port))
        again = load_telemetry(spec(), EVERYTHING)
    assert proxy.cuts == 2
    assert again.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(again.values, whole.values)


def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    session: connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(TrainingError, match="statement timeout") as refusal:
        with_connection(lambda session: write(session, "SELECT pg_sleep(60)"), reason=Reason.DATA_UNAVAILABLE)
    assert refusal.value.transient
