"""What every page may need."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing import selectors as billing
from billing.templatetags.money import short_credits


def site(request: HttpRequest) -> dict[str, Any]:
    """Addresses, and the credits in the header; those are read only where a page shows them."""
    return {
        "public_url": settings.PUBLIC_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "header_credits": SimpleLazyObject(lambda: _credits_left(request)),
    }


def _credits_left(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    return short_credits(billing.get_wallet(user.pk).available)
