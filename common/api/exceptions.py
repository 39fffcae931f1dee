"""Every error of the API becomes one shape: `application/problem+json` with a stable code."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import Http404, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.views import set_rollback

from common import context, errors, metrics

CONTENT_TYPE = "application/problem+json"


class Malformed(errors.DomainError):
    code = "malformed"
    status = 400
    title = _("The request could not be read")


class MethodNotAllowed(errors.DomainError):
    code = "method_not_allowed"
    status = 405
    title = _("This address does not take that method")


class NotAcceptable(errors.DomainError):
    code = "not_acceptable"
    status = 406
    title = _("None of the accepted formats can be sent")


def problem_response(error: Exception, details: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's exception handler; unknown exceptions stay exceptions."""
    problem = as_domain_error(error)
    if problem is None:
        return None
    set_rollback()
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}
    return problem_json(problem, headers=headers)


def problem_json(
    error: errors.DomainError, *, status: int | None = None, headers: dict[str, str] | None = None
) -> JsonResponse:
    body = errors.as_problem(error, context.request_id.get())
    response = JsonResponse(body, status=status or error.status, content_type=CONTENT_TYPE, headers=headers)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if response.status_code in (401, 403, 404):
        metrics.DENIED.labels(str(response.status_code)).inc()
    return response


def as_domain_error(error: Exception) -> errors.DomainError | None:
    match error:
        case errors.DomainError():
            return error
        case exceptions.ValidationError():
            return errors.Invalid(fields=list(_field_errors(error.get_full_details())))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.NotAuthenticated(error.detail)
        case Http404() | exceptions.NotFound():
            return errors.NotFound()
        case DjangoPermissionDenied() | exceptions.PermissionDenied():
            return errors.PermissionDenied()
        case exceptions.Throttled():
            return errors.RateLimited(retry_after=max(1, round(getattr(error, "wait", None) or 1)))
        case exceptions.UnsupportedMediaType():
            return errors.UnsupportedMedia(error.detail)
        case exceptions.ParseError():
            return Malformed(error.detail)
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed()
        case exceptions.NotAcceptable():
            return NotAcceptable()
        case RequestDataTooBig() | TooManyFieldsSent():
            return errors.PayloadTooLarge()
    return None


def _field_errors(details: Any, path: str = "") -> Iterator[errors.FieldError]:
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield errors.FieldError(path or "non_field_errors", str(details["code"]), str(details["message"]))
    elif isinstance(details, dict):
        for name, inner in details.items():
            yield from _field_errors(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(details, list):
        for index, inner in enumerate(details):
            is_leaf = isinstance(inner, dict) and set(inner) == {"message", "code"}
            yield from _field_errors(inner, path if is_leaf else f"{path}.{index}")
