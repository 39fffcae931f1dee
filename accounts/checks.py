"""What must be right before anything starts."""

from typing import Any

import maxminddb
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from accounts import privacy


def every_link_to_people_has_a_plan(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A model that hangs on a user without a line in some app's `own_data` would survive an erasure."""
    planned, linked = set(privacy.plan()), privacy.linked_models()
    missing = [
        Error(f"{label} hangs on a user; say in own_data.py what erasure does with it.", id="accounts.E001")
        for label in sorted(linked - planned)
    ]
    stale = [
        Error(f"{label} has a line in own_data.py and does not hang on a user.", id="accounts.E002")
        for label in sorted(planned - linked)
    ]
    return [*missing, *stale]


def the_database_of_places_opens(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.ACCOUNTS_GEOIP_DATABASE:
        return []
    try:
        maxminddb.open_database(settings.ACCOUNTS_GEOIP_DATABASE).close()
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        return [Error(f"ACCOUNTS_GEOIP_DATABASE can't be read: {type(error).__name__}.", id="accounts.E003")]
    return []


def register_checks() -> None:
    for check in (every_link_to_people_has_a_plan, the_database_of_places_opens):
        register(check)
