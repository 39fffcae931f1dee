"""The API's document and its two reference pages, from local files."""

from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

# Both readers write style elements of their own, and ReDoc searches in a worker made from a blob.
_policy: Any = method_decorator(
    csp_replace({"style-src": [SELF, UNSAFE_INLINE], "worker-src": [SELF, "blob:"]}), name="dispatch"
)


@_policy
class SwaggerView(SpectacularSwaggerSplitView):
    url_name = "api:schema"


@_policy
class RedocView(SpectacularRedocView):
    url_name = "api:schema"
