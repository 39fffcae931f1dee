from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = _("Chat")

    def ready(self) -> None:
        from chat import own_data, rails, receivers  # noqa: F401
        from personas.rails import register

        register("continue", rails.continue_talking, position=10)
        own_data.register_part()
