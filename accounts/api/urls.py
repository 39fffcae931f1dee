from django.urls import path

from accounts.api import views

app_name = "accounts"

urlpatterns = [
    path("me/", views.MeView.as_view(), name="me"),
    path("me/api-keys/", views.ApiKeyListView.as_view(), name="api-key-list"),
    path("me/api-keys/<uuid:key_id>/", views.ApiKeyDetailView.as_view(), name="api-key-detail"),
    path("me/restore/", views.RestoreView.as_view(), name="me-restore"),
    path("me/export/", views.ExportListView.as_view(), name="export-list"),
    path("me/export/<uuid:export_id>/", views.ExportDetailView.as_view(), name="export-detail"),
    path("ws-ticket/", views.SocketTicketView.as_view(), name="ws-ticket"),
]
