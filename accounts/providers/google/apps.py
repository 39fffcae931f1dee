from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GoogleConfig(AppConfig):
    name = "accounts.providers.google"
    label = "google"
    verbose_name = _("Google")
