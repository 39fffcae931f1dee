from django.urls import path

from files.api import views

app_name = "files"

urlpatterns = [
    path("files/", views.FileListView.as_view(), name="file-list"),
    path("files/usage/", views.StorageUseView.as_view(), name="usage"),
    path("files/uploads/", views.BeginUploadView.as_view(), name="upload-begin"),
    path(
        "files/uploads/<uuid:upload_id>/complete/", views.CompleteUploadView.as_view(), name="upload-complete"
    ),
    path("files/<uuid:file_id>/", views.FileDetailView.as_view(), name="file-detail"),
]
