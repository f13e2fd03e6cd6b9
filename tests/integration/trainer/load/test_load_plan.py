"""When the server reads in the order of an index, and when by a plan of its own."""

import pytest
from psycopg2.extensions import connection

from integration.trainer.load.telemetry_table import EVERYTHING, spec, write, write_simulated
from integration.trainer.statements import select
from trainingjob_api.reasons import Reason
from trainingjob_trainer.storage.postgres import with_connection
from trainingjob_trainer.storage.telemetry import read_telemetry

OTHER_INDEXES = {
    "none": "SELECT",
    "of time alone": 'CREATE INDEX ON processed_data ("timestamp")',
    "of other columns first": 'CREATE INDEX ON processed_data ("timestamp", motor_pump)',
    "of some rows": 'CREATE INDEX ON processed_data (motor_pump, "timestamp") WHERE "Oil_P" > 0',
}


def sorts() -> bool:
    """Whether the server may sort all rows after the trainer has loaded them in the same transaction."""

    def read(session: connection) -> bool:
        read_telemetry(session, spec(), EVERYTHING)
        return select(session, "SHOW enable_sort") == [("on",)]

    return with_connection(read, reason=Reason.DATA_UNAVAILABLE, read_only=True)


def test_an_index_of_machine_and_time_replaces_the_sort(session: connection) -> None:
    write_simulated(session, 100)
    assert not sorts()
    assert select(session, "SHOW enable_sort") == [("on",)]


@pytest.mark.parametrize("index", OTHER_INDEXES)
def test_without_that_index_the_server_plans_as_it_likes(session: connection, index: str) -> None:
    write_simulated(session, 100)
    write(session, "DROP INDEX processed_data_motor_pump_timestamp_idx")
    write(session, OTHER_INDEXES[index])
    assert sorts()


def test_a_table_larger_than_the_cache_is_read_as_the_server_plans(session: connection) -> None:
    write_simulated(session, 100)
    database = session.info.dbname
    write(session, f"ALTER DATABASE \"{database}\" SET effective_cache_size = '8kB'")
    assert sorts()


def test_a_partitioned_table_is_read_as_the_server_plans(session: connection) -> None:
    write(session, "ALTER TABLE processed_data RENAME TO whole")
    columns = "LIKE whole INCLUDING DEFAULTS"
    write(session, f'CREATE TABLE processed_data ({columns}) PARTITION BY RANGE ("timestamp")')
    write(session, "CREATE TABLE part PARTITION OF processed_data DEFAULT")
    write(session, 'CREATE INDEX ON processed_data (motor_pump, "timestamp")')
    write_simulated(session, 100)
    assert sorts()
