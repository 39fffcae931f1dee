"""The launcher against real servers: as root and as somebody else, after a crash, in a private folder."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config import env
from config.embedded import postgres

pytestmark = pytest.mark.processes


@pytest.fixture
def data_dir() -> Iterator[Path]:
    # Not pytest's own folder: the fallback user must be able to walk to it.
    folder = Path(tempfile.mkdtemp(prefix="parlor-cluster-"))
    folder.chmod(0o711)
    yield folder
    postgres.stop(folder)
    shutil.rmtree(folder)


def query(cluster: postgres.Cluster, role: str, statement: str) -> list[tuple]:
    login = cluster.connection(role)
    with psycopg.connect(
        host=login["HOST"],
        port=login["PORT"],
        user=login["USER"],
        password=login["PASSWORD"],
        dbname=login["NAME"],
    ) as connection:
        return connection.execute(statement).fetchall()


def test_starts_once_and_is_found_again(data_dir: Path) -> None:
    first = postgres.ensure_running(data_dir)
    again = postgres.ensure_running(data_dir)
    assert again == first
    assert query(first, postgres.APP_ROLE, "SELECT current_user") == [("parlor_app",)]
    assert query(first, postgres.OWNER_ROLE, "SHOW server_encoding") == [("UTF8",)]


def test_the_application_role_is_no_superuser_and_owns_nothing(data_dir: Path) -> None:
    cluster = postgres.ensure_running(data_dir)
    rows = query(
        cluster,
        postgres.APP_ROLE,
        "SELECT rolsuper, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user",
    )
    assert rows == [(False, False, False)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(cluster, postgres.APP_ROLE, "CREATE TABLE mine (id int)")


def test_nobody_gets_in_without_the_password(data_dir: Path) -> None:
    cluster = postgres.ensure_running(data_dir)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=cluster.port, user="postgres", dbname="postgres", password="wrong"
        )
    state = data_dir / "postgres" / "cluster.json"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_recovers_after_the_server_is_killed(data_dir: Path) -> None:
    cluster = postgres.ensure_running(data_dir)
    query_owner = "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n"
    with cluster.connect(database=postgres.DATABASE) as connection:
        connection.execute(query_owner)
    pid = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(_pid_outside_namespace(cluster, pid), signal.SIGKILL)
    recovered = postgres.ensure_running(data_dir)
    with recovered.connect(database=postgres.DATABASE) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_survives_the_process_that_started_it(data_dir: Path) -> None:
    starter = subprocess.run(
        [sys.executable, "-m", "config.embedded", "start"],
        cwd=env.BASE_DIR,
        env={**os.environ, "PARLOR_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    cluster = postgres.load_cluster(data_dir)
    assert f"127.0.0.1:{cluster.port}" in starter.stdout
    assert query(cluster, postgres.APP_ROLE, "SELECT 1") == [(1,)]


def test_stop_says_whether_there_was_anything_to_stop(data_dir: Path) -> None:
    postgres.ensure_running(data_dir)
    assert postgres.stop(data_dir) is True
    assert postgres.stop(data_dir) is False


def test_moves_to_another_port_when_its_own_is_taken(data_dir: Path) -> None:
    import socket

    cluster = postgres.load_cluster(data_dir)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", cluster.port))
        squatter.listen()
        moved = postgres.ensure_running(data_dir)
    assert moved.port != cluster.port
    assert postgres.load_cluster(data_dir).port == moved.port


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_without_namespaces_starts_it_as_another_user(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOR_POSTGRES_NAMESPACE", "off")
    if not _readable_by_nobody(Path(postgres.binary("postgres"))):
        pytest.skip("the virtual environment is in a folder other users cannot read")
    cluster = postgres.ensure_running(data_dir)
    assert query(cluster, postgres.APP_ROLE, "SELECT 1") == [(1,)]
    assert postgres.stop(data_dir) is True


@pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite already runs as an ordinary user")
def test_an_ordinary_user_starts_it_in_a_private_folder(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    # In its own user namespace the process is nobody, without any privilege, yet still owns its files.
    as_ordinary_user = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
    for verb, words in (("start", "PostgreSQL runs"), ("stop", "PostgreSQL stopped")):
        done = subprocess.run(
            [*as_ordinary_user, sys.executable, "-m", "config.embedded", verb],
            cwd=env.BASE_DIR,
            env={**os.environ, "PARLOR_DATA_DIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert words in done.stdout, done.stderr
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def _pid_outside_namespace(cluster: postgres.Cluster, pid: int) -> int:
    """A user namespace keeps process ids as they are; make sure it really is our server."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    assert str(cluster.data) in command
    return pid


def _readable_by_nobody(path: Path) -> bool:
    check = subprocess.run(["test", "-r", str(path)], user=65534, check=False)
    return check.returncode == 0
