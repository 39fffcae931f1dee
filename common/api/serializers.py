"""Serializers that refuse what they do not know, and fields for numbers and credits."""

import re
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from common.credits import InvalidCredits, format_credits, parse_credits

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses unknown keys with the code `unknown_field`, so that no write is half understood."""

    default_error_messages = {"unknown_field": _("There is no such field.")}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            unknown = sorted(set(data) - writable)
            if unknown:
                message = str(self.error_messages["unknown_field"])
                raise serializers.ValidationError(
                    {name: [ErrorDetail(message, code="unknown_field")] for name in unknown}
                )
        return super().to_internal_value(data)


def expect_no_fields(request: Request) -> None:
    """For writes that take no body: a field that would be ignored is refused like any unknown one."""
    StrictSerializer(data=request.data).is_valid(raise_exception=True)


class NumberField(serializers.DecimalField):
    """A number, or the same as plain ASCII digits; Python's own reading would take "１" and " 1e0" too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(coerce_to_string=False, **options)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, str) and not _PLAIN_NUMBER.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A whole number, as JSON writes it; Python's own reading would take "１２", "1_0" and 1.0 too."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return int(super().to_internal_value(data))


@extend_schema_field(OpenApiTypes.STR)
class CreditsField(serializers.Field[int, str, str, int]):
    """Microcredits inside, a decimal string of credits outside."""

    default_error_messages = {"invalid": _('Give credits as a decimal string such as "2.5".')}

    def to_representation(self, value: int) -> str:
        return format_credits(value)

    def to_internal_value(self, data: str) -> int:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return parse_credits(data)
        except InvalidCredits:
            self.fail("invalid")
