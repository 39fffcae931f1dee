from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "common"
    verbose_name = "Operations"

    def ready(self) -> None:
        from common import checks  # noqa: F401
