"""`make run` and development on one machine."""

from common.logs import logging_config
from config import env
from config.settings.base import *  # noqa: F403
from config.settings.base import LOG_LEVEL, TWILIO_ACCOUNT_SID

DEBUG = env.flag("PARLOR_DEBUG", True)
# Firebase's emulator signs nothing, so its tokens are believed in debug only.
FIREBASE_AUTH_EMULATOR_HOST = env.debug_text("FIREBASE_AUTH_EMULATOR_HOST", debug=DEBUG)
MAILBOX_ENABLED = DEBUG
ACCOUNTS_STAFF_MFA_REQUIRED = not DEBUG
if MAILBOX_ENABLED:
    EMAIL_BACKEND = "notifications.mailbox.EmailBackend"
    if not TWILIO_ACCOUNT_SID:
        SMS_BACKEND = "notifications.sms.MAILBOX"
LOG_JSON = env.flag("LOG_JSON", False)
LOGGING = logging_config(level=LOG_LEVEL, as_json=LOG_JSON)
