from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CommonConfig(AppConfig):
    name = "common"
    verbose_name = "Operations"

    def ready(self) -> None:
        from common import checks  # noqa: F401

        # The web process hands tasks over too, so it must know them as a worker does.
        autodiscover_modules("tasks")
