"""Chats of people, for their export and for when they leave."""

from collections.abc import Iterator
from uuid import UUID

from django.db import transaction

from accounts.privacy import Fate, Part, Section, register
from chat.models import ChatSession, Generation, Message

_PLAN = {
    "chat.ChatSession": (Fate.DELETED, ""),
    "chat.Message": (Fate.DELETED, ""),
    "chat.Generation": (Fate.DELETED, ""),
}
_BATCH = 50


def register_part() -> None:
    register(Part("chat", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    sessions = ChatSession.objects.filter(user_id=user_id).order_by("id")
    fields = ("id", "title", "persona_id", "persona__name", "created_at", "deleted_at")
    yield Section("chats/chats.json", sessions.values(*fields).iterator(500))
    for session_id in sessions.values_list("id", flat=True).iterator(500):
        messages = Message.objects.filter(session_id=session_id).order_by("depth", "id")
        told = ("id", "role", "content", "status", "parent_id", "feedback", "created_at")
        yield Section(f"chats/{session_id}.json", messages.values(*told).iterator(2000))
    replies = Generation.objects.filter(user_id=user_id).order_by("id")
    yield Section(
        "usage/replies.json",
        replies.values("id", "session_id", "status", "model", "created_at").iterator(2000),
    )


def _erase(user_id: UUID) -> None:
    while ids := list(ChatSession.objects.filter(user_id=user_id).values_list("id", flat=True)[:_BATCH]):
        with transaction.atomic():
            ChatSession.objects.filter(id__in=ids).update(active_leaf=None)
            ChatSession.objects.filter(id__in=ids).delete()
