"""Real Parlor processes for tests: started on free ports, ended by their process ids."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from config import env
from config.embedded import postgres

READY_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """A data directory with a migrated database and the demo data, shared by the processes of a test."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    database: str = postgres.DATABASE

    @property
    def cluster(self) -> postgres.Cluster:
        return postgres.load_cluster(self.data_dir)

    def full_environment(self, **extra: str) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
        return {
            **inherited,
            "PARLOR_ENV_FILE": os.devnull,
            "PARLOR_DATA_DIR": str(self.data_dir),
            "DJANGO_SETTINGS_MODULE": "config.settings.local",
            "PYTHONUNBUFFERED": "1",
            **self.environment,
            **extra,
        }

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=env.BASE_DIR,
            env=self.full_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, statement: str, *parameters: Any, **named: Any) -> list[tuple[Any, ...]]:
        with self.cluster.connect(database=self.database) as connection:
            cursor = connection.execute(statement, named or parameters)
            return cursor.fetchall() if cursor.description else []

    def prepare(self) -> None:
        """The schema and the demo data, as the first start makes them."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("load_demo", "--verbosity", "0")

    def people(self, count: int, *, chats: int = 1, tier: str = "vip") -> "list[Person]":
        """Accounts that are signed in and have chats open; made in one go, without the front door."""
        rows = self.run_module("tests.people", str(count), str(chats), tier)
        return [Person(**row) for row in json.loads(rows)]

    def run_module(self, module: str, *arguments: str) -> str:
        """What a program prints that has the code and the database at hand."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=env.BASE_DIR,
            env=self.full_environment(LOG_LEVEL="ERROR", ACCOUNTS_ACCESS_TOKEN_SECONDS="7200"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def copy(self, database: str, **environment: str) -> "Installation":
        """The same server with a copy of the database, so that two kinds of processes keep apart."""
        with self.cluster.connect() as connection:
            connection.execute(f"CREATE DATABASE {database} TEMPLATE {self.database} OWNER parlor_owner")
        return replace(self, database=database, environment={**self.environment, **environment})

    def spread_out(self, redis_url: str) -> None:
        """From now on processes use Redis and the same database as several machines would."""
        login = self.cluster.connection(postgres.APP_ROLE) | {"NAME": self.database}
        owner = self.cluster.connection(postgres.OWNER_ROLE) | {"NAME": self.database}
        address = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}"
        self.environment |= {
            "DATABASE_URL": address.format(**login),
            "DATABASE_OWNER_URL": address.format(**owner),
            "REDIS_URL": redis_url,
            "PARLOR_SECRET_KEY": "shared-by-the-processes-of-one-test-" + "0123456789" * 3,
        }


@dataclass(frozen=True)
class Person:
    """Somebody signed in, with chats open."""

    id: str
    email: str
    token: str
    chats: list[str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Process:
    """One process of ours; `log` holds what it printed."""

    def __init__(self, installation: Installation, *command: str, **extra: str) -> None:
        self.log_path = Path(tempfile.mkstemp(prefix="parlor-log-", dir=installation.data_dir)[1])
        with self.log_path.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, *command],
                cwd=env.BASE_DIR,
                env=installation.full_environment(**extra),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def terminate(self, timeout: float = 35) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout)

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(10)


class WebProcess(Process):
    def __init__(
        self, installation: Installation, *, port: int = 0, host: str = "127.0.0.1", **extra: str
    ) -> None:
        self.port = port or free_port()
        self.host = host
        module = (
            ("config.embedded", "run")
            if "DATABASE_URL" not in installation.environment
            else ("config.serve",)
        )
        super().__init__(installation, "-m", *module, HOST=host, PORT=str(self.port), **extra)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> "WebProcess":
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                raise AssertionError(f"the web process ended with {self.popen.returncode}:\n{self.log}")
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(f"{self.url}/health/ready", timeout=2).status_code == 200:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"the web process was not ready in {seconds} s:\n{self.log}")


@contextlib.contextmanager
def installation(**environment: str) -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="parlor-test-"))
    try:
        postgres.ensure_running(folder)
        yield Installation(folder, dict(environment))
    finally:
        postgres.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
