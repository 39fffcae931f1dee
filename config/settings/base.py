"""Settings shared by every way to run Parlor; what differs lives in local, production and test."""

from datetime import timedelta
from pathlib import Path

from celery.schedules import crontab
from csp.constants import NONCE
from django.core.exceptions import ImproperlyConfigured

from common.logs import logging_config
from config import env
from config.embedded.database import embedded_database, secret_key
from config.settings.admin import UNFOLD as UNFOLD_SETTINGS

BASE_DIR = env.BASE_DIR
DATA_DIR: Path = env.path("PARLOR_DATA_DIR", BASE_DIR / ".local")

# --- Where it runs --------------------------------------------------------------------------------

DEBUG = False
DATABASE_URL = env.text("DATABASE_URL")
REDIS_URL = env.text("REDIS_URL")
EMBEDDED = not DATABASE_URL
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, minimum=1)
WEB_CONCURRENCY = env.integer("WEB_CONCURRENCY", 1, minimum=1)
PUBLIC_URL = env.text("PARLOR_PUBLIC_URL", f"http://localhost:{PORT}").rstrip("/")
TRUSTED_PROXY_COUNT = env.integer("PARLOR_TRUSTED_PROXIES", 0)
_LOCAL_HOSTS = "localhost,127.0.0.1,[::1]"
ALLOWED_HOSTS = env.items("PARLOR_ALLOWED_HOSTS", _LOCAL_HOSTS)
# Who may open websockets and post forms from a browser: a list, never derived from the Host header.
ALLOWED_ORIGINS = [
    PUBLIC_URL,
    *env.items("PARLOR_ALLOWED_ORIGINS", f"http://localhost:{PORT},http://127.0.0.1:{PORT}"),
]
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
SECRET_KEY = env.text("PARLOR_SECRET_KEY") or (secret_key(DATA_DIR) if EMBEDDED else "")
SHUTDOWN_GRACE_SECONDS = env.seconds("PARLOR_SHUTDOWN_GRACE_SECONDS", 20)

# --- Applications ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    # Not its default configuration, which would put a site of its own in place of ours.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "common",
    "accounts",
    "accounts.providers.google",
    "accounts.providers.firebase",
    "ai",
    "files",
    "notifications",
    "billing",
    "personas",
    "chat",
]

MIDDLEWARE = [
    "common.middleware.RequestContextMiddleware",
    "accounts.middleware.EvenTimesMiddleware",
    "accounts.middleware.HeadlessBodyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "common.middleware.ContentSecurityPolicyMiddleware",
    "accounts.middleware.CodeAttemptMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.UserPreferencesMiddleware",
    "accounts.middleware.DeviceActivityMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "common.middleware.PrivateCacheMiddleware",
    "common.middleware.DomainErrorMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "config.context_processors.site",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------------

# Migrations and the schema belong to an owner role; the application uses another one, which row-level
# security and revoked grants bind.
_DB_ROLE = env.text("PARLOR_DB_ROLE", "app")
if EMBEDDED:
    _database = embedded_database(DATA_DIR, _DB_ROLE)
else:
    _owner_url = env.text("DATABASE_OWNER_URL") or DATABASE_URL
    _database = env.database_url(_owner_url if _DB_ROLE == "owner" else DATABASE_URL)
    _database.setdefault("OPTIONS", {})
DATABASE_POOL_SIZE = env.integer("DATABASE_POOL_SIZE", 24, minimum=2)
if _DB_ROLE == "app":
    _database["ENGINE"] = "common.postgres"
    _database["OPTIONS"]["pool"] = {
        "min_size": 2,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": 10,
        # A server that is coming back is tried again every second, not after growing pauses.
        "reconnect_timeout": 1,
    }
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASE_THREADS = env.integer("DATABASE_THREADS", 8, minimum=1)

# --- Cache, channel layer, jobs -------------------------------------------------------------------

if REDIS_URL:
    CACHES = {"default": {"BACKEND": "common.cache.RedisCache", "LOCATION": REDIS_URL}}
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
    }
    CELERY_BROKER_URL = REDIS_URL
    # A hand-over that finds nobody gives up at once: the outbox keeps the promise, and people wait for us.
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, float] = {
        "visibility_timeout": 3600,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    }
    CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    # Groups that never expire: sockets may stay open for longer than a day.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"group_expiry": int(timedelta(days=3650).total_seconds())},
        }
    }
    CELERY_BROKER_URL = "memory://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.05}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 600
CELERY_TASK_TIME_LIMIT = 660
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_BEAT_SCHEDULE = {
    "chat.reap_generations": {"task": "chat.reap_generations", "schedule": timedelta(seconds=30)},
    "chat.erase_deleted_sessions": {
        "task": "chat.erase_deleted_sessions",
        "schedule": timedelta(hours=6),
    },
    "ai.check_daily_spend": {"task": "ai.check_daily_spend", "schedule": timedelta(minutes=5)},
    "billing.expire_holds": {"task": "billing.expire_holds", "schedule": timedelta(minutes=1)},
    # In the operator's time zone: the day of the daily credits begins at midnight there.
    "billing.refresh_allowances": {
        "task": "billing.refresh_allowances",
        "schedule": crontab(hour="0", minute="1"),
    },
    "billing.aggregate_usage": {"task": "billing.aggregate_usage", "schedule": timedelta(minutes=10)},
    "billing.expire_usage_exports": {
        "task": "billing.expire_usage_exports",
        "schedule": timedelta(hours=1),
    },
    "billing.apply_waiting_events": {
        "task": "billing.apply_waiting_events",
        "schedule": timedelta(minutes=2),
    },
    "billing.forget_old_events": {
        "task": "billing.forget_old_events",
        "schedule": crontab(hour="5", minute="10"),
    },
    "billing.advance_subscriptions": {
        "task": "billing.advance_subscriptions",
        "schedule": timedelta(minutes=1),
    },
    "billing.expire_orders": {"task": "billing.expire_orders", "schedule": timedelta(hours=1)},
    "billing.look_for_voided": {"task": "billing.look_for_voided", "schedule": timedelta(hours=1)},
    "billing.retry_money_promises": {
        "task": "billing.retry_money_promises",
        "schedule": timedelta(hours=1),
    },
    "billing.reconcile": {"task": "billing.reconcile", "schedule": crontab(hour="4", minute="30")},
    "billing.check_ledger": {"task": "billing.check_ledger", "schedule": crontab(hour="3", minute="30")},
    "common.sweep_outbox": {"task": "common.sweep_outbox", "schedule": timedelta(seconds=10)},
    "accounts.delete_expired_rows": {"task": "accounts.delete_expired_rows", "schedule": timedelta(hours=1)},
    "accounts.erase_due_accounts": {"task": "accounts.erase_due_accounts", "schedule": timedelta(hours=1)},
    "accounts.expire_exports": {"task": "accounts.expire_exports", "schedule": timedelta(hours=1)},
    "accounts.check_text_conversion": {
        "task": "accounts.check_text_conversion",
        "schedule": timedelta(minutes=10),
    },
    "personas.recompute_trending": {
        "task": "personas.recompute_trending",
        "schedule": timedelta(minutes=10),
    },
    "files.scan_waiting": {"task": "files.scan_waiting", "schedule": timedelta(minutes=10)},
    "files.clean_up": {"task": "files.clean_up", "schedule": crontab(hour="4", minute="10")},
    "files.end_expired_uploads": {
        "task": "files.end_expired_uploads",
        "schedule": timedelta(minutes=5),
    },
    "common.delete_old_rows": {"task": "common.delete_old_rows", "schedule": timedelta(hours=1)},
}

# --- Accounts -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_DISPLAY = "accounts.models.display_name"
ACCOUNT_LOGIN_METHODS = {"email", "phone"}
# None is required of everybody, since a number alone is enough; accounts.forms asks for one or the other.
ACCOUNT_SIGNUP_FIELDS = ["email", "phone", "password1"]
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.signup_rules.SignupRules"
ACCOUNT_FORMS = {
    "signup": "accounts.forms.SignupForm",
    "login": "accounts.forms.LoginForm",
    "request_login_code": "accounts.forms.RequestLoginCodeForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
}
SILENCED_SYSTEM_CHECKS = ["account.W001"]
# Phone-only accounts may exist, so an address is proved where it matters: bonus, buying, publishing.
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Codes by mail or text: six digits, five minutes, five attempts (`accounts.codes` makes the count exact).
ALLAUTH_USER_CODE_FORMAT = {"length": 6, "numeric": True, "dashed": False}
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 300
ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS = 5
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_PHONE_VERIFICATION_TIMEOUT = 300
ACCOUNT_PHONE_VERIFICATION_MAX_ATTEMPTS = 5
ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 300
ACCOUNT_PASSWORD_RESET_BY_CODE_MAX_ATTEMPTS = 5
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = PUBLIC_URL.partition(":")[0]
# Attempts are counted per account ("key") and per real address ("ip"), in the shared cache.
ACCOUNT_RATE_LIMITS = {
    "login": env.text("ACCOUNTS_LOGIN_RATE", "120/m/ip"),
    "login_failed": env.text("ACCOUNTS_LOGIN_FAILED_RATE", "30/m/ip,5/300s/key"),
    "signup": env.text("ACCOUNTS_SIGNUP_RATE", "60/m/ip"),
    "request_login_code": "20/m/ip,5/m/key,30/d/key",
    "reset_password": "20/m/ip,5/m/key,30/d/key",
    "reauthenticate": "10/m/user,50/d/user",
    # Texts have budgets of their own, in the database.
    "verify_phone": None,
    "change_phone": "10/m/user",
}
# Sign-in answers take a whole number of these (and a random part of one), so that their time tells nothing.
ACCOUNTS_ANSWER_STEP_SECONDS = env.seconds("ACCOUNTS_ANSWER_STEP_SECONDS", 0.1)
ACCOUNTS_FAILED_LOGINS_PER_MINUTE = env.integer("ACCOUNTS_FAILED_LOGINS_PER_MINUTE", 1000, minimum=1)
# Days somebody who deletes their account has to change their mind, and days an export of data is there.
ACCOUNTS_ERASURE_DAYS = env.integer("ACCOUNTS_ERASURE_DAYS", 14)
ACCOUNTS_EXPORT_DAYS = env.integer("ACCOUNTS_EXPORT_DAYS", 7, minimum=1)
ACCOUNTS_EXPORTS_PER_DAY = env.integer("ACCOUNTS_EXPORTS_PER_DAY", 3, minimum=1)
# A database of places in MaxMind's format, for the list of devices; empty: addresses only.
ACCOUNTS_GEOIP_DATABASE = env.text("ACCOUNTS_GEOIP_DATABASE")
# API keys one user may have.
ACCOUNTS_API_KEYS = env.integer("ACCOUNTS_API_KEYS", 20, minimum=1)
ACCOUNTS_MINIMUM_AGE = env.integer("ACCOUNTS_MINIMUM_AGE", 13)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
# Whoever changes a way in, or takes it away, has signed in or proved themselves a moment ago.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
USERSESSIONS_ADAPTER = "accounts.adapters.UserSessionsAdapter"
SOCIALACCOUNT_ADAPTER = "accounts.adapters.SocialAccountAdapter"
# An address the provider proved opens the account that has it; what nobody proved there is taken off first.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_EMAIL_REQUIRED = False
SOCIALACCOUNT_STORE_TOKENS = False
# Several ids, separated by commas: the first for the pages, the others for apps.
GOOGLE_CLIENT_IDS = env.items("GOOGLE_CLIENT_ID")
GOOGLE_CLIENT_SECRET = env.text("GOOGLE_CLIENT_SECRET")
GOOGLE_CERTS_URL = env.text("GOOGLE_CERTS_URL") or "https://www.googleapis.com/oauth2/v1/certs"
GOOGLE_AUTHORIZE_URL = env.text("GOOGLE_AUTHORIZE_URL") or "https://accounts.google.com/o/oauth2/v2/auth"
GOOGLE_TOKEN_URL = env.text("GOOGLE_TOKEN_URL") or "https://oauth2.googleapis.com/token"
FIREBASE_PROJECT_ID = env.text("FIREBASE_PROJECT_ID")
FIREBASE_CERTS_URL = (
    env.text("FIREBASE_CERTS_URL")
    or "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
)
FIREBASE_AUTH_EMULATOR_HOST = ""
SOCIALACCOUNT_PROVIDERS = {
    "google": {
        "APPS": [
            {
                "client_id": client_id,
                "secret": GOOGLE_CLIENT_SECRET,
                "settings": {"hidden": number > 0},
            }
            for number, client_id in enumerate(GOOGLE_CLIENT_IDS)
        ],
        "SCOPE": ["openid", "profile", "email"],
        "OAUTH_PKCE_ENABLED": True,
    },
    "firebase": {
        "APPS": [{"client_id": FIREBASE_PROJECT_ID, "secret": ""}] if FIREBASE_PROJECT_ID else [],
    },
}
MFA_ADAPTER = "accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {"add_webauthn": "accounts.mfa_forms.AddKeyForm"}
MFA_TOTP_ISSUER = "Parlor"
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Passkeys need HTTPS; browsers make an exception for this very machine.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = PUBLIC_URL.startswith(("http://localhost", "http://127.0.0.1"))
# Staff enter the admin with a second factor only.
ACCOUNTS_STAFF_MFA_REQUIRED = True
HEADLESS_TOKEN_STRATEGY = "accounts.headless.TokenStrategy"  # noqa: S105
HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN = env.integer("ACCOUNTS_ACCESS_TOKEN_SECONDS", 300, minimum=10)
HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN = int(timedelta(days=30).total_seconds())
HEADLESS_JWT_AUTHORIZATION_HEADER_SCHEME = "Bearer"
HEADLESS_SERVE_SPECIFICATION = True
# allauth's page for it would load a script from another host; the document itself is ours to serve.
HEADLESS_SPECIFICATION_TEMPLATE_NAME = None
SESSION_ENGINE = "accounts.session_store"
# Longer than a refresh token lives: each belongs to a session.
SESSION_COOKIE_AGE = int(timedelta(days=60).total_seconds())
SESSION_COOKIE_NAME = "parlor_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "parlor_csrf"
CSRF_FAILURE_VIEW = "common.views.csrf_failure"

# --- Text messages ---------------------------------------------------------------------------------

TWILIO_ACCOUNT_SID = env.text("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = env.text("TWILIO_AUTH_TOKEN")
TWILIO_FROM = env.text("TWILIO_FROM")
TWILIO_BASE_URL = (env.text("TWILIO_BASE_URL") or "https://api.twilio.com").rstrip("/")
# Without Twilio texts are refused; in debug they are read at /dev/mailbox/.
SMS_BACKEND = "notifications.sms.TWILIO" if TWILIO_ACCOUNT_SID else "notifications.sms.NONE"
_SMS_COUNTRIES = (
    "AT,AU,BE,CA,CH,CZ,DE,DK,EE,ES,FI,FR,GB,GG,GR,HU,IE,IM,IS,IT,JE,JP,LT,LU,LV,NL,NO,NZ,PL,PT,SE,SG,SI,SK,US"
)
ACCOUNTS_SMS_COUNTRIES = frozenset(env.items("ACCOUNTS_SMS_COUNTRIES", _SMS_COUNTRIES))
# Texts in 24 hours: to one number, to one block of numbers (the first seven digits), asked for from one
# address, and in all.
ACCOUNTS_SMS_PER_NUMBER = env.integer("ACCOUNTS_SMS_PER_NUMBER", 10, minimum=1)
ACCOUNTS_SMS_PER_PREFIX = env.integer("ACCOUNTS_SMS_PER_PREFIX", 60, minimum=1)
ACCOUNTS_SMS_PER_ADDRESS = env.integer("ACCOUNTS_SMS_PER_ADDRESS", 30, minimum=1)
ACCOUNTS_SMS_PER_DAY = env.integer("ACCOUNTS_SMS_PER_DAY", 2000, minimum=1)
# Per cent of texted codes that must be entered, or the block of numbers is stopped and staff are told.
ACCOUNTS_SMS_MINIMUM_CONVERSION = env.integer("ACCOUNTS_SMS_MINIMUM_CONVERSION", 20)

# --- AI models ------------------------------------------------------------------------------------

# The first provider with a key, in this order, supplies the default model; without any, echo answers.
ANTHROPIC_API_KEY = env.text("ANTHROPIC_API_KEY")
ANTHROPIC_BASE_URL = env.text("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
OPENAI_API_KEY = env.text("OPENAI_API_KEY")
OPENAI_BASE_URL = env.text("OPENAI_BASE_URL") or "https://api.openai.com/v1"
XAI_API_KEY = env.text("XAI_API_KEY")
XAI_BASE_URL = env.text("XAI_BASE_URL") or "https://api.x.ai/v1"
GEMINI_API_KEY = env.text("GEMINI_API_KEY")
GEMINI_BASE_URL = env.text("GEMINI_BASE_URL") or "https://generativelanguage.googleapis.com"
# Any OpenAI-compatible server (Ollama, vLLM): the address switches it on, a key is optional.
COMPATIBLE_API_KEY = env.text("COMPATIBLE_API_KEY")
COMPATIBLE_BASE_URL = env.text("COMPATIBLE_BASE_URL")
AI_CONNECT_TIMEOUT = env.seconds("AI_CONNECT_TIMEOUT", 5)
AI_FIRST_TOKEN_TIMEOUT = env.seconds("AI_FIRST_TOKEN_TIMEOUT", 60)
AI_TOKEN_GAP_TIMEOUT = env.seconds("AI_TOKEN_GAP_TIMEOUT", 30)
AI_TOTAL_TIMEOUT = env.seconds("AI_TOTAL_TIMEOUT", 600)
AI_MAX_CALLS_IN_FLIGHT = env.integer("AI_MAX_CALLS_IN_FLIGHT", 400, minimum=1)
AI_PLACE_TIMEOUT = env.seconds("AI_PLACE_TIMEOUT", 10)
AI_MAX_RETRIES = env.integer("AI_MAX_RETRIES", 2)
AI_RETRY_BASE_SECONDS = env.seconds("AI_RETRY_BASE_SECONDS", 0.5)
AI_RETRY_MAX_SECONDS = env.seconds("AI_RETRY_MAX_SECONDS", 8)
AI_BREAKER_FAILURES = env.integer("AI_BREAKER_FAILURES", 5, minimum=1)
AI_BREAKER_SECONDS = env.seconds("AI_BREAKER_SECONDS", 20)
AI_MAX_RESPONSE_BYTES = env.integer("AI_MAX_RESPONSE_BYTES", 33_554_432, minimum=1024)
AI_ECHO_DELAY_MS = env.integer("AI_ECHO_DELAY_MS", 25)

# --- Money ----------------------------------------------------------------------------------------

# With a key the shop is Stripe's; a key with `_live_` in it moves real money.
STRIPE_SECRET_KEY = env.text("STRIPE_SECRET_KEY")
STRIPE_WEBHOOK_SECRET = env.text("STRIPE_WEBHOOK_SECRET")
STRIPE_API_BASE = (env.text("STRIPE_API_BASE") or "https://api.stripe.com").rstrip("/")
# Whether Stripe adds taxes, by what the operator set up there.
STRIPE_TAX_ENABLED = env.flag("STRIPE_TAX_ENABLED", False)
# The API version of the Stripe library in the mobile apps, which their payment sheet asks for.
STRIPE_MOBILE_API_VERSION = env.text("STRIPE_MOBILE_API_VERSION") or "2026-10-28.endive"
if STRIPE_SECRET_KEY and not STRIPE_WEBHOOK_SECRET:
    raise ImproperlyConfigured("STRIPE_WEBHOOK_SECRET must be set with STRIPE_SECRET_KEY.")
# Schemes of the operator's own apps that a store may send people back to, besides our own pages.
BILLING_RETURN_SCHEMES = env.items("BILLING_RETURN_SCHEMES")
# Who sells, as it stands on receipts: name and address, lines separated by "|"; empty: Parlor.
BILLING_SELLER = env.text("BILLING_SELLER")
# Google Play: the app's package, a service account's key (a path, or its JSON), and who may push to us.
GOOGLE_PLAY_PACKAGE = env.text("GOOGLE_PLAY_PACKAGE")
GOOGLE_PLAY_CREDENTIALS = env.text("GOOGLE_PLAY_CREDENTIALS")
GOOGLE_PLAY_API_BASE = (env.text("GOOGLE_PLAY_API_BASE") or "https://androidpublisher.googleapis.com").rstrip(
    "/"
)
GOOGLE_PLAY_PUSH_AUDIENCE = env.text("GOOGLE_PLAY_PUSH_AUDIENCE")
GOOGLE_PLAY_PUSH_EMAIL = env.text("GOOGLE_PLAY_PUSH_EMAIL")
GOOGLE_PLAY_CERTS_URL = env.text("GOOGLE_PLAY_CERTS_URL") or "https://www.googleapis.com/oauth2/v3/certs"
if GOOGLE_PLAY_PUSH_AUDIENCE and not GOOGLE_PLAY_PUSH_EMAIL:
    # Every customer of Google's cloud can have a token signed for any audience; the account tells them apart.
    raise ImproperlyConfigured("GOOGLE_PLAY_PUSH_EMAIL must be set with GOOGLE_PLAY_PUSH_AUDIENCE.")
# Whether purchases of the operator's own testers, which cost nothing, count.
GOOGLE_PLAY_TEST_PURCHASES = env.flag("GOOGLE_PLAY_TEST_PURCHASES", False)
# The App Store: the app, a key of App Store Connect (a path, or its PEM), and Apple's root certificates
# (files, or a folder of them) that everything it tells is checked with.
APP_STORE_BUNDLE_ID = env.text("APP_STORE_BUNDLE_ID")
APP_STORE_APP_ID = env.integer("APP_STORE_APP_ID", 0)
APP_STORE_ISSUER_ID = env.text("APP_STORE_ISSUER_ID")
APP_STORE_KEY_ID = env.text("APP_STORE_KEY_ID")
APP_STORE_PRIVATE_KEY = env.text("APP_STORE_PRIVATE_KEY")
APP_STORE_ROOT_CERTIFICATES = env.items("APP_STORE_ROOT_CERTIFICATES")
APP_STORE_ENVIRONMENT = env.text("APP_STORE_ENVIRONMENT") or "Production"
APP_STORE_API_BASE = env.text("APP_STORE_API_BASE").rstrip("/")
if APP_STORE_ENVIRONMENT not in ("Production", "Sandbox"):
    raise ImproperlyConfigured("APP_STORE_ENVIRONMENT must be Production or Sandbox.")
if APP_STORE_BUNDLE_ID and (APP_STORE_ENVIRONMENT, APP_STORE_APP_ID) == ("Production", 0):
    raise ImproperlyConfigured("APP_STORE_APP_ID must be set with APP_STORE_BUNDLE_ID.")
# A test shop of our own where there is no store; what it sells costs nothing, so it never stands beside one.
_STORES = {
    "STRIPE_SECRET_KEY": STRIPE_SECRET_KEY,
    "GOOGLE_PLAY_PACKAGE": GOOGLE_PLAY_PACKAGE,
    "GOOGLE_PLAY_CREDENTIALS": GOOGLE_PLAY_CREDENTIALS,
    "APP_STORE_BUNDLE_ID": APP_STORE_BUNDLE_ID,
    "APP_STORE_ISSUER_ID": APP_STORE_ISSUER_ID,
    "APP_STORE_PRIVATE_KEY": APP_STORE_PRIVATE_KEY,
}
BILLING_SANDBOX = env.flag("BILLING_SANDBOX", EMBEDDED and not any(_STORES.values()) and not REDIS_URL)
for _name, _value in _STORES.items():
    if BILLING_SANDBOX and _value:
        raise ImproperlyConfigured(f"BILLING_SANDBOX and {_name} exclude each other.")
if BILLING_SANDBOX and REDIS_URL:
    raise ImproperlyConfigured("BILLING_SANDBOX is for one process; it does not go with REDIS_URL.")
if BILLING_SANDBOX and "127.0.0.1" not in ALLOWED_HOSTS:
    # The test shop's webhooks come from this very process.
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, "127.0.0.1"]

# --- Files ----------------------------------------------------------------------------------------

# A virus scanner (clamd): tcp://host:port or unix:///path. Without one files are served unscanned.
CLAMD_URL = env.text("CLAMD_URL")
# No request may be larger: a file of 10 MB and what wraps it.
MAX_REQUEST_BYTES = 12 * 1024 * 1024

# --- Mail -----------------------------------------------------------------------------------------

# The mailbox keeps every message in the database, readable at /dev/mailbox/; never outside debug.
MAILBOX_ENABLED = False
# Elsewhere mail goes into the outbox with the change that caused it, and a task delivers it.
EMAIL_BACKEND = "notifications.outgoing.OutboxEmailBackend"
EMAIL_DELIVERY_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Parlor <hello@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- API ------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.BearerAuthentication",
        "accounts.api.authentication.CookieAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["common.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "common.api.pagination.TimeCursorPagination",
    "DEFAULT_SCHEMA_CLASS": "common.api.schema.ProblemAutoSchema",
    "EXCEPTION_HANDLER": "common.api.exceptions.problem_response",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Parlor",
    "DESCRIPTION": "Talk with AI personas. Errors are application/problem+json with stable codes.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.api.headless_schema.add_sign_in",
    ],
    "ENUM_NAME_OVERRIDES": {
        "FeedbackEnum": "chat.models.Message.Feedback",
        "PersonaRatingEnum": "personas.models.Persona.Rating",
        "PersonaStatusEnum": "personas.models.Persona.Status",
        "MessageStatusEnum": "chat.models.Message.Status",
        "GenerationStatusEnum": "chat.models.Generation.Status",
        "UsageExportFormatEnum": "billing.models.UsageExport.Format",
    },
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500

# --- Admin ----------------------------------------------------------------------------------------

UNFOLD = UNFOLD_SETTINGS

# --- Chat -----------------------------------------------------------------------------------------

# Whether web processes make replies themselves; otherwise `manage.py run_generations` does.
CHAT_RUNNER_IN_WEB = env.flag("CHAT_RUNNER_IN_WEB", not REDIS_URL)
# Replies one process makes at the same time.
CHAT_RUNNER_CAPACITY = env.integer("CHAT_RUNNER_CAPACITY", 500, minimum=1)
# The most of a model's window a prompt may fill.
CHAT_MAX_CONTEXT_TOKENS = env.integer("CHAT_MAX_CONTEXT_TOKENS", 16_000, minimum=1_000)
CHAT_MAX_MESSAGE_CHARACTERS = env.integer("CHAT_MAX_MESSAGE_CHARACTERS", 20_000, minimum=1)
CHAT_MAX_REPLY_CHARACTERS = env.integer("CHAT_MAX_REPLY_CHARACTERS", 200_000, minimum=1)
# What the frame of a prompt takes beside persona, lore and history; part of what is reserved.
CHAT_PROMPT_OVERHEAD_TOKENS = 300
# Texts that come within this time go out as one event; the first of a reply goes at once.
CHAT_DELTA_MILLISECONDS = env.integer("CHAT_DELTA_MILLISECONDS", 40, minimum=1)
# A runner that is silent for longer has lost its replies.
CHAT_LEASE_SECONDS = env.seconds("CHAT_LEASE_SECONDS", 30)
CHAT_HEARTBEAT_SECONDS = CHAT_LEASE_SECONDS / 3
# How long a reply may wait for a runner before it is given up, uncharged.
CHAT_QUEUE_SECONDS = env.seconds("CHAT_QUEUE_SECONDS", 300)
# How long Redis keeps the events of a running reply.
CHAT_EVENT_LOG_SECONDS = env.integer("CHAT_EVENT_LOG_SECONDS", 900, minimum=60)
# Replies somebody may break off or have declined without paying; more than this waits.
CHAT_UNPAID_REPLIES_PER_HOUR = env.integer("CHAT_UNPAID_REPLIES_PER_HOUR", 60, minimum=1)
# Open chat sockets of one user in one process.
CHAT_SOCKETS_PER_USER = env.integer("CHAT_SOCKETS_PER_USER", 20, minimum=1)
# A socket that has not read for this long is closed and may resume.
CHAT_SLOW_READER_SECONDS = env.seconds("CHAT_SLOW_READER_SECONDS", 20)
# How long a deleted chat can be restored before it is erased.
CHAT_DELETED_DAYS = env.integer("CHAT_DELETED_DAYS", 7, minimum=1)

# --- Language and time ----------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
# The operator's day: daily credits and daily limits start anew at midnight here.
TIME_ZONE = env.text("PARLOR_TIME_ZONE", "UTC")
CELERY_TIMEZONE = TIME_ZONE

# --- Static and media files -----------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = env.path("PARLOR_MEDIA_DIR", DATA_DIR / "media")
# Private files: never below MEDIA_ROOT, and only by short-lived links.
PRIVATE_ROOT = env.path("PARLOR_PRIVATE_DIR", DATA_DIR / "private")
S3_BUCKET = env.text("S3_BUCKET")
S3_ENDPOINT_URL = env.text("S3_ENDPOINT_URL")


def _storage(folder: str, location: Path) -> dict[str, object]:
    if not S3_BUCKET:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": location},
        }
    # Credentials and region come by the usual AWS variables. Nothing is public there: what anybody may see
    # is served by us, or by a cache in front of us.
    options = {
        "bucket_name": S3_BUCKET,
        "endpoint_url": S3_ENDPOINT_URL or None,
        "location": f"{folder}/",
        "addressing_style": "path",
        "default_acl": None,
        "file_overwrite": False,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


STORAGES = {
    "default": _storage("public", MEDIA_ROOT),
    "private": _storage("private", PRIVATE_ROOT),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

# --- Security headers -----------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Stripe's hosted pages; where its API is elsewhere, so are they.
_STRIPE_PAGES = ["https://checkout.stripe.com", "https://billing.stripe.com", env.origin(STRIPE_API_BASE)]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", NONCE],
        "style-src": ["'self'", NONCE],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "media-src": ["'self'", "blob:"],
        "worker-src": ["'self'"],
        # Browsers hold the redirect after a form to this too.
        "form-action": [
            "'self'",
            *([env.origin(GOOGLE_AUTHORIZE_URL)] if GOOGLE_CLIENT_IDS else []),
            *(_STRIPE_PAGES if STRIPE_SECRET_KEY else []),
        ],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Operations -----------------------------------------------------------------------------------

# Prometheus reads /metrics with this bearer token; without one only the local machine may.
METRICS_TOKEN = env.text("PARLOR_METRICS_TOKEN")
SUPPORT_EMAIL = env.text("PARLOR_SUPPORT_EMAIL")
LOG_LEVEL = env.text("LOG_LEVEL", "INFO").upper()
LOG_JSON = env.flag("LOG_JSON", True)
LOGGING = logging_config(level=LOG_LEVEL, as_json=LOG_JSON)
