from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors
from accounts.api.serializers import (
    ApiKeySerializer,
    CreatedApiKeySerializer,
    ErasureSerializer,
    ExportSerializer,
    MeSerializer,
    NewApiKeySerializer,
    ProfileChangesSerializer,
    TicketSerializer,
)
from accounts.authentication import Identity, require_recent_sign_in, signed_in_user
from accounts.models import ApiKey
from accounts.services import api_keys, erasures, exports, profiles, tickets
from common.api.serializers import expect_no_fields


class MeView(APIView):
    @extend_schema(responses=MeSerializer, operation_id="me_retrieve")
    def get(self, request: Request) -> Response:
        """Your own profile."""
        return Response(MeSerializer(signed_in_user(request), context={"request": request}).data)

    @extend_schema(request=ProfileChangesSerializer, responses=MeSerializer, operation_id="me_partial_update")
    def patch(self, request: Request) -> Response:
        """Change your profile; fields that are left out stay as they are."""
        changes = ProfileChangesSerializer(data=request.data)
        changes.is_valid(raise_exception=True)
        user = profiles.update_profile(user_id=signed_in_user(request).id, changes=changes.validated_data)
        return Response(MeSerializer(user, context={"request": request}).data)

    @extend_schema(request=None, responses={202: ErasureSerializer}, operation_id="me_destroy")
    def delete(self, request: Request) -> Response:
        """Ask for your account to be erased after 14 days; needs a sign-in of the last minutes."""
        expect_no_fields(request)
        caller: Identity = request.auth  # type: ignore[assignment]
        require_recent_sign_in(caller)
        erasure = erasures.request_erasure(user_id=caller.user_id, session_key=caller.session_key)
        return Response(ErasureSerializer(erasure).data, status=status.HTTP_202_ACCEPTED)


class RestoreView(APIView):
    @extend_schema(request=None, responses=MeSerializer)
    def post(self, request: Request) -> Response:
        """Keep the account after all."""
        expect_no_fields(request)
        erasures.cancel_erasure(user_id=signed_in_user(request).id)
        return Response(MeSerializer(signed_in_user(request), context={"request": request}).data)


class ExportListView(APIView):
    @extend_schema(request=None, responses={202: ExportSerializer})
    def post(self, request: Request) -> Response:
        """Have all your data made into a ZIP; while one is being made, that one is answered."""
        expect_no_fields(request)
        export = exports.request_export(user_id=signed_in_user(request).id)
        return Response(
            ExportSerializer(export, context={"request": request}).data, status=status.HTTP_202_ACCEPTED
        )


class ExportDetailView(APIView):
    @extend_schema(responses=ExportSerializer)
    def get(self, request: Request, export_id: UUID) -> Response:
        """How far it is, and once it is ready where to fetch it."""
        export = selectors.get_export(signed_in_user(request).id, export_id)
        return Response(ExportSerializer(export, context={"request": request}).data)


class ApiKeyListView(ListAPIView[ApiKey]):
    serializer_class = ApiKeySerializer

    def get_queryset(self) -> QuerySet[ApiKey]:
        return selectors.list_api_keys(signed_in_user(self.request).id)

    @extend_schema(request=NewApiKeySerializer, responses={201: CreatedApiKeySerializer})
    def post(self, request: Request) -> Response:
        """Make a key for the OpenAI-compatible API; its text is in this answer only."""
        fields = NewApiKeySerializer(data=request.data)
        fields.is_valid(raise_exception=True)
        caller: Identity = request.auth  # type: ignore[assignment]
        require_recent_sign_in(caller)
        made = api_keys.create_api_key(user_id=caller.user_id, name=fields.validated_data["name"])
        made.row.key = made.text  # type: ignore[attr-defined]
        return Response(CreatedApiKeySerializer(made.row).data, status=status.HTTP_201_CREATED)


class ApiKeyDetailView(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke a key; it stops working at once."""
        api_keys.revoke_api_key(user_id=signed_in_user(request).id, key_id=key_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SocketTicketView(APIView):
    @extend_schema(request=None, responses={201: TicketSerializer})
    def post(self, request: Request) -> Response:
        """A ticket that opens one websocket within 60 seconds, for clients that cannot send headers."""
        expect_no_fields(request)
        caller: Identity = request.auth  # type: ignore[assignment]
        ticket = tickets.issue_ws_ticket(user_id=caller.user_id, session_key=caller.session_key)
        return Response(TicketSerializer(ticket).data, status=status.HTTP_201_CREATED)
