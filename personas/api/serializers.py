from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from common.api.serializers import NumberField, StrictSerializer
from personas.limits import GREETINGS_MAX, NAME_MAX, TAG_MAX, TAGLINE_MAX, TAGS_MAX, TEXT_MAX
from personas.models import Persona

SORTS = ("trending", "top", "new", "relevance")


class CreatorSerializer(serializers.Serializer[User]):
    id = serializers.UUIDField()
    handle = serializers.CharField(allow_null=True)
    display_name = serializers.CharField()


class PersonaSerializer(serializers.Serializer[Persona]):
    """A persona; what makes it tick is in the answer for its owner only."""

    OWNER_ONLY = (
        "personality",
        "scenario",
        "example_dialogue",
        "alternate_greetings",
        "system_prompt",
        "post_history_instructions",
        "model",
        "temperature",
        "allow_clone",
        "cloned_from",
    )

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    tagline = serializers.CharField()
    description = serializers.CharField()
    avatar_url = serializers.SerializerMethodField()
    creator = CreatorSerializer(source="owner")
    tags = serializers.ListField(child=serializers.CharField())
    category = serializers.CharField(source="category_id", allow_null=True)
    language = serializers.CharField()
    rating = serializers.ChoiceField(Persona.Rating.choices)
    visibility = serializers.ChoiceField(Persona.Visibility.choices)
    status = serializers.ChoiceField(Persona.Status.choices)
    greeting = serializers.CharField()
    likes = serializers.IntegerField(source="likes_count")
    chats = serializers.IntegerField(source="chats_count")
    is_liked = serializers.BooleanField()
    is_favorite = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    personality = serializers.CharField(required=False)
    scenario = serializers.CharField(required=False)
    example_dialogue = serializers.CharField(required=False)
    alternate_greetings = serializers.ListField(child=serializers.CharField(), required=False)
    system_prompt = serializers.CharField(required=False)
    post_history_instructions = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    temperature = serializers.FloatField(required=False, allow_null=True)
    allow_clone = serializers.BooleanField(required=False)
    cloned_from = serializers.UUIDField(source="cloned_from_id", required=False, allow_null=True)

    @extend_schema_field(serializers.URLField())
    def get_avatar_url(self, persona: Persona) -> str:
        return str(self.context["request"].build_absolute_uri(persona.avatar_url))

    def to_representation(self, persona: Persona) -> dict[str, Any]:
        body = super().to_representation(persona)
        if persona.owner_id != self.context["request"].user.pk:
            for name in self.OWNER_ONLY:
                del body[name]
        return body


class _LongTextField(serializers.CharField):
    def __init__(self) -> None:
        super().__init__(
            max_length=TEXT_MAX, allow_blank=True, trim_whitespace=False, required=False, default=""
        )


class PersonaWriteSerializer(StrictSerializer):
    """What may be written; with PUT and POST a field left out goes to its default."""

    name = serializers.CharField(max_length=NAME_MAX)
    tagline = serializers.CharField(max_length=TAGLINE_MAX, allow_blank=True, default="")
    description = _LongTextField()
    greeting = _LongTextField()
    alternate_greetings = serializers.ListField(
        child=serializers.CharField(max_length=TEXT_MAX, allow_blank=True, trim_whitespace=False),
        max_length=GREETINGS_MAX,
        default=list,
    )
    personality = _LongTextField()
    scenario = _LongTextField()
    example_dialogue = _LongTextField()
    system_prompt = _LongTextField()
    post_history_instructions = _LongTextField()
    model = serializers.CharField(
        max_length=100, allow_blank=True, default="", help_text=_("A model of the catalogue, or empty.")
    )
    temperature = NumberField(
        max_digits=3, decimal_places=2, min_value=0, max_value=2, allow_null=True, default=None
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=TAG_MAX), max_length=TAGS_MAX, default=list
    )
    category = serializers.CharField(max_length=40, allow_null=True, allow_blank=True, default=None)
    language = serializers.CharField(max_length=10, default="en")
    rating = serializers.ChoiceField(Persona.Rating.choices, default=Persona.Rating.EVERYONE)
    visibility = serializers.ChoiceField(Persona.Visibility.choices, default=Persona.Visibility.PRIVATE)
    status = serializers.ChoiceField(Persona.Status.choices, default=Persona.Status.PUBLISHED)
    allow_clone = serializers.BooleanField(default=True)


class PersonaListParameters(serializers.Serializer[Any]):
    q = serializers.CharField(required=False, allow_blank=True, max_length=200)
    tag = serializers.ListField(
        child=serializers.CharField(max_length=TAG_MAX), required=False, max_length=TAGS_MAX
    )
    category = serializers.CharField(required=False, allow_blank=True, max_length=40)
    rating = serializers.ChoiceField(Persona.Rating.choices, required=False, allow_blank=True)
    language = serializers.CharField(required=False, allow_blank=True, max_length=10)
    sort = serializers.ChoiceField(SORTS, required=False)
    mine = serializers.BooleanField(required=False)


class SearchParameters(PersonaListParameters):
    q = serializers.CharField(max_length=200)


class ExportParameters(serializers.Serializer[Any]):
    format = serializers.ChoiceField(("json", "png"), default="json")
    spec = serializers.ChoiceField(("v1", "v2", "v3"), default="v3")


class FileSerializer(StrictSerializer):
    file = serializers.FileField()


class LorebookSerializer(serializers.Serializer[Any]):
    """The `Lorebook` object of Character Card V3; its other fields are kept too."""

    name = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    description = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    scan_depth = serializers.FloatField(required=False, allow_null=True, min_value=0)
    token_budget = serializers.FloatField(required=False, allow_null=True, min_value=0)
    recursive_scanning = serializers.BooleanField(required=False)
    extensions = serializers.DictField()
    entries = serializers.ListField(child=serializers.DictField())
