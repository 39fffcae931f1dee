"""No request body is larger than we ever need: the rest is refused before it is stored anywhere."""

import json
from typing import Any

from django.conf import settings

from common.errors import PayloadTooLarge, as_problem
from common.ids import uuid7


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware. Counts what really comes, whatever Content-Length says or does not say."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        limit, received, started = settings.MAX_REQUEST_BYTES, 0, False

        async def counted() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _TooLarge
            return message

        async def noted(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        if _declared(scope) > limit:
            await _refuse(send)
            return
        try:
            await self.application(scope, counted, noted)
        except _TooLarge:
            if not started:
                await _refuse(send)


def _declared(scope: Any) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


async def _refuse(send: Any) -> None:
    request_id = str(uuid7())
    body = json.dumps(as_problem(PayloadTooLarge(), request_id)).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        # What is still on its way is not read, so the connection can't be used again.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
