"""OpenAPI for our manner: every operation documents the problem+json answers it can give."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers


class FieldErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable; see the list of codes in the documentation.")
    errors: Any = FieldErrorSerializer(many=True)
    request_id = serializers.CharField()


_ALWAYS = {
    "400": "Malformed request",
    "401": "Not signed in",
    "404": "Not found",
    "429": "Too many requests",
    "503": "Unavailable",
}
_ON_WRITES = {
    "402": "Not enough credits",
    "403": "Not allowed",
    "409": "Conflict",
    "413": "Too large",
    "415": "Unsupported content",
    "422": "Not valid",
}


_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="The same key and body gives the first answer again.",
)


class ProblemAutoSchema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        takes_key = self.method == "POST" and getattr(self.view, "takes_idempotency_key", False)
        return [_IDEMPOTENCY_KEY] if takes_key else []

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        documented = {**_ALWAYS, "403": "Not allowed"}
        if self.method not in ("GET", "HEAD"):
            documented |= _ON_WRITES
        elif any(parameter["in"] == "query" for parameter in self._get_parameters()):
            documented["422"] = _ON_WRITES["422"]
        for status, description in documented.items():
            if status not in bodies:
                response = OpenApiResponse(ProblemSerializer, description)
                bodies[status] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    response, status, media_types=["application/problem+json"], direction=direction
                )
        return bodies
