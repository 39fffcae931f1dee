"""What may be sent, and the documented shape of what comes back (made in `chat/payloads.py`)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat.models import Generation, Message
from common.api.serializers import StrictSerializer

Shape = serializers.Serializer[Any]


class PersonaRefSerializer(Shape):
    id = serializers.UUIDField()
    name = serializers.CharField()
    avatar_url = serializers.CharField()


class SessionSerializer(Shape):
    id = serializers.UUIDField()
    persona = PersonaRefSerializer()
    title = serializers.CharField()
    pinned = serializers.BooleanField()
    archived = serializers.BooleanField()
    message_count = serializers.IntegerField()
    last_message_at = serializers.DateTimeField()
    last_message_preview = serializers.CharField()
    created_at = serializers.DateTimeField()


class VariantSerializer(Shape):
    index = serializers.IntegerField(help_text="Place among its siblings, from 0.")
    count = serializers.IntegerField()
    previous = serializers.UUIDField(allow_null=True)
    next = serializers.UUIDField(allow_null=True)


class UsageSerializer(Shape):
    model = serializers.CharField()
    input_tokens = serializers.IntegerField(help_text="Cached ones included.")
    output_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()


class MessageUsageSerializer(UsageSerializer):
    credits = serializers.CharField(help_text="Paid for this reply, in credits.")


class MessageSerializer(Shape):
    id = serializers.UUIDField()
    session = serializers.UUIDField()
    role = serializers.ChoiceField(Message.Role.choices)
    content = serializers.CharField()
    status = serializers.ChoiceField(Message.Status.choices)
    code = serializers.CharField(help_text="Why a reply ended other than well; empty otherwise.")
    detail = serializers.CharField(help_text="The same in words, with what it means for the charge.")
    parent: Any = serializers.UUIDField(allow_null=True)
    variant = VariantSerializer()
    attachments = serializers.ListField()
    citations = serializers.ListField()
    sentiment = serializers.JSONField(allow_null=True)
    feedback = serializers.ChoiceField(Message.Feedback.choices)
    usage = MessageUsageSerializer(allow_null=True)
    client_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class ChargeSerializer(Shape):
    credits = serializers.CharField()


class GenerationSerializer(Shape):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Generation.Status.choices)
    message = MessageSerializer(allow_null=True)
    usage = UsageSerializer()
    charge = ChargeSerializer()


class AcceptedSerializer(Shape):
    message = MessageSerializer(allow_null=True, help_text="The user's message that is answered.")
    reply = MessageSerializer()
    generation = GenerationSerializer()


class FoundSerializer(Shape):
    session = SessionSerializer()
    message = MessageSerializer(allow_null=True, help_text="Empty where the title matched.")


def page_of(serializer: type[Shape]) -> type[Shape]:
    """The list envelope around `serializer`, for the OpenAPI document."""
    fields = {
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": serializer(many=True),
    }
    return type(
        f"{serializer.__name__.removesuffix('Serializer')}PageSerializer", (serializers.Serializer,), fields
    )


class NewSessionSerializer(StrictSerializer):
    persona = serializers.UUIDField()


class SessionChangeSerializer(StrictSerializer):
    title = serializers.CharField(required=False, max_length=500)
    pinned = serializers.BooleanField(required=False)
    archived = serializers.BooleanField(required=False)


class ClientIdSerializer(StrictSerializer):
    client_id = serializers.CharField(
        max_length=100,
        trim_whitespace=False,
        help_text="Made by the client; sending it again changes nothing.",
    )


@extend_schema_field({"type": "string", "maxLength": 20000})
class TextField(serializers.CharField):
    """A text as it was typed; its length and characters are the service's business."""

    def __init__(self) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True)


class EditSerializer(ClientIdSerializer):
    content = TextField()


class SendSerializer(EditSerializer):
    attachments = serializers.ListField(required=False)
    parent: Any = serializers.UUIDField(required=False, allow_null=True)


class FeedbackSerializer(StrictSerializer):
    rating = serializers.ChoiceField(Message.Feedback.choices)


class ExportSerializer(StrictSerializer):
    format = serializers.ChoiceField([("json", "JSON"), ("md", "Markdown")])
