"""Personas, what people do with them, and the categories they stand in."""

from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.ids import parse_uuid
from common.models import TimestampedModel, UUIDModel
from files.selectors import public_url
from personas.fields import ExactJSONField
from personas.limits import GREETINGS_MAX, NAME_MAX, TAG_MAX, TAGLINE_MAX, TAGS_MAX, TEXT_MAX
from personas.monograms import monogram_code

MAX_TEMPERATURE = Decimal(2)

LONG_TEXTS = (
    "description",
    "greeting",
    "personality",
    "scenario",
    "example_dialogue",
    "system_prompt",
    "post_history_instructions",
)


class Category(models.Model):
    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(_("name"), max_length=60)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")

    def __str__(self) -> str:
        return self.name


class PersonaQuerySet(models.QuerySet["Persona"]):
    def existing(self) -> Self:
        return self.filter(deleted_at=None)

    def listed(self) -> Self:
        """What anybody may come across: public, published, not taken down."""
        return self.filter(
            visibility=Persona.Visibility.PUBLIC,
            status=Persona.Status.PUBLISHED,
            hidden_at=None,
            deleted_at=None,
        )

    def owned_by(self, user_id: UUID) -> Self:
        return self.filter(owner_id=user_id, deleted_at=None)

    def visible_to(self, user: Any) -> Self:
        """What `user` (a user, the id of one, or nobody) may open, age aside."""
        user_id = user_id_of(user)
        open_to_all = Q(
            visibility__in=[Persona.Visibility.PUBLIC, Persona.Visibility.UNLISTED],
            status=Persona.Status.PUBLISHED,
            hidden_at=None,
        )
        mine = Q(owner_id=user_id) if user_id else Q(pk__in=[])
        return self.filter(open_to_all | mine, deleted_at=None)

    def for_age(self, is_adult: bool) -> Self:
        return self if is_adult else self.exclude(rating=Persona.Rating.MATURE)

    def as_cards(self, user_id: UUID | None = None) -> Self:
        """With all a card or a list shows, without the long documents, and with the user's own marks."""
        return (
            self.select_related("owner", "category")
            .defer("card", "lorebook", "search_vector")
            .annotate(
                is_liked=_marked(PersonaLike, user_id),
                is_favorite=_marked(PersonaFavorite, user_id),
            )
        )


class Persona(TimestampedModel):
    class Rating(models.TextChoices):
        EVERYONE = "everyone", _("Everyone")
        TEEN = "teen", _("Teen")
        MATURE = "mature", _("Mature")

    class Visibility(models.TextChoices):
        PRIVATE = "private", _("Private")
        UNLISTED = "unlisted", _("Unlisted")
        PUBLIC = "public", _("Public")

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="personas", verbose_name=_("owner")
    )
    slug = models.SlugField(_("address"), max_length=120, unique=True)
    name = models.CharField(_("name"), max_length=NAME_MAX)
    tagline = models.CharField(_("tagline"), max_length=TAGLINE_MAX, blank=True)
    description = models.TextField(_("description"), max_length=TEXT_MAX, blank=True)
    greeting = models.TextField(_("greeting"), max_length=TEXT_MAX, blank=True)
    alternate_greetings = ArrayField(
        models.TextField(), verbose_name=_("other greetings"), default=list, blank=True
    )
    personality = models.TextField(_("personality"), max_length=TEXT_MAX, blank=True)
    scenario = models.TextField(_("scenario"), max_length=TEXT_MAX, blank=True)
    example_dialogue = models.TextField(_("example dialogue"), max_length=TEXT_MAX, blank=True)
    system_prompt = models.TextField(_("system prompt"), max_length=TEXT_MAX, blank=True)
    post_history_instructions = models.TextField(_("closing instructions"), max_length=TEXT_MAX, blank=True)
    model = models.CharField(_("model"), max_length=100, blank=True)
    temperature = models.DecimalField(
        _("temperature"),
        max_digits=3,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(MAX_TEMPERATURE)],
    )
    tags = ArrayField(models.CharField(max_length=TAG_MAX), verbose_name=_("tags"), default=list, blank=True)
    category = models.ForeignKey(
        Category,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="personas",
        verbose_name=_("category"),
    )
    language = models.CharField(_("language"), max_length=10, default="en")
    rating = models.CharField(_("rating"), max_length=10, choices=Rating, default=Rating.EVERYONE)
    visibility = models.CharField(
        _("visibility"), max_length=10, choices=Visibility, default=Visibility.PRIVATE
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.PUBLISHED)
    allow_clone = models.BooleanField(_("others may copy it"), default=True)
    cloned_from = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="clones",
        verbose_name=_("copy of"),
    )
    avatar_key = models.CharField(max_length=120, blank=True)
    card_image_key = models.CharField(max_length=120, blank=True)
    portrait_key = models.CharField(max_length=120, blank=True)
    card = ExactJSONField(null=True, blank=True)
    lorebook = ExactJSONField(null=True, blank=True)
    likes_count = models.PositiveIntegerField(_("likes"), default=0, editable=False)
    chats_count = models.PositiveIntegerField(_("people who talked"), default=0, editable=False)
    trending_score = models.FloatField(_("trending"), default=0, editable=False)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True, editable=False)
    hidden_at = models.DateTimeField(_("taken down at"), null=True, blank=True, editable=False)
    hidden_reason = models.CharField(_("reason"), max_length=500, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)
    search_vector = models.GeneratedField(
        expression=(
            SearchVector("name", weight="A", config="simple")
            + SearchVector("tagline", weight="B", config="english")
            + SearchVector(
                models.Func(F("tags"), function="personas_tags_text", output_field=models.TextField()),
                weight="B",
                config="english",
            )
            + SearchVector("description", weight="C", config="english")
        ),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    objects = PersonaQuerySet.as_manager()

    class Meta:
        verbose_name = _("persona")
        verbose_name_plural = _("personas")
        permissions = [("hide_persona", "Can take a persona down")]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="persona_name_present"),
            models.CheckConstraint(condition=Q(slug__regex=r"^[a-zA-Z0-9_-]+$"), name="persona_slug_simple"),
            models.CheckConstraint(
                condition=Q(rating__in=["everyone", "teen", "mature"]), name="persona_rating_known"
            ),
            models.CheckConstraint(
                condition=Q(visibility__in=["private", "unlisted", "public"]), name="persona_visibility_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published"]), name="persona_status_known"
            ),
            models.CheckConstraint(
                condition=Q(temperature=None) | Q(temperature__gte=0, temperature__lte=MAX_TEMPERATURE),
                name="persona_temperature_in_range",
            ),
            models.CheckConstraint(condition=Q(tags__len__lte=TAGS_MAX), name="persona_tags_few"),
            models.CheckConstraint(
                condition=Q(alternate_greetings__len__lte=GREETINGS_MAX), name="persona_greetings_few"
            ),
            *(
                models.CheckConstraint(
                    condition=LessThanOrEqual(Length(field), TEXT_MAX), name=f"persona_{field[:20]}_length"
                )
                for field in LONG_TEXTS
            ),
        ]
        indexes = [
            GinIndex(fields=["search_vector"], name="persona_search"),
            GinIndex(fields=["tags"], name="persona_tags"),
            models.Index(fields=["owner", "-created_at", "-id"], name="persona_by_owner"),
            *(
                models.Index(
                    fields=[f"-{field}", "-id"],
                    name=f"persona_listed_{name}",
                    condition=Q(visibility="public", status="published", hidden_at=None, deleted_at=None),
                )
                for name, field in (
                    ("trending", "trending_score"),
                    ("top", "likes_count"),
                    ("new", "published_at"),
                )
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.is_listed and self.published_at is None:
            self.published_at = timezone.now()
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], "published_at"}
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("personas:persona-detail", args=[self.slug])

    @property
    def avatar_url(self) -> str:
        return self._picture_url(self.avatar_key, "avatar")

    @property
    def card_image_url(self) -> str:
        return self._picture_url(self.card_image_key, "card")

    @property
    def portrait_url(self) -> str:
        return self._picture_url(self.portrait_key, "card")

    def _picture_url(self, key: str, size: str) -> str:
        if key:
            return public_url(key)
        return reverse("personas:monogram", args=[monogram_code(self.name, self.id), size])

    @property
    def is_listed(self) -> bool:
        return (
            self.visibility == self.Visibility.PUBLIC
            and self.status == self.Status.PUBLISHED
            and self.hidden_at is None
            and self.deleted_at is None
        )


class _Mark(UUIDModel):
    """One user's mark on a persona: there or not there."""

    persona = models.ForeignKey(Persona, on_delete=models.CASCADE, related_name="%(class)ss")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="%(class)ss")

    class Meta:
        abstract = True
        constraints = [models.UniqueConstraint(fields=["user", "persona"], name="%(class)s_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.persona_id}"


class PersonaLike(_Mark):
    pass


class PersonaFavorite(_Mark):
    pass


class PersonaActivity(models.Model):
    """How much one user talked with one persona on one day (UTC); what trending is computed from."""

    persona = models.ForeignKey(Persona, on_delete=models.CASCADE, related_name="activity")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    messages = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["persona", "user", "day"], name="persona_activity_once"),
        ]
        indexes = [models.Index(fields=["day", "persona"], name="persona_activity_day")]

    def __str__(self) -> str:
        return f"{self.persona_id} {self.day}"


def _marked(mark: type[PersonaLike] | type[PersonaFavorite], user_id: UUID | None) -> Any:
    if user_id is None:
        return models.Value(False, output_field=models.BooleanField())
    return models.Exists(mark.objects.filter(user_id=user_id, persona_id=models.OuterRef("pk")))


def user_id_of(user: Any) -> UUID | None:
    """The id behind a user object, an id, an anonymous user or None."""
    return parse_uuid(getattr(user, "pk", user))
