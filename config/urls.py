from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from common import views

urlpatterns = [
    path("health/live", views.health_live, name="health-live"),
    path("health/ready", views.health_ready, name="health-ready"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("metrics", views.prometheus, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/v1/", include(("config.api_urls", "api"))),
    path("v1/", include("chat.openai.urls")),
    path("_allauth/", include("accounts.headless_urls")),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/3rdparty/", RedirectView.as_view(pattern_name="accounts:ways-in"), name="connections"),
    path("accounts/3rdparty/", include("allauth.socialaccount.urls")),
    path("accounts/", include("accounts.providers.google.urls")),
    path("", include("accounts.urls")),
    path("", include("notifications.urls")),
    path("", include("files.urls")),
    path("", include("billing.urls")),
    path("", include("chat.urls")),
    path("", include("personas.urls")),
    re_path(views.MACHINE_PATHS, views.unknown_machine_path),
]

handler400 = views.bad_request
handler403 = views.permission_denied
handler404 = views.page_not_found
handler500 = views.server_error
