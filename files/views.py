from csp.constants import NONE
from csp.decorators import csp
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from files.services import store

_IMMUTABLE = "public, max-age=31536000, immutable"


@require_safe
@csp({"default-src": [NONE]})  # type: ignore[arg-type]
def public_file(request: HttpRequest, key: str) -> HttpResponse:
    """A public picture; what stands under a key never changes."""
    data = store.read_public(key)
    if data is None:
        raise Http404
    response = HttpResponse(data, content_type=store.content_type_of(key))
    response["Cache-Control"] = _IMMUTABLE
    response["Content-Disposition"] = "inline"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
