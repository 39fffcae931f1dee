"""Domain errors with stable codes, and their two outer shapes: problem+json and a socket's `error`.

The shape follows RFC 9457 (Problem Details for HTTP APIs).
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    code: str
    detail: str


class DomainError(Exception):
    """Something a user or client can be told; `extra` lands beside `code` in the answer."""

    code: ClassVar[str] = "invalid"
    status: ClassVar[int] = 422
    title: ClassVar[Any] = _("The request is not valid")

    def __init__(self, detail: Any = "", *, fields: list[FieldError] | None = None, **extra: Any) -> None:
        super().__init__(str(detail) or self.code)
        self.detail = detail or self.title
        self.fields = fields or []
        self.extra = extra

    @property
    def retry_after(self) -> int | None:
        """Whole seconds after which asking again makes sense."""
        return self.extra.get("retry_after")


class Invalid(DomainError):
    @classmethod
    def field(cls, field: str, code: str, detail: Any) -> "Invalid":
        return cls(detail, fields=[FieldError(field, code, str(detail))])


class NotAuthenticated(DomainError):
    code = "not_authenticated"
    status = 401
    title = _("Sign in first")


class TokenExpired(NotAuthenticated):
    code = "token_expired"
    title = _("The access token has expired")


class PermissionDenied(DomainError):
    code = "permission_denied"
    status = 403
    title = _("You may not do this")


class PlanRequired(PermissionDenied):
    code = "plan_required"
    title = _("This needs another plan")


class LimitReached(PermissionDenied):
    code = "limit_reached"
    title = _("A limit is reached")


class AgeRestricted(PermissionDenied):
    code = "age_restricted"
    title = _("This is for adults")


class NotFound(DomainError):
    code = "not_found"
    status = 404
    title = _("There is nothing here")


class Conflict(DomainError):
    code = "conflict"
    status = 409
    title = _("Something else is in the way")


class PayloadTooLarge(DomainError):
    code = "file_too_large"
    status = 413
    title = _("The file is too large")


class UnsupportedMedia(DomainError):
    code = "unsupported_media_type"
    status = 415
    title = _("This kind of content is not accepted")


class RateLimited(DomainError):
    code = "rate_limited"
    status = 429
    title = _("Too many requests")


class ContentBlocked(DomainError):
    code = "content_blocked"
    status = 451
    title = _("This content is not allowed")


class Unavailable(DomainError):
    code = "provider_unavailable"
    status = 503
    title = _("The service is not available right now")


def as_problem(error: DomainError, request_id: str) -> dict[str, Any]:
    """The body of an `application/problem+json` answer."""
    return {
        **error.extra,
        "type": "about:blank",
        "title": str(error.title),
        "status": error.status,
        "detail": str(error.detail),
        "code": error.code,
        "errors": [asdict(field) for field in error.fields],
        "request_id": request_id,
    }


def as_socket_error(error: DomainError, client_id: str | None = None) -> dict[str, Any]:
    """The `error` event of a websocket: the fields of the HTTP error."""
    event = {
        **error.extra,
        "type": "error",
        "code": error.code,
        "status": error.status,
        "detail": str(error.detail),
    }
    if error.fields:
        event["errors"] = [asdict(field) for field in error.fields]
    if client_id is not None:
        event["client_id"] = client_id
    return event
