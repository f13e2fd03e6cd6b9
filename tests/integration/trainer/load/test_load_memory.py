"""How much memory loading needs beside its result."""

import tracemalloc

from psycopg2.extensions import connection

from integration.trainer.load.telemetry_table import EVERYTHING, MACHINE, START, spec, write
from trainingjob_trainer.storage.telemetry import load_telemetry


def test_from_100000_rows_on_extra_memory_is_at_most_the_arrays(session: connection) -> None:
    write(
        session,
        'INSERT INTO processed_data ("timestamp", motor_pump, "Oil_P", "Oil_L", "Recalque", "Succao") '
        "SELECT %s + n * interval '1 second', %s, n, n, n, n FROM generate_series(1, 100000) AS n",
        *(START, MACHINE),
    )
    load_telemetry(spec(), EVERYTHING)
    tracemalloc.start()
    try:
        telemetry = load_telemetry(spec(), EVERYTHING)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    final = telemetry.timestamps.nbytes + telemetry.values.memory_usage(index=False).sum()
    assert peak - final <= final
