"""The test shop's pages under our own address. Its API stays where it is: on this machine."""

import re

import requests
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from billing.stores import sandbox

_PAGES = re.compile(r"(?:c/pay|c/3ds|p/session|i)/[A-Za-z0-9_]+(?:/[a-z]+)?/?|style\.css", re.ASCII)
_TIMEOUT_SECONDS = 10


# Its forms carry secrets of their own, made for the one checkout they belong to.
@csrf_exempt
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, path: str) -> HttpResponse:
    shop = sandbox.running()
    if shop is None or not _PAGES.fullmatch(path):
        raise Http404
    answer = requests.request(
        request.method or "GET",
        f"{shop.api_base}/{path}",
        params=request.GET.urlencode(),
        data=request.body,
        headers={"Content-Type": request.headers.get("Content-Type", "")},
        allow_redirects=False,
        timeout=_TIMEOUT_SECONDS,
    )
    response = HttpResponse(answer.content, status=answer.status_code)
    for name in ("Content-Type", "Location"):
        if name in answer.headers:
            response[name] = answer.headers[name]
    return response
