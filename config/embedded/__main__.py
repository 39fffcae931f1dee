"""`python -m config.embedded run|stop|start`: what `make run` and `make stop` call."""

import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

from config import env
from config.embedded import postgres


def run() -> None:
    from django.conf import settings

    if settings.EMBEDDED:
        postgres.ensure_running(settings.DATA_DIR)
    _setup()
    _migrate()
    from django.core.management import call_command

    call_command("check", fail_level="ERROR")
    if settings.EMBEDDED:
        call_command("load_demo", verbosity=0)

    from config.serve import serve

    serve(when_ready=_greet)


def stop() -> None:
    stopped = postgres.stop(env.path("PARLOR_DATA_DIR", env.BASE_DIR / ".local"))
    print("PostgreSQL stopped." if stopped else "PostgreSQL was not running.")


def start() -> None:
    cluster = postgres.ensure_running(env.path("PARLOR_DATA_DIR", env.BASE_DIR / ".local"))
    print(f"PostgreSQL runs on 127.0.0.1:{cluster.port}.")


def _setup() -> None:
    import django

    django.setup()


def _migrate() -> None:
    """In a process of its own, because it signs in to the database as another role."""
    import subprocess

    from common.health import has_pending_migrations

    if not has_pending_migrations():
        return
    command = [sys.executable, str(env.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0"]
    subprocess.run(command, check=True, env={**os.environ, "PARLOR_DB_ROLE": "owner"})


def _greet() -> None:
    from django.conf import settings

    host = "localhost" if settings.HOST in {"127.0.0.1", "0.0.0.0", "::"} else settings.HOST  # noqa: S104
    print(f"\n  Parlor is ready at http://{host}:{settings.PORT}\n", flush=True)
    if settings.EMBEDDED:
        print("    Try it as   demo@example.com   password  parlor-demo")
        print("    Staff       staff@example.com  password  parlor-demo-staff  (/admin/)")
        print(
            "    Mail sent   /dev/mailbox/\n\n  Ctrl+C ends it; `make stop` also ends its database.\n",
            flush=True,
        )


if __name__ == "__main__":
    commands = {"run": run, "stop": stop, "start": start}
    commands[sys.argv[1] if len(sys.argv) > 1 else "run"]()
