"""Who people are, the tokens and tickets they hold, and what staff did to them."""

import re
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Func, Value
from django.db.models.functions import Lower, Replace
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from common.ids import uuid7
from common.models import UUIDModel

ADULT_AGE = 18
MAX_EMAIL_LENGTH = 254
MAX_LOCALE_LENGTH = 12
HANDLE_PATTERN = r"^[a-z0-9_]{3,30}\Z"
PHONE_PATTERN = r"^\+[1-9][0-9]{6,14}\Z"


def normalise_email(email: str | None) -> str | None:
    """Addresses are stored in lower case, and "none" is NULL so that many users may have none."""
    return (email or "").strip().lower() or None


def default_display_name(email: str | None) -> str:
    """The first word of the address: enough for a persona to greet somebody, too little to write to them."""
    word = re.match(r"[^\W\d_]{2,30}", (email or "").partition("@")[0])
    return word[0].capitalize() if word else str(_("Friend"))


def handle_skeleton(handle: str) -> str:
    """What a handle looks like at a glance: handles that look alike have the same one.

    The same rule as the generated column `handle_skeleton`, which keeps it.
    """
    plain = handle.replace("_", "").translate(str.maketrans("01i58", "ollsb"))
    return plain.replace("rn", "m").replace("vv", "w").replace("cl", "d")


class Translate(Func):
    function = "translate"
    output_field = models.CharField()


_FOLDED = Translate(Replace("handle", Value("_"), Value("")), Value("01i58"), Value("ollsb"))
_PAIRS = Replace(Replace(_FOLDED, Value("rn"), Value("m")), Value("vv"), Value("w"))
_SKELETON = Replace(_PAIRS, Value("cl"), Value("d"))


_SAVED_BY_NAME = {"id", "is_active", "session_epoch", "leaving_at", "handle_skeleton"}


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def create_user(self, email: str | None, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normalise_email(username))


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(_("email"), max_length=MAX_EMAIL_LENGTH, null=True, blank=True, unique=True)
    phone = models.CharField(
        _("phone"),
        max_length=16,
        null=True,
        blank=True,
        unique=True,
        validators=[RegexValidator(PHONE_PATTERN)],
    )
    # A number on its way to be proved. Many may claim the same one; `phone` holds it once it is proved.
    unverified_phone = models.CharField(max_length=16, blank=True, editable=False)
    handle = models.CharField(
        _("handle"),
        max_length=30,
        null=True,
        blank=True,
        unique=True,
        validators=[RegexValidator(HANDLE_PATTERN)],
    )
    handle_skeleton = models.GeneratedField(
        expression=_SKELETON, output_field=models.CharField(max_length=30), db_persist=True
    )
    display_name = models.CharField(_("display name"), max_length=60)
    pronouns = models.CharField(_("pronouns"), max_length=30, blank=True)
    locale = models.CharField(_("language"), max_length=MAX_LOCALE_LENGTH, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    birth_date = models.DateField(_("birth date"), null=True, blank=True)
    avatar_key = models.CharField(max_length=200, blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    # Raising it ends every session and token of the user at once.
    session_epoch = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    # When the account will be erased, while its owner can still change their mind; every page says so.
    leaving_at = models.DateTimeField(_("leaves"), null=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        permissions = [
            ("suspend_user", _("Can suspend users and let them in again")),
            ("end_sessions", _("Can sign users out everywhere")),
            ("verify_email", _("Can take an address as proved")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")) & ~models.Q(email=""),
                name="user_email_lower_case_or_null",
            ),
            models.CheckConstraint(
                condition=models.Q(handle__regex=HANDLE_PATTERN), name="user_handle_simple"
            ),
            models.UniqueConstraint(fields=["handle_skeleton"], name="user_handle_no_look_alikes"),
            models.CheckConstraint(condition=models.Q(phone__regex=PHONE_PATTERN), name="user_phone_e164"),
            models.CheckConstraint(
                condition=models.Q(unverified_phone="") | models.Q(unverified_phone__regex=PHONE_PATTERN),
                name="user_unverified_phone_e164",
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="user_newest")]

    def __str__(self) -> str:
        return self.email or self.phone or str(self.id)

    def clean(self) -> None:
        self._normalise()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A save of a whole row leaves out what its services change by name, perhaps at this moment."""
        self._normalise()
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = _SAVED_TOGETHER
        super().save(*args, **kwargs)

    def _normalise(self) -> None:
        self.email = normalise_email(self.email)
        self.phone = self.phone or None
        self.handle = (self.handle or "").lower() or None
        self.display_name = self.display_name.strip() or default_display_name(self.email)

    @property
    def is_adult(self) -> bool:
        return self.birth_date is not None and age_on(timezone.localdate(), self.birth_date) >= ADULT_AGE

    def get_short_name(self) -> str:
        return self.display_name

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # Django ends a session when this changes; with the epoch in it, so does "end all sessions".
        return salted_hmac(
            "accounts.User.session",
            f"{self.password}:{self.session_epoch}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()


def age_on(day: date, birth_date: date) -> int:
    """Whole years; somebody born on 29 February turns a year older on 1 March of common years."""
    return day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))


class ApiKey(UUIDModel):
    """Lets programs act for a user on the OpenAI-compatible face. Only its digest is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(_("name"), max_length=60)
    # What its owner tells it by: the first characters.
    prefix = models.CharField(_("key"), max_length=16)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        permissions = [("revoke_api_key", _("Can revoke API keys"))]
        indexes = [models.Index(fields=["user", "-created_at"], name="api_key_newest")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class DataExport(UUIDModel):
    """Somebody's own data as a ZIP: asked for, being made, there for some days."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")
        EXPIRED = "expired", _("expired")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0, help_text=_("Per cent."))
    key = models.CharField(max_length=80, blank=True, editable=False)
    size = models.BigIntegerField(_("size in bytes"), default=0)
    expires_at = models.DateTimeField(_("expires"), null=True)

    class Meta:
        verbose_name = _("data export")
        verbose_name_plural = _("data exports")
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(status__in=["queued", "running"]),
                name="data_export_one_at_a_time",
            ),
            models.CheckConstraint(condition=models.Q(progress__lte=100), name="data_export_progress"),
        ]
        indexes = [models.Index(fields=["user", "-created_at"], name="data_export_newest")]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d}"


class Erasure(models.Model):
    """Somebody wants to leave: when everything of theirs goes, unless they change their mind before."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="erasure")
    requested_at = models.DateTimeField(_("asked for"), default=timezone.now)
    erase_at = models.DateTimeField(_("due"))
    started_at = models.DateTimeField(_("begun"), null=True)
    done_at = models.DateTimeField(_("done"), null=True)

    class Meta:
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")
        indexes = [
            models.Index(fields=["erase_at"], condition=models.Q(done_at__isnull=True), name="erasure_due")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.erase_at:%Y-%m-%d}"


class TokenFamily(models.Model):
    """The chain of refresh tokens of one signed-in device; only the newest of them may be used."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    current = models.UUIDField()
    previous = models.UUIDField(null=True)
    rotated_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="token_family_expiry")]

    def __str__(self) -> str:
        return str(self.id)


class SocketTicket(models.Model):
    """A short-lived pass for one websocket; only its digest is kept, and redeeming it deletes the row."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="socket_ticket_expiry")]

    def __str__(self) -> str:
        return f"{self.digest[:8]}…"


class TextMessage(UUIDModel):
    """A text that was asked for: what the budgets count. The words themselves are not kept."""

    class Purpose(models.TextChoices):
        CODE = "code", _("code")
        NOTICE = "notice", _("notice")

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    number = models.CharField(_("number"), max_length=16)
    # The first digits, which numbers bought in bulk have in common.
    prefix = models.CharField(_("prefix"), max_length=8)
    country = models.CharField(_("country"), max_length=2)
    address = models.GenericIPAddressField(_("asked for from"), null=True)
    purpose = models.CharField(_("purpose"), max_length=10, choices=Purpose)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    # When the code was entered; texts nobody answers are how pumping shows.
    used_at = models.DateTimeField(_("code used"), null=True)

    class Meta:
        verbose_name = _("text message")
        verbose_name_plural = _("text messages")
        indexes = [
            models.Index(fields=["created_at"], name="text_message_age"),
            models.Index(fields=["number", "created_at"], name="text_message_number"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} to {self.number}"


class StaffAction(UUIDModel):
    """What somebody of the staff did to whom and why. Rows are only ever added."""

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("who"),
        null=True,
        on_delete=models.PROTECT,
        related_name="staff_actions",
    )
    action = models.CharField(_("action"), max_length=60)
    target_type = models.CharField(_("kind of target"), max_length=60, blank=True)
    target_id = models.CharField(_("target id"), max_length=64, blank=True)
    target_label = models.CharField(_("target"), max_length=200, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        verbose_name = _("staff action")
        verbose_name_plural = _("staff actions")
        indexes = [
            models.Index(fields=["target_type", "target_id", "-created_at"], name="staff_action_target"),
            models.Index(fields=["-created_at"], name="staff_action_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label or self.target_id}"


_SAVED_TOGETHER = {field.name for field in User._meta.concrete_fields} - _SAVED_BY_NAME


def display_name(user: User) -> str:
    return user.display_name


def user_group(user_id: UUID) -> str:
    """The realtime group of what concerns a user wherever they are."""
    return f"user.{user_id}"


def access_group(user_id: UUID) -> str:
    """The realtime group every socket of a user joins, to hear that it may have to close."""
    return f"access.{user_id}"
