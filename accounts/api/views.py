from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.serializers import MeSerializer, ProfileChangesSerializer, TicketSerializer
from accounts.authentication import Identity, signed_in_user
from accounts.services import profiles, tickets
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


class SocketTicketView(APIView):
    @extend_schema(request=None, responses={201: TicketSerializer})
    def post(self, request: Request) -> Response:
        """A ticket that opens one websocket within 60 seconds, for clients that cannot send headers."""
        expect_no_fields(request)
        caller: Identity = request.auth  # type: ignore[assignment]
        ticket = tickets.issue_ws_ticket(user_id=caller.user_id, session_key=caller.session_key)
        return Response(TicketSerializer(ticket).data, status=status.HTTP_201_CREATED)
