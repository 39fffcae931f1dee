from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from uuid import UUID

    from accounts.models import User


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Billing")

    def ready(self) -> None:
        from accounts import profile
        from billing import checks, gauges, own_data, receivers  # noqa: F401
        from billing.services import app_store, google_play
        from common import health
        from files import registry

        profile.register_field("tier", _tier_slug)
        registry.register_quota(_storage_bytes)
        health.register_gauges(gauges.update)
        own_data.register_part()
        checks.register_checks()
        google_play.register()
        app_store.register()


def _storage_bytes(user_id: "UUID") -> int:
    from billing import selectors

    return selectors.get_tier(user_id).storage_bytes


def _tier_slug(user: "User") -> str:
    from billing import selectors

    return selectors.get_tier(user.pk).slug
