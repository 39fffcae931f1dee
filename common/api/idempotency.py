"""The `Idempotency-Key` header: the same key and body gives the first answer again.

Follows the shape of the IETF draft "The Idempotency-Key HTTP Header Field".
"""

import hashlib
import json
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from common.errors import Conflict, DomainError, Invalid
from common.models import IdempotentAnswer

HEADER = "Idempotency-Key"
_MAX_KEY = 200
_IN_FLIGHT_SECONDS = 60
_PASSING = frozenset({401, 402, 403, 409, 429})


class IdempotencyKeyReused(DomainError):
    code = "idempotency_key_reused"
    title = _("This key was used for another request")


class IdempotentMixin:
    """For API views: POSTs of signed-in users that carry the header take effect once.

    Answers are kept and given again, except those that may be another the next time: failures of ours, and
    refusals that pass (not signed in, no credits, a limit, something in the way). These leave the key free.
    """

    takes_idempotency_key = True

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        self.idempotent_answer: IdempotentAnswer | None = None
        try:
            response = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        except BaseException:
            self._forget_answer()
            raise
        return self._keep_answer(response)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None or not request.user.is_authenticated:
            return
        if not 0 < len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
            raise Invalid.field(HEADER, "invalid", _("The key must be 1 to 200 printable ASCII characters."))
        self.idempotent_answer = _claim(request.user.pk, key, _fingerprint(request))

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, _Replay):
            return _stored_response(exc.answer)
        return super().handle_exception(exc)  # type: ignore[misc]

    def _keep_answer(self, response: HttpResponse) -> HttpResponse:
        answer = self.idempotent_answer
        if answer is None:
            return response
        if response.status_code in _PASSING or response.status_code >= 500 or response.streaming:
            self._forget_answer()
            return response
        body = getattr(response, "data", None)
        if body is None and response.content:
            body = json.loads(response.content)
        answer.status, answer.body = response.status_code, json.loads(json.dumps(body, default=str))
        answer.save(update_fields=["status", "body"])
        return response

    def _forget_answer(self) -> None:
        if self.idempotent_answer is not None:
            self.idempotent_answer.delete()
            self.idempotent_answer = None


class _Replay(Exception):
    def __init__(self, answer: IdempotentAnswer) -> None:
        super().__init__()
        self.answer = answer


def _claim(user_id: UUID, key: str, fingerprint: str) -> IdempotentAnswer:
    answer = IdempotentAnswer(user_id=user_id, key=key, fingerprint=fingerprint)
    with transaction.atomic():
        _delete_abandoned(user_id, key)
        IdempotentAnswer.objects.bulk_create([answer], ignore_conflicts=True)
    first = IdempotentAnswer.objects.filter(user_id=user_id, key=key).first()
    if first is None or (first.status is None and first.id != answer.id and first.fingerprint == fingerprint):
        raise Conflict(_("The first request with this key is still running."), retry_after=1)
    if first.fingerprint != fingerprint:
        raise IdempotencyKeyReused()
    if first.id != answer.id:
        raise _Replay(first)
    return first


def _delete_abandoned(user_id: UUID, key: str) -> None:
    """A process that died in mid-request must not lock its key for good."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM common_idempotentanswer WHERE user_id = %s AND key = %s AND status IS NULL"
            " AND created_at < now() - make_interval(secs => %s)",
            [user_id, key, _IN_FLIGHT_SECONDS],
        )


def _fingerprint(request: Request) -> str:
    data = request.data
    body = json.dumps(data if isinstance(data, dict) else dict(data), sort_keys=True, default=_as_text)
    return hashlib.sha256(f"{request.path}\n{body}".encode()).hexdigest()


def _as_text(value: Any) -> str:
    """A file counts by its bytes: two of one name are two files."""
    if not isinstance(value, UploadedFile):
        return str(value)
    digest = hashlib.sha256()
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)
    return digest.hexdigest()


def _stored_response(answer: IdempotentAnswer) -> JsonResponse:
    is_problem = answer.status is not None and answer.status >= 400
    content_type = "application/problem+json" if is_problem else "application/json"
    response = JsonResponse(answer.body, status=answer.status, safe=False, content_type=content_type)
    response["Idempotent-Replayed"] = "true"
    return response
