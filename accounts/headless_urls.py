"""django-allauth's headless API without the routes of what is not offered: phones."""

from typing import NoReturn

from django.http import Http404, HttpRequest
from django.urls import include, re_path
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def not_offered(request: HttpRequest) -> NoReturn:
    raise Http404


urlpatterns = [
    re_path(r"^(?:app|browser)/v1/(?:account|auth)/phone(?:/|$)", not_offered),
    re_path(r"", include("allauth.headless.urls")),
]
