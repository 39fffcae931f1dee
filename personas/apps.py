from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PersonasConfig(AppConfig):
    name = "personas"
    verbose_name = _("Personas")

    def ready(self) -> None:
        from files import registry
        from personas import own_data, selectors

        registry.register_use(selectors.portraits_in_use)
        own_data.register_part()
