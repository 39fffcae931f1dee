"""What must be right before anything starts."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from accounts import privacy


@register()
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
