"""The two addresses django-allauth's URLs of a redirect provider expect."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.decorators import login_not_required
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase

from accounts.providers.google.provider import GoogleOAuth2Adapter

View = Callable[..., HttpResponseBase]


def _if_set_up(view: View) -> View:
    """Without a client id there is no such page; django-allauth would fail on it."""

    @login_not_required
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.GOOGLE_CLIENT_IDS:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


oauth2_login = _if_set_up(OAuth2LoginView.adapter_view(GoogleOAuth2Adapter))
oauth2_callback = _if_set_up(OAuth2CallbackView.adapter_view(GoogleOAuth2Adapter))
