"""Conversations: a session holds a tree of messages; a generation is the making of one reply.

A message's parent is what it answers. Siblings are variants of each other; `ChatSession.active_leaf`
names the end of the branch the user is looking at.
"""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import IsNull
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.models import TimestampedModel, UUIDModel


class SessionQuerySet(models.QuerySet["ChatSession"]):
    def owned_by(self, user_id: Any) -> "SessionQuerySet":
        return self.filter(user_id=user_id, deleted_at__isnull=True)

    def in_list_order(self) -> "SessionQuerySet":
        return self.order_by("-is_pinned", "-last_message_at", "-id")


class ChatSession(TimestampedModel):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_sessions")
    persona = models.ForeignKey("personas.Persona", on_delete=models.PROTECT, related_name="chat_sessions")
    title = models.CharField(_("title"), max_length=120, blank=True)
    has_automatic_title = models.BooleanField(default=True)
    pinned_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    active_leaf = models.ForeignKey(
        "chat.Message", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    message_count = models.PositiveIntegerField(default=0)
    last_message_at = models.DateTimeField(default=timezone.now)
    last_message_preview = models.CharField(max_length=200, blank=True)
    is_pinned = models.GeneratedField(
        expression=IsNull(F("pinned_at"), False), output_field=models.BooleanField(), db_persist=True
    )
    search = models.GeneratedField(
        expression=SearchVector("title", config="simple"), output_field=SearchVectorField(), db_persist=True
    )

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("chat session")
        verbose_name_plural = _("chat sessions")
        indexes = [
            models.Index(
                F("user"),
                F("is_pinned").desc(),
                F("last_message_at").desc(),
                F("id").desc(),
                name="chat_session_list",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["deleted_at"], name="chat_session_deleted", condition=Q(deleted_at__isnull=False)
            ),
            GinIndex(fields=["search"], name="chat_session_search"),
        ]

    def __str__(self) -> str:
        # Not the title: it may repeat what somebody wrote, and this appears in logs.
        return str(self.id)


class Message(UUIDModel):
    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("persona")
        SYSTEM = "system", _("system")

    class Status(models.TextChoices):
        PENDING = "pending", _("waiting")
        STREAMING = "streaming", _("being written")
        COMPLETE = "complete", _("complete")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")
        BLOCKED = "blocked", _("blocked")

    class Feedback(models.TextChoices):
        NONE = "none", _("none")
        UP = "up", _("good")
        DOWN = "down", _("bad")

    session = models.ForeignKey(
        ChatSession, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children"
    )
    role = models.CharField(max_length=10, choices=Role)
    content = models.TextField(blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.COMPLETE)
    # Why a reply ended other than well; the text shown for it is in `policy.py`.
    code = models.CharField(max_length=40, blank=True)
    depth = models.PositiveIntegerField(default=0)
    # Estimated tokens of this message and everything before it on its branch.
    path_tokens = models.PositiveIntegerField(default=0)
    # Null, not empty, where there is none: only real ones are unique.
    client_id = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001
    feedback = models.CharField(max_length=4, choices=Feedback, default=Feedback.NONE)
    model = models.CharField(max_length=100, blank=True)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    # Microcredits paid for the reply.
    charge = models.BigIntegerField(default=0)
    # Written once the text is final, so that a running reply never touches the search index.
    search = SearchVectorField(null=True, editable=False)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions = [("read_content", _("Can read what people wrote"))]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "client_id"],
                name="chat_message_client_id_once",
                condition=Q(client_id__isnull=False),
            ),
            models.CheckConstraint(
                condition=Q(role__in=["user", "assistant", "system"]), name="chat_message_role"
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "pending",
                        "streaming",
                        "complete",
                        "stopped",
                        "interrupted",
                        "failed",
                        "blocked",
                    ]
                ),
                name="chat_message_status",
            ),
            models.CheckConstraint(condition=Q(charge__gte=0), name="chat_message_charge_not_negative"),
        ]
        indexes = [
            models.Index(fields=["session", "parent"], name="chat_message_siblings"),
            GinIndex(fields=["search"], name="chat_message_search"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.id}"


class Generation(UUIDModel):
    """The making of one reply: who makes it, how far it is, what it may and did cost."""

    class Kind(models.TextChoices):
        SEND = "send", _("answer")
        EDIT = "edit", _("answer to an edited message")
        REGENERATE = "regenerate", _("another answer")
        CONTINUE = "continue", _("continuation")

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        STREAMING = "streaming", _("streaming")
        COMPLETE = "complete", _("complete")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")
        BLOCKED = "blocked", _("blocked")

    LIVE = (Status.QUEUED, Status.STREAMING)

    session = models.ForeignKey(
        ChatSession, on_delete=models.CASCADE, related_name="generations", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # Empty only where the reply was deleted; the record of what it cost stays.
    reply = models.ForeignKey(
        Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="generations"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    client_id = models.CharField(max_length=100)
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    hold_id = models.UUIDField(null=True, blank=True)
    model = models.CharField(max_length=100, blank=True)
    # Microcredits a token at the moment of the hold; later price changes do not reach it.
    token_price = models.BigIntegerField()
    prompt_budget = models.PositiveIntegerField()
    max_output_tokens = models.PositiveIntegerField()
    lease_owner = models.CharField(max_length=60, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    # Characters of each delta: with the reply's text they rebuild every event exactly.
    last_seq = models.PositiveIntegerField(default=0)
    delta_lengths = ArrayField(models.PositiveIntegerField(), default=list)
    # What the reply held before a continuation; its first delta repeats it.
    prefix_status = models.CharField(max_length=12, choices=Message.Status, blank=True)
    # How the model's stream ended, kept before settling so that a crash in between is settled right.
    outcome = models.CharField(max_length=12, choices=Status, blank=True)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    charge = models.BigIntegerField(default=0)
    code = models.CharField(max_length=40, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    receipt = models.JSONField(default=dict, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    first_text_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        permissions = [("stop_generation", _("Can stop a running reply"))]
        constraints = [
            models.UniqueConstraint(fields=["session", "client_id"], name="chat_generation_client_id_once"),
            models.UniqueConstraint(
                fields=["session"],
                name="chat_generation_one_live",
                condition=Q(status__in=["queued", "streaming"]),
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["send", "edit", "regenerate", "continue"]), name="chat_generation_kind"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["queued", "streaming"], finished_at__isnull=True)
                | Q(
                    status__in=["complete", "stopped", "interrupted", "failed", "blocked"],
                    finished_at__isnull=False,
                ),
                name="chat_generation_finished_with_end",
            ),
            models.CheckConstraint(
                condition=Q(token_price__gte=0), name="chat_generation_price_not_negative"
            ),
            models.CheckConstraint(condition=Q(charge__gte=0), name="chat_generation_charge_not_negative"),
            models.CheckConstraint(
                condition=Q(delta_lengths__len=F("last_seq")), name="chat_generation_every_delta_measured"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                name="chat_generation_live",
                condition=Q(status__in=["queued", "streaming"]),
            ),
            models.Index(fields=["user", "created_at"], name="chat_generation_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def is_live(self) -> bool:
        return self.status in self.LIVE
