"""A run of a fleet whose workers are killed and whose database restarts, again and again."""

import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.object_store import ObjectStore
from cluster.postgres import PostgresServer, restartable_postgres_running
from cluster.processes import wait_until
from integration.trainer.fleets import Fleet, fleet_spec
from support.fleet_runs import fleet_run
from trainingjob_api.exit_codes import ExitCode

MACHINES = int(os.environ.get("FLEET_FAULTS_MACHINES", "60"))
WORKERS = 2


@pytest.fixture
def restartable_server(tmp_path: Path) -> Iterator[tuple[PostgresServer, Callable[[], None]]]:
    folder = tmp_path / "server"
    folder.mkdir()
    with restartable_postgres_running(folder) as running:
        yield running


def test_killed_workers_and_a_restarted_database_lose_and_double_no_machine(
    restartable_server: tuple[PostgresServer, Callable[[], None]],
    object_store: ObjectStore,
    bucket: str,
    tmp_path: Path,
) -> None:
    server, restart_database = restartable_server
    names = [f"PUMP-{number:03}" for number in range(MACHINES)]
    chance = random.Random(7)
    with Fleet.created(server.create_database("fleet"), object_store, bucket) as fleet:
        fleet.add_machines(names)
        run = fleet_run(fleet_spec(bucket, retriesPerMachine=10, workers=WORKERS))
        workers = [fleet.start_worker(run, tmp_path) for _ in range(WORKERS)]
        kills = 0
        for disturbance in itertools.count(1):
            # A worker is killed after each few machines, at any stage of the next ones.
            before = fleet.final_machines()
            wanted = min(MACHINES, before + max(3, MACHINES // 20) + chance.randrange(3))
            wait_until(lambda wanted=wanted: fleet.final_machines() >= wanted, "machines advance", patience_seconds=180)
            if fleet.final_machines() == MACHINES:
                break
            victim = chance.randrange(WORKERS)
            workers[victim].kill()
            workers[victim].wait()
            kills += 1
            if disturbance in {2, 4}:
                restart_database()
            workers[victim] = fleet.start_worker(run, tmp_path)
        assert kills >= 5
        assert [worker.wait() for worker in workers] == [ExitCode.DONE] * WORKERS
        assert fleet.states() == dict.fromkeys(names, "registered")
        assert fleet.registered() == dict.fromkeys(names, 1)
        assert fleet.rows("SELECT count(*), count(DISTINCT uid) FROM training_runs") == [(MACHINES, MACHINES)]
        addresses = {address for (address,) in fleet.rows("SELECT bucket_address FROM models")}
        assert addresses == {key for key in fleet.objects() if key.startswith("xgb_model_")}
