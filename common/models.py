"""Base models, the outbox and the stored answers of idempotent requests."""

from typing import Any

from django.db import models
from django.utils import timezone

from common.ids import uuid7


class UUIDModel(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True


class TimestampedModel(UUIDModel):
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        update_fields = kwargs.get("update_fields")
        if update_fields is not None:
            kwargs["update_fields"] = {*update_fields, "updated_at"}
        super().save(*args, **kwargs)


class OutboxMessage(UUIDModel):
    """Work promised by a transaction; the relay hands it to Celery and deletes it when it is done."""

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        FAILED = "failed"

    task = models.CharField(max_length=120)
    kwargs = models.JSONField(default=dict)
    # Empty means "no key": NULLs never collide in the unique constraint.
    key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    available_at = models.DateTimeField(default=timezone.now)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "key"], name="outbox_key_once_per_task"),
        ]
        indexes = [
            models.Index(fields=["available_at"], name="outbox_open", condition=models.Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.task} ({self.state})"


class IdempotentAnswer(UUIDModel):
    """The first answer to a request with an Idempotency-Key; `status` is empty while it is in flight."""

    user_id = models.UUIDField()
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "key"], name="idempotent_answer_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotent_answer_age")]

    def __str__(self) -> str:
        return self.key
