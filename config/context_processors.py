"""What every page may need."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    return {"public_url": settings.PUBLIC_URL, "support_email": settings.SUPPORT_EMAIL}
