from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts import checks, own_data
        from accounts import receivers as _receivers  # noqa: F401
        from accounts.api import schema as _schema  # noqa: F401

        checks.register_checks()
        own_data.register_part()
