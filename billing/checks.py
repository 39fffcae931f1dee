"""What the operator should know before people do; asked with `manage.py check --database default`."""

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from billing.services import closing


def nothing_of_a_test_shop_counts(
    app_configs: Any, databases: Any = None, **kwargs: Any
) -> list[CheckMessage]:
    """What was had for nothing in a test shop must not go on once the installation sells for money."""
    if not databases:
        return []
    try:
        found = closing.test_business()
    except DatabaseError:
        # Also asked before the first migration has run.
        return []
    if not found:
        return []
    words = f"{found.subscriptions} subscriptions and {found.payments} payments of a test shop still count."
    return [Warning(words, hint="Run manage.py close_test_shop.", id="billing.W001")]


def register_checks() -> None:
    register(nothing_of_a_test_shop_counts, Tags.database)
