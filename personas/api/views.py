from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.authentication import signed_in_user
from common.api.idempotency import IdempotentMixin
from common.api.serializers import expect_no_fields
from common.errors import PayloadTooLarge
from personas import selectors
from personas.api.pagination import KeysetPagination
from personas.api.serializers import (
    ExportParameters,
    FileSerializer,
    LorebookSerializer,
    PersonaListParameters,
    PersonaSerializer,
    PersonaWriteSerializer,
    SearchParameters,
)
from personas.cards.limits import MAX_FILE_BYTES
from personas.models import Persona
from personas.services import cards, lorebooks, marks, personas, portraits

_SORT_FIELDS = {
    "trending": "trending_score",
    "top": "likes_count",
    "new": "published_at",
    "relevance": "relevance",
}
# What a multipart body weighs beside its file.
_ENVELOPE_BYTES = 64 * 1024


class PersonaView(GenericAPIView[Persona]):
    serializer_class: type[BaseSerializer] = PersonaSerializer
    # Lists have their own; here it is said for the schema of the others.
    pagination_class: type[KeysetPagination] | None = None

    @property
    def user_id(self) -> UUID:
        """Of somebody signed in; `request.user.pk` is None for a visitor."""
        return signed_in_user(self.request).pk

    def persona_response(self, persona_id: UUID, status: int = 200) -> Response:
        persona = selectors.get_own_persona(self.user_id, persona_id)
        return Response(PersonaSerializer(persona, context=self.get_serializer_context()).data, status=status)


class PersonaListMixin:
    """One page of personas by the query's filters and order."""

    parameters: ClassVar[type[PersonaListParameters]] = PersonaListParameters
    default_sort = "trending"
    sort_field = "trending_score"

    def list_page(self, request: Request) -> Response:
        wanted = _parameters(self.parameters, request)
        sort = self._sort(wanted)
        chosen = _filter_of(wanted)
        if wanted.get("mine"):
            found = selectors.list_own_personas(signed_in_user(request).pk, chosen)
        else:
            found = selectors.list_public_personas(_user(request), chosen)
        # A persona of one's own may never have been published, so the newest of them are the latest made.
        self.sort_field = "created_at" if wanted.get("mine") and sort == "new" else _SORT_FIELDS[sort]
        page = self.paginate_queryset(found)  # type: ignore[attr-defined]
        body = self.get_serializer(page, many=True).data  # type: ignore[attr-defined]
        return self.get_paginated_response(body)  # type: ignore[attr-defined]

    def _sort(self, wanted: dict[str, Any]) -> str:
        has_words = bool(wanted.get("q"))
        sort = wanted.get("sort") or ("relevance" if has_words else "new" if wanted.get("mine") else "")
        if sort == "relevance" and not has_words:
            # Without words nothing is more relevant than anything else.
            sort = ""
        return sort or self.default_sort


class PersonaListView(IdempotentMixin, PersonaListMixin, PersonaView):
    permission_classes = (IsAuthenticatedOrReadOnly,)
    pagination_class = KeysetPagination

    @extend_schema(parameters=[PersonaListParameters], responses=PersonaSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Public personas, or with `mine` the caller's own."""
        return self.list_page(request)

    @extend_schema(request=PersonaWriteSerializer, responses={201: PersonaSerializer})
    def post(self, request: Request) -> Response:
        """Create a persona; it is private until `visibility` says otherwise."""
        data = PersonaWriteSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        persona = personas.create_persona(owner_id=self.user_id, **data.validated_data)
        return self.persona_response(persona.pk, 201)


class TrendingView(PersonaListMixin, PersonaView):
    permission_classes = (IsAuthenticatedOrReadOnly,)
    pagination_class = KeysetPagination

    @extend_schema(responses=PersonaSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Public personas people talk with most lately."""
        self.sort_field = "trending_score"
        found = selectors.list_public_personas(_user(request), selectors.PersonaFilter())
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(found), many=True).data)


class SearchView(PersonaListMixin, PersonaView):
    permission_classes = (IsAuthenticatedOrReadOnly,)
    pagination_class = KeysetPagination
    parameters = SearchParameters

    @extend_schema(parameters=[SearchParameters], responses=PersonaSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Public personas by the words of `q` in name, tagline, tags and description."""
        return self.list_page(request)


class PersonaDetailView(PersonaView):
    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(responses=PersonaSerializer)
    def get(self, request: Request, persona_id: UUID) -> Response:
        persona = selectors.get_visible_persona(request.user.pk, persona_id)
        return Response(self.get_serializer(persona).data)

    @extend_schema(request=PersonaWriteSerializer, responses=PersonaSerializer)
    def put(self, request: Request, persona_id: UUID) -> Response:
        """Replace all that may be written; what is left out goes to its default."""
        return self._update(request, persona_id, partial=False)

    @extend_schema(request=PersonaWriteSerializer(partial=True), responses=PersonaSerializer)
    def patch(self, request: Request, persona_id: UUID) -> Response:
        return self._update(request, persona_id, partial=True)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, persona_id: UUID) -> Response:
        """Chats with the persona keep its name."""
        personas.delete_persona(user_id=self.user_id, persona_id=persona_id)
        return Response(status=204)

    def _update(self, request: Request, persona_id: UUID, *, partial: bool) -> Response:
        # Whose persona it is comes first, so that strangers learn nothing from the checks of their input.
        selectors.get_own_persona(self.user_id, persona_id)
        data = PersonaWriteSerializer(data=request.data, partial=partial)
        data.is_valid(raise_exception=True)
        personas.update_persona(user_id=self.user_id, persona_id=persona_id, changes=data.validated_data)
        return self.persona_response(persona_id)


class CloneView(IdempotentMixin, PersonaView):
    @extend_schema(request=None, responses={201: PersonaSerializer})
    def post(self, request: Request, persona_id: UUID) -> Response:
        """A private copy of a persona whose owner allows it."""
        expect_no_fields(request)
        copy = personas.clone_persona(user_id=self.user_id, persona_id=persona_id)
        return self.persona_response(copy.pk, 201)


class LikeView(PersonaView):
    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, persona_id: UUID) -> Response:
        expect_no_fields(request)
        marks.like_persona(user_id=self.user_id, persona_id=persona_id)
        return Response(status=204)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, persona_id: UUID) -> Response:
        marks.unlike_persona(user_id=self.user_id, persona_id=persona_id)
        return Response(status=204)


class FavoriteView(PersonaView):
    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, persona_id: UUID) -> Response:
        expect_no_fields(request)
        marks.add_favorite(user_id=self.user_id, persona_id=persona_id)
        return Response(status=204)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, persona_id: UUID) -> Response:
        marks.remove_favorite(user_id=self.user_id, persona_id=persona_id)
        return Response(status=204)


class ImportView(IdempotentMixin, PersonaView):
    parser_classes = (MultiPartParser,)

    @extend_schema(request=FileSerializer, responses={201: PersonaSerializer})
    def post(self, request: Request) -> Response:
        """A persona from a character card (V1, V2 or V3), as JSON or in a PNG."""
        persona = cards.import_card(owner_id=self.user_id, data=_uploaded(request))
        return self.persona_response(persona.pk, 201)


class _AnyAccepted(DefaultContentNegotiation):
    """The query says which kind of file is wanted, so the Accept header need not."""

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        first = next(iter(renderers))
        return first, first.media_type


class ExportView(PersonaView):
    content_negotiation_class = _AnyAccepted

    @extend_schema(
        parameters=[ExportParameters],
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            (200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY),
        },
    )
    def get(self, request: Request, persona_id: UUID) -> HttpResponse:
        """The persona as a character card; a PNG of version 3 carries version 2 too."""
        wanted = _parameters(ExportParameters, request)
        file = cards.export_card(
            user_id=self.user_id,
            persona_id=persona_id,
            file_format=wanted["format"],
            spec=wanted["spec"],
        )
        return HttpResponse(
            file.data,
            content_type=file.content_type,
            headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
        )


class LorebookView(PersonaView):
    serializer_class = LorebookSerializer

    @extend_schema(responses=LorebookSerializer)
    def get(self, request: Request, persona_id: UUID) -> Response:
        return Response(lorebooks.get_lorebook(user_id=self.user_id, persona_id=persona_id))

    @extend_schema(request=LorebookSerializer, responses=LorebookSerializer)
    def put(self, request: Request, persona_id: UUID) -> Response:
        selectors.get_own_persona(self.user_id, persona_id)
        book = lorebooks.put_lorebook(user_id=self.user_id, persona_id=persona_id, lorebook=request.data)
        return Response(book)


class AvatarView(PersonaView):
    parser_classes = (MultiPartParser,)

    @extend_schema(request=FileSerializer, responses=PersonaSerializer)
    def put(self, request: Request, persona_id: UUID) -> Response:
        """The persona's picture: PNG, JPEG, WebP or GIF of at most 10 MB."""
        selectors.get_own_persona(self.user_id, persona_id)
        portraits.set_portrait(user_id=self.user_id, persona_id=persona_id, data=_uploaded(request))
        return self.persona_response(persona_id)

    @extend_schema(request=FileSerializer, responses=PersonaSerializer)
    def post(self, request: Request, persona_id: UUID) -> Response:
        """The same as PUT, for clients that send files only so."""
        return self.put(request, persona_id)

    @extend_schema(responses={200: PersonaSerializer})
    def delete(self, request: Request, persona_id: UUID) -> Response:
        """Back to the drawn initial."""
        portraits.remove_portrait(user_id=self.user_id, persona_id=persona_id)
        return self.persona_response(persona_id)


def _user(request: Request) -> Any:
    return request.user if request.user.is_authenticated else None


def _parameters(serializer: type[BaseSerializer], request: Request) -> dict[str, Any]:
    data = serializer(data=request.query_params)
    data.is_valid(raise_exception=True)
    return dict(data.validated_data)


def _filter_of(wanted: dict[str, Any]) -> selectors.PersonaFilter:
    return selectors.PersonaFilter(
        query=wanted.get("q", ""),
        tags=tuple(tag.strip().casefold() for tag in wanted.get("tag", ())),
        category=wanted.get("category", ""),
        rating=wanted.get("rating", ""),
        language=wanted.get("language", ""),
    )


def _uploaded(request: Request) -> bytes:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_FILE_BYTES + _ENVELOPE_BYTES:
        raise PayloadTooLarge(_("A file may have at most 10 MB."))
    data = FileSerializer(data=request.data)
    data.is_valid(raise_exception=True)
    file = data.validated_data["file"]
    if file.size > MAX_FILE_BYTES:
        raise PayloadTooLarge(_("A file may have at most 10 MB."))
    return bytes(file.read())
