from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = _("Chat")

    def ready(self) -> None:
        from billing.history import register_namer
        from chat import own_data, rails, receivers, wallet_lines  # noqa: F401
        from personas.rails import register

        register("continue", rails.continue_talking, position=10)
        register_namer(wallet_lines.name_replies)
        own_data.register_part()
