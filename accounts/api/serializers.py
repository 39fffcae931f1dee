from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts import profile
from accounts.models import ApiKey, DataExport, Erasure, User
from accounts.selectors import has_verified_email
from accounts.services.exports import sign_url_path
from common.api.serializers import StrictSerializer


class ProfileChangesSerializer(StrictSerializer):
    """What a user may change about themselves; address and phone change by verification only."""

    handle = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=60)
    display_name = serializers.CharField(required=False, max_length=200)
    pronouns = serializers.CharField(required=False, allow_blank=True, max_length=200)
    locale = serializers.CharField(required=False, allow_blank=True, max_length=40)
    time_zone = serializers.CharField(required=False, allow_blank=True, max_length=64)
    birth_date = serializers.DateField(required=False, allow_null=True)


class MeSerializer(serializers.ModelSerializer[User]):
    email_verified = serializers.SerializerMethodField()
    avatar_url = serializers.SerializerMethodField()
    is_adult = serializers.BooleanField(read_only=True)

    class Meta:
        model = User
        fields = [
            "id",
            "email",
            "email_verified",
            "phone",
            "handle",
            "display_name",
            "avatar_url",
            "pronouns",
            "locale",
            "time_zone",
            "birth_date",
            "is_adult",
            "created_at",
        ]
        read_only_fields = fields

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        created_at = fields.pop("created_at")
        added = {name: _AddedField(function) for name, function in profile.extra_fields().items()}
        return {**fields, **added, "created_at": created_at}

    def get_email_verified(self, user: User) -> bool:
        return has_verified_email(user.id)

    def get_avatar_url(self, user: User) -> str | None:
        url = profile.avatar_url(user)
        request = self.context.get("request")
        return request.build_absolute_uri(url) if url and request else url


class _AddedField(serializers.CharField):
    """A field another app registered."""

    def __init__(self, function: profile.FieldFunction) -> None:
        super().__init__(read_only=True)
        self.function = function

    def get_attribute(self, instance: User) -> str:
        return self.function(instance)


class ExportSerializer(serializers.ModelSerializer[DataExport]):
    url = serializers.SerializerMethodField(help_text=_("Good for five minutes, for its owner only."))

    class Meta:
        model = DataExport
        fields = ["id", "status", "progress", "size", "url", "expires_at", "created_at"]
        read_only_fields = fields

    def get_url(self, export: DataExport) -> str | None:
        token = sign_url_path(export)
        request = self.context.get("request")
        path = reverse("accounts:export-download", args=[token]) if token else None
        return request.build_absolute_uri(path) if path and request else path


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    class Meta:
        model = Erasure
        fields = ["requested_at", "erase_at"]
        read_only_fields = fields


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "last_used_at", "created_at"]
        read_only_fields = fields


class NewApiKeySerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)


class CreatedApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text=_("The key itself; it is never shown again."))

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]


class TicketSerializer(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text=_("Good for one websocket: `?ticket=`."))
    expires_at = serializers.DateTimeField()
