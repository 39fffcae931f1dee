"""Every error of the API becomes one shape: `application/problem+json` with a stable code."""

from collections.abc import Callable, Iterator
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.views import set_rollback

from common import context, errors, metrics

CONTENT_TYPE = "application/problem+json"
logger = structlog.get_logger("parlor.api")


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
    if isinstance(error, errors.DomainError):
        return error
    for kinds, translate in _TRANSLATIONS:
        if isinstance(error, kinds):
            return translate(error)
    return None


def _database_away(error: Exception) -> errors.DomainError:
    logger.warning("database_unavailable", error=str(error)[:300])
    return errors.Unavailable(_("The database can't be reached right now. Please try again."), retry_after=2)


# The first match counts, so the particular stand before the general.
_TRANSLATIONS: list[tuple[tuple[type[Exception], ...], Callable[[Any], errors.DomainError]]] = [
    (
        (exceptions.ValidationError,),
        lambda error: errors.Invalid(fields=list(_field_errors(error.get_full_details()))),
    ),
    (
        (exceptions.NotAuthenticated, exceptions.AuthenticationFailed),
        lambda error: errors.NotAuthenticated(error.detail),
    ),
    ((Http404, exceptions.NotFound), lambda error: errors.NotFound()),
    ((DjangoPermissionDenied, exceptions.PermissionDenied), lambda error: errors.PermissionDenied()),
    (
        (exceptions.Throttled,),
        lambda error: errors.RateLimited(retry_after=max(1, round(getattr(error, "wait", None) or 1))),
    ),
    ((exceptions.UnsupportedMediaType,), lambda error: errors.UnsupportedMedia(error.detail)),
    ((exceptions.ParseError,), lambda error: Malformed(error.detail)),
    ((exceptions.MethodNotAllowed,), lambda error: MethodNotAllowed()),
    ((exceptions.NotAcceptable,), lambda error: NotAcceptable()),
    ((RequestDataTooBig, TooManyFieldsSent), lambda error: errors.PayloadTooLarge()),
    ((OperationalError, InterfaceError), _database_away),
]


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
