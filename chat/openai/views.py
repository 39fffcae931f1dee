"""The OpenAI-compatible face: every persona is a model. Shapes and errors are OpenAI's own.

Source: OpenAI's API reference, "Models" and "Errors".
"""

import json
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.authentication import ApiKeyAuthentication
from common.errors import NotFound
from common.http import user_id
from personas import selectors
from personas.models import Persona

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


@extend_schema(exclude=True)
class OpenAIView(APIView):
    """One way in, the API key; errors as OpenAI's clients understand them."""

    authentication_classes = (ApiKeyAuthentication,)
    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated,)
    codes: ClassVar = _CODES

    def handle_exception(self, exc: Exception | APIException) -> Response:
        problem = super().handle_exception(exc)
        body = json.loads(problem.content)
        status = problem.status_code
        kind = "server_error" if status >= 500 else _KINDS.get(status, "invalid_request_error")
        code = self.codes.get(status, body.get("code"))
        error = {"message": str(body.get("detail", "")), "type": kind, "param": None, "code": code}
        headers = {name: value for name, value in problem.items() if not name.startswith("Content-")}
        return Response({"error": error}, status=problem.status_code, headers=headers)


class ModelListView(OpenAIView):
    def get(self, request: Request) -> Response:
        """The personas the key's owner may talk to."""
        personas = selectors.list_talkable_personas(user_id(request))
        return Response({"object": "list", "data": [_as_model(persona) for persona in personas]})


class ModelDetailView(OpenAIView):
    def get(self, request: Request, slug: str) -> Response:
        return Response(_as_model(selectors.get_visible_persona_by_slug(user_id(request), slug)))


class UnknownView(OpenAIView):
    """Any other path under `/v1/`."""

    permission_classes = ()
    codes: ClassVar = {**_CODES, 404: "unknown_url"}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound(_("There is nothing here; see the documentation for what this API offers."))


def _as_model(persona: Persona) -> dict[str, Any]:
    return {
        "id": persona.slug,
        "object": "model",
        "created": int(persona.created_at.timestamp()),
        "owned_by": persona.owner.handle or "parlor",
    }
