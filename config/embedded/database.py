"""Settings of the embedded database, readable without starting it."""

import secrets
from pathlib import Path
from typing import Any

from config.embedded import postgres


def embedded_database(data_dir: Path, role: str) -> dict[str, Any]:
    cluster = postgres.load_cluster(data_dir)
    name = postgres.OWNER_ROLE if role == "owner" else postgres.APP_ROLE
    return {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {}, **cluster.connection(name)}


def secret_key(data_dir: Path) -> str:
    """A key made up once per data directory and kept in a file only its owner can read."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / "secret-key"
    try:
        with path.open("x") as handle:
            path.chmod(0o600)
            handle.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()
