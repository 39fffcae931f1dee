from django.urls import path

from files import views

app_name = "files"

urlpatterns = [
    path("media/<path:key>", views.public_file, name="public-file"),
    path("files/private/<str:token>/", views.private_file, name="private-file"),
    path("files/direct/<str:token>/", views.direct_upload, name="direct-upload"),
    path("settings/storage/", views.storage, name="storage"),
    path("settings/storage/<uuid:file_id>/delete/", views.file_delete, name="file-delete"),
]
