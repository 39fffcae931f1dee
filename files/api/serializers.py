from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from common.api.serializers import StrictSerializer, WholeNumberField
from files import selectors
from files.models import MAX_NAME_LENGTH, File


class FileSerializer(serializers.ModelSerializer[File]):
    url = serializers.SerializerMethodField(help_text=_("Good for five minutes where the file is private."))
    thumbnail_url = serializers.SerializerMethodField()

    class Meta:
        model = File
        fields = [
            "id",
            "category",
            "state",
            "name",
            "content_type",
            "size",
            "url",
            "thumbnail_url",
            "created_at",
        ]
        read_only_fields = fields

    def get_url(self, file: File) -> str | None:
        return self._absolute(selectors.file_url(file))

    def get_thumbnail_url(self, file: File) -> str | None:
        return self._absolute(selectors.thumbnail_url(file))

    def _absolute(self, url: str | None) -> str | None:
        request = self.context.get("request")
        return request.build_absolute_uri(url) if url and request else url


class UploadSerializer(StrictSerializer):
    file = serializers.FileField(allow_empty_file=True, max_length=None)
    category = serializers.ChoiceField(choices=File.Category.choices)


class FileFilterSerializer(StrictSerializer):
    category = serializers.ChoiceField(choices=File.Category.choices, required=False)
    cursor = serializers.CharField(required=False)
    page_size = serializers.CharField(required=False)


class CategoryUseSerializer(serializers.Serializer[Any]):
    category = serializers.ChoiceField(choices=File.Category.choices)
    files = serializers.IntegerField()
    bytes = serializers.IntegerField()


class StorageUseSerializer(serializers.Serializer[Any]):
    used = serializers.IntegerField(help_text=_("Bytes."))
    quota = serializers.IntegerField(help_text=_("Bytes."))
    categories = CategoryUseSerializer(many=True)


class BeginUploadSerializer(StrictSerializer):
    category = serializers.ChoiceField(choices=File.Category.choices)
    name = serializers.CharField(max_length=MAX_NAME_LENGTH * 4)
    size = WholeNumberField(min_value=1, help_text=_("Bytes."))


class UploadTicketSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.CharField(help_text=_("POST a form there: `fields`, then `file`."))
    expires_at = serializers.DateTimeField()

    def get_fields(self) -> dict[str, serializers.Field]:
        # Not declared above, since `fields` is a name the serializer itself needs.
        declared = super().get_fields()
        return {**declared, "fields": serializers.DictField(child=serializers.CharField())}
