"""Settings that cannot work together are found at start-up."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register()
def one_process_without_redis(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.WEB_CONCURRENCY > 1 and not settings.REDIS_URL:
        return [
            checks.Error(
                "Several web processes need Redis: without it cache, events and jobs live in one process.",
                hint="Set REDIS_URL, or WEB_CONCURRENCY=1.",
                id="common.E001",
            )
        ]
    return []


@checks.register()
def mailbox_only_in_debug(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    if settings.MAILBOX_ENABLED and not settings.DEBUG:
        return [checks.Error("The development mailbox must not be on outside debug.", id="common.E002")]
    return []


@checks.register(checks.Tags.security, deploy=True)
def exact_hosts(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    loose = [host for host in settings.ALLOWED_HOSTS if host == "*" or host.startswith(".")]
    if loose:
        return [checks.Error(f"PARLOR_ALLOWED_HOSTS must name exact hosts, not {loose}.", id="common.E003")]
    return []
