from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.api.parsers import StrictJSONParser
from common.api.serializers import expect_no_fields
from common.http import user_id
from files import selectors
from files.api.serializers import (
    BeginUploadSerializer,
    FileFilterSerializer,
    FileSerializer,
    StorageUseSerializer,
    UploadSerializer,
    UploadTicketSerializer,
)
from files.models import File
from files.services import direct, uploads


class FileListView(ListAPIView[File]):
    serializer_class = FileSerializer
    parser_classes = (MultiPartParser, StrictJSONParser)

    @extend_schema(parameters=[FileFilterSerializer])
    def get(self, request: Request) -> Response:
        """Your files, newest first."""
        filters = FileFilterSerializer(data=request.query_params)
        filters.is_valid(raise_exception=True)
        files = selectors.list_files(user_id(request), filters.validated_data.get("category", ""))
        page = self.paginate_queryset(files)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(request=UploadSerializer, responses={201: FileSerializer})
    def post(self, request: Request) -> Response:
        """Upload a file of at most 10 MB; what it is say its bytes, not its name."""
        fields = UploadSerializer(data=request.data)
        fields.is_valid(raise_exception=True)
        upload: UploadedFile = fields.validated_data["file"]
        file = uploads.upload_file(
            owner_id=user_id(request),
            category=fields.validated_data["category"],
            name=upload.name or "",
            data=uploads.read_upload(upload),
        )
        return Response(self.get_serializer(file).data, status=status.HTTP_201_CREATED)


class FileDetailView(APIView):
    @extend_schema(responses=FileSerializer)
    def get(self, request: Request, file_id: UUID) -> Response:
        """One of your files, with a fresh address."""
        file = selectors.get_file(user_id(request), file_id)
        return Response(FileSerializer(file, context={"request": request}).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, file_id: UUID) -> Response:
        """Delete it for good; 409 while a persona or your profile shows it."""
        uploads.delete_file(owner_id=user_id(request), file_id=file_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class StorageUseView(APIView):
    @extend_schema(responses=StorageUseSerializer)
    def get(self, request: Request) -> Response:
        """How much room you have, and what takes it."""
        return Response(StorageUseSerializer(selectors.storage_report(user_id(request))).data)


class BeginUploadView(APIView):
    @extend_schema(request=BeginUploadSerializer, responses={201: UploadTicketSerializer})
    def post(self, request: Request) -> Response:
        """Reserve room and get an address to send a file to directly; good for 15 minutes."""
        fields = BeginUploadSerializer(data=request.data)
        fields.is_valid(raise_exception=True)
        ticket = direct.begin_upload(owner_id=user_id(request), **fields.validated_data)
        return Response(UploadTicketSerializer(ticket).data, status=status.HTTP_201_CREATED)


class CompleteUploadView(APIView):
    @extend_schema(request=None, responses={201: FileSerializer})
    def post(self, request: Request, upload_id: UUID) -> Response:
        """Take the sent file in: it is checked like any other, and the reservation ends."""
        expect_no_fields(request)
        file = direct.complete_upload(owner_id=user_id(request), upload_id=upload_id)
        return Response(
            FileSerializer(file, context={"request": request}).data, status=status.HTTP_201_CREATED
        )
