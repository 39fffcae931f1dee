"""Websocket addresses, and who may open them."""

from django.urls import path

from chat.consumers import ChatConsumer
from notifications.consumers import MeConsumer

websocket_urlpatterns = [
    path("ws/chat/<str:session_id>/", ChatConsumer.as_asgi()),
    path("ws/me/", MeConsumer.as_asgi()),
]
