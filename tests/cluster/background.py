"""A test bed in a background process, which runs until it gets SIGTERM."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cluster import cache, host
from cluster.bed import Bed, bed_running
from cluster.clusters import Cluster, ClusterUnavailableError
from cluster.container_runtime import load_images
from cluster.images import build_images, export_image
from cluster.object_store import ObjectStore
from cluster.postgres import PostgresServer
from cluster.processes import ServerError, wait_until

_FACTS = host.FOLDER / "facts.json"
_LOG = cache.ROOT / "node.log"
_HOLDER = ("-m", "cluster", "hold")


def running() -> Bed | None:
    """The test bed that runs in the background, None if there is none."""
    if _holder() is None or not _FACTS.exists():
        return None
    facts = json.loads(_FACTS.read_text())
    known = facts["cluster"]
    cluster = Cluster(Path(known["kubeconfig"]), Path(known["kubectl"]), frozenset(known["capabilities"]))
    return Bed(cluster, PostgresServer(**facts["postgres_server"]), ObjectStore(**facts["object_store"]))


def up(report: Callable[[str], None]) -> Bed:
    """Starts a test bed in the background, or loads the current images into one that runs already.

    Args:
        report: called with each line of output of the background process until the test bed is ready.

    Raises:
        ServerError: it did not start.
    """
    bed = running()
    if bed is not None:
        load_images(build_images(), export_image)
        return bed
    cache.ROOT.mkdir(parents=True, exist_ok=True)
    with _LOG.open("wb") as log:
        holder = subprocess.Popen(
            [sys.executable, *_HOLDER],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with _LOG.open() as said:
            while bed is None:
                ended = holder.poll() is not None
                for line in said:
                    report(line.rstrip("\n"))
                if ended:
                    raise ServerError(f"the local cluster did not start; its output is in {_LOG}")
                time.sleep(0.1)
                bed = running()
    except BaseException:
        holder.terminate()
        holder.wait()
        raise
    return bed


def hold() -> None:
    """Runs a test bed until SIGTERM or SIGINT; the background process calls it."""
    with bed_running() as bed:
        unfinished = _FACTS.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(dataclasses.asdict(bed), default=_plain))
        unfinished.rename(_FACTS)
        while True:
            signal.pause()


def down() -> None:
    """Ends the test bed in the background, or cleans up after one that crashed, and waits until all of it is removed.

    Raises:
        ClusterUnavailableError: the node belongs to another program, such as a run of the tests.
    """
    holder = _holder()
    if holder is not None:
        os.kill(holder, signal.SIGTERM)
        wait_until(lambda: _holder() is None, "the local cluster has ended", patience_seconds=120)
    host.recover()


def _holder() -> int | None:
    pid = cache.lock_holder("node")
    if pid is None:
        return None
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except FileNotFoundError:
        return None
    if tuple(command[1:]) != _HOLDER:
        raise ClusterUnavailableError(f"the local node belongs to process {pid}: {shlex.join(command)}")
    return pid


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)
