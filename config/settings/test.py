"""The test suite: the embedded database, nothing that waits, nothing that leaves the machine."""

import os
from pathlib import Path

from common.logs import logging_config

# The suite proves the defaults: neither the developer's `.env` nor the shell changes a result.
os.environ["PARLOR_ENV_FILE"] = os.devnull
for _name in list(os.environ):
    if (
        _name in {"DATABASE_URL", "REDIS_URL", "PORT", "HOST", "WEB_CONCURRENCY"}
        or _name.endswith("_API_KEY")
        or _name.startswith(("STRIPE_", "GOOGLE_PLAY_", "APP_STORE_", "BILLING_"))
    ):
        del os.environ[_name]

# Tests that run side by side each have a server of their own, because one of them stops and starts it.
if _worker := os.environ.get("PYTEST_XDIST_WORKER"):
    _folder = Path(os.environ.get("PARLOR_DATA_DIR") or Path(__file__).resolve().parents[2] / ".local")
    os.environ["PARLOR_DATA_DIR"] = str(_folder / f"tests-{_worker}")

from config.settings.base import *  # noqa: E402, F403
from config.settings.base import DATABASES, STORAGES  # noqa: E402

DEBUG = False
SECRET_KEY = "test-only-secret-key-that-is-long-enough-for-hs256-signatures"  # noqa: S105
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
ACCOUNTS_ANSWER_STEP_SECONDS = 0.0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MAILBOX_ENABLED = False
# The tests of the admin are about what it does; the second factor at its door has tests of its own.
ACCOUNTS_STAFF_MFA_REQUIRED = False
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Each test thread has its own connection, closed with the thread; a pool would outlive the database.
DATABASES["default"]["OPTIONS"].pop("pool", None)
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = False
_IN_MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
STORAGES = {**STORAGES, "default": _IN_MEMORY, "private": _IN_MEMORY}
# Look static files up when asked for, instead of listing them for each test client.
WHITENOISE_AUTOREFRESH = True
AI_ECHO_DELAY_MS = 0
LOGGING = logging_config(level="WARNING", as_json=True)
