"""Websocket addresses."""

from typing import Any

from django.urls import path

from chat.consumers import ChatConsumer
from notifications.consumers import MeConsumer

# Channels' applications are no Django views, though `path` takes both.
_chat: Any = ChatConsumer.as_asgi()
_me: Any = MeConsumer.as_asgi()

websocket_urlpatterns = [
    path("ws/chat/<str:session_id>/", _chat),
    path("ws/me/", _me),
]
