from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AIConfig(AppConfig):
    name = "ai"
    verbose_name = _("AI models")

    def ready(self) -> None:
        from ai import (
            checks,  # noqa: F401 - registers the system checks
            own_data,
        )

        own_data.register_part()
