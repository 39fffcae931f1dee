"""What people uploaded, how much room it takes, and uploads on their way."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from common.models import UUIDModel

MAX_NAME_LENGTH = 200


class File(UUIDModel):
    """A file of somebody's. The name is for display only; where it is kept says the key, which is ours."""

    class Category(models.TextChoices):
        AVATAR = "avatar", _("avatar")
        PERSONA_IMAGE = "persona_image", _("persona image")
        CHAT_ATTACHMENT = "chat_attachment", _("chat attachment")
        KNOWLEDGE_BASE = "knowledge_base", _("knowledge base")

    class State(models.TextChoices):
        PENDING = "pending", _("being checked")
        READY = "ready", _("ready")
        REFUSED = "refused", _("refused")

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("owner"), on_delete=models.CASCADE, related_name="+"
    )
    category = models.CharField(_("category"), max_length=20, choices=Category)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.READY)
    name = models.CharField(_("name"), max_length=MAX_NAME_LENGTH)
    content_type = models.CharField(_("type"), max_length=60)
    size = models.BigIntegerField(_("size in bytes"), help_text=_("With the sizes pictures are kept in."))
    key = models.CharField(max_length=80, unique=True, editable=False)
    card_key = models.CharField(max_length=80, blank=True, editable=False)
    thumbnail_key = models.CharField(max_length=80, blank=True, editable=False)
    # Pages of a PDF, seconds of audio, width and height of a picture.
    facts = models.JSONField(_("facts"), default=dict, editable=False)

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at", "-id"], name="file_owner_newest"),
            models.Index(fields=["state"], condition=models.Q(state="pending"), name="file_pending"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(size__gte=0), name="file_size_not_negative"),
            models.CheckConstraint(
                condition=models.Q(
                    category__in=["avatar", "persona_image", "chat_attachment", "knowledge_base"]
                ),
                name="file_category_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def keys(self) -> list[str]:
        return [key for key in (self.key, self.card_key, self.thumbnail_key) if key]


class StorageUse(models.Model):
    """Bytes somebody is charged: for their files, and for what uploads on their way have reserved."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    used = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(used__gte=0), name="storage_use_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.used} bytes"


class DirectUpload(UUIDModel):
    """A promise to take a file straight into the store; good once and for a short time."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    category = models.CharField(max_length=20, choices=File.Category)
    name = models.CharField(max_length=MAX_NAME_LENGTH)
    # Bytes promised, and reserved of the owner's room until it is complete or over.
    size = models.BigIntegerField()
    key = models.CharField(max_length=80, unique=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="direct_upload_expiry")]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(size__gt=0), name="direct_upload_size_positive"),
        ]

    def __str__(self) -> str:
        return self.name
