"""Servers behind HTTPS: the image and the compose file use this."""

from django.core.exceptions import ImproperlyConfigured

from config import env
from config.settings.base import *  # noqa: F403
from config.settings.base import SECRET_KEY, STORAGES

FIREBASE_AUTH_EMULATOR_HOST = env.debug_text("FIREBASE_AUTH_EMULATOR_HOST", debug=False)
if not SECRET_KEY:
    raise ImproperlyConfigured("PARLOR_SECRET_KEY must be set.")

SECURE_SSL_REDIRECT = env.flag("PARLOR_SSL_REDIRECT", True)
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = env.integer("PARLOR_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
if env.integer("PARLOR_TRUSTED_PROXIES", 0):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = False
