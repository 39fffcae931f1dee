"""`make run` and development on one machine."""

from common.logs import logging_config
from config import env
from config.settings.base import *  # noqa: F403
from config.settings.base import LOG_LEVEL

DEBUG = env.flag("PARLOR_DEBUG", True)
MAILBOX_ENABLED = DEBUG
if MAILBOX_ENABLED:
    EMAIL_BACKEND = "notifications.mailbox.EmailBackend"
LOG_JSON = env.flag("LOG_JSON", False)
LOGGING = logging_config(level=LOG_LEVEL, as_json=LOG_JSON)
