"""The ASGI application: pages and API over HTTP, chats over websockets, start and end by lifespan."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter

from common.bodies import BodyLimit
from common.sockets import GuardedSocketRouter
from config.lifespan import Lifespan
from config.routing import websocket_urlpatterns

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(django_application),
        "websocket": GuardedSocketRouter(websocket_urlpatterns),
        "lifespan": Lifespan(),
    }
)
