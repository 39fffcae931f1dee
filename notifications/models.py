from django.db import models

from common.models import UUIDModel


class MailboxMessage(UUIDModel):
    """A message the development mailbox keeps instead of sending it."""

    class Channel(models.TextChoices):
        EMAIL = "email"
        SMS = "sms"

    channel = models.CharField(max_length=10, choices=Channel)
    to = models.TextField()
    subject = models.TextField(blank=True)
    body = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["-created_at", "-id"], name="mailbox_newest")]

    def __str__(self) -> str:
        return f"{self.channel} to {self.to}"
