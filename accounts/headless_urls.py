"""django-allauth's headless API, with what our contract adds to it in front."""

from allauth.headless.base.views import APIView
from allauth.headless.constants import Client
from django.urls import URLPattern, include, path

from accounts import headless_views as views


def _added(client: Client) -> list[URLPattern]:
    added: dict[str, type[APIView]] = {
        "auth/login": views.LoginView,
        "auth/code/request": views.RequestLoginCodeView,
        "auth/password/request": views.RequestPasswordResetView,
        "auth/password/reset": views.ResetPasswordView,
        "auth/reauthenticate/code": views.ReauthenticateByCodeView,
        "account/phone": views.ManagePhoneView,
        "account/providers": views.ManageProvidersView,
    }
    return [
        path(f"{client.value}/v1/{name}", view.as_api_view(client=client)) for name, view in added.items()
    ]


urlpatterns = [
    *_added(Client.APP),
    *_added(Client.BROWSER),
    path("", include("allauth.headless.urls")),
]
