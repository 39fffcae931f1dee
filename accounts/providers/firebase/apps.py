from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FirebaseConfig(AppConfig):
    name = "accounts.providers.firebase"
    label = "firebase"
    verbose_name = _("Firebase")
