from django.urls import path
from django.views.generic import RedirectView

from accounts import views

app_name = "accounts"

urlpatterns = [
    path("accounts/login/phone/", views.phone_entrance, name="phone-entrance"),
    path("settings/", RedirectView.as_view(pattern_name="accounts:profile"), name="settings"),
    path("settings/profile/", views.profile_edit, name="profile"),
    path("settings/profile/avatar/", views.avatar_change, name="avatar"),
    path("settings/sessions/", views.session_list, name="sessions"),
    path("settings/sessions/end-all/", views.session_end_all, name="session-end-all"),
    path("settings/sessions/<int:pk>/end/", views.session_end, name="session-end"),
    path("accounts/reauthenticate/code/", views.reauthenticate_by_code, name="reauthenticate-code"),
    path("settings/sign-in/", views.ways_in_list, name="ways-in"),
    path("settings/sign-in/<int:pk>/disconnect/", views.provider_disconnect, name="provider-disconnect"),
    path("settings/sign-in/phone/remove/", views.phone_remove, name="phone-remove"),
    path("settings/api-keys/", views.api_key_list, name="api-keys"),
    path("settings/api-keys/new/", views.api_key_create, name="api-key-create"),
    path("settings/api-keys/<uuid:key_id>/revoke/", views.api_key_revoke, name="api-key-revoke"),
    path("settings/data/", views.own_data, name="own-data"),
    path("settings/data/export/", views.export_request, name="export-request"),
    path("settings/data/export/<str:token>/", views.export_download, name="export-download"),
    path("settings/data/delete/", views.erasure_request, name="erasure-request"),
    path("settings/data/keep/", views.erasure_cancel, name="erasure-cancel"),
    path("settings/email/", RedirectView.as_view(pattern_name="account_email"), name="email"),
    path("settings/password/", RedirectView.as_view(pattern_name="account_change_password"), name="password"),
]
