from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts import (
            own_data,
            receivers,  # noqa: F401
        )
        from accounts.api import schema  # noqa: F401

        own_data.register_part()
