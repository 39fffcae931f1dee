"""Receiving a streamed reply over HTTP: bounded in time, in bytes, and in how much it may say.

Our own reader over aiohttp: relaying is what Parlor spends most of its time on, and it costs a quarter
of what a provider's SDK does.
"""

import asyncio
import json

import aiohttp

from ai.providers.base import Decoder, HttpCall, Limits, ProviderError
from ai.providers.failures import http_failure, retry_after_seconds
from ai.providers.sse import EventStreamReader, EventTooLarge
from ai.tokens import estimate_tokens

MAX_EVENT_BYTES = 1_048_576
_MAX_ERROR_BYTES = 16_384
_ERROR_BODY_SECONDS = 5.0
_DRAIN_SECONDS = 0.1
_parse = json.JSONDecoder().decode


def make_session(connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30, ttl_dns_cache=60),
        # Identity is asked for and nothing else accepted, so nothing is ever inflated.
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "Parlor",
        },
    )


async def open_stream(
    session: aiohttp.ClientSession, call: HttpCall, decoder: Decoder, limits: Limits, max_output_tokens: int
) -> "HttpStream":
    """Send the request and check the answer's head. Raises ProviderError."""
    loop = asyncio.get_running_loop()
    first_deadline = min(loop.time() + limits.first_token, limits.deadline)
    try:
        async with asyncio.timeout_at(first_deadline):
            response = await _post(session, call, limits.connect)
            if response.status != 200:
                raise await _refusal(response)
    except TimeoutError:
        kind = "total_timeout" if first_deadline == limits.deadline else "first_token_timeout"
        raise ProviderError(kind) from None
    problem = _unacceptable(response)
    if problem:
        response.close()
        raise ProviderError("bad_response", problem, http_status=200)
    return HttpStream(response, decoder, limits, first_deadline, max_output_tokens)


async def _post(session: aiohttp.ClientSession, call: HttpCall, connect: float) -> aiohttp.ClientResponse:
    body = json.dumps(call.body, ensure_ascii=False).encode("utf-8", "replace")
    timeout = aiohttp.ClientTimeout(total=None, connect=connect)
    try:
        return await session.post(
            call.url, data=body, headers=call.headers, timeout=timeout, allow_redirects=False
        )
    except aiohttp.ConnectionTimeoutError as error:
        raise ProviderError("connect_timeout", str(error), retryable=True) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise ProviderError("connect", str(error)) from error
    except (aiohttp.ClientConnectionError, OSError) as error:
        # Also a kept connection that the provider closed just now.
        raise ProviderError("connect", str(error) or type(error).__name__, retryable=True) from error
    except aiohttp.ClientError as error:
        raise ProviderError("bad_response", str(error)) from error


async def _refusal(response: aiohttp.ClientResponse) -> ProviderError:
    body = b""
    try:
        async with asyncio.timeout(_ERROR_BODY_SECONDS):
            while len(body) < _MAX_ERROR_BYTES and (chunk := await response.content.readany()):
                body += chunk
    except (TimeoutError, aiohttp.ClientError):
        pass
    finally:
        response.close()
    try:
        parsed = json.loads(body[:_MAX_ERROR_BYTES])
    except (ValueError, RecursionError):
        parsed = None
    headers = response.headers
    wait = retry_after_seconds(headers.get("retry-after"), headers.get("retry-after-ms"))
    return http_failure(response.status, parsed, wait)


def _unacceptable(response: aiohttp.ClientResponse) -> str:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        return f"the answer is encoded as {encoding[:40]}"
    if response.content_type != "text/event-stream":
        return f"the answer is {response.content_type[:80]}, not an event stream"
    return ""


class HttpStream:
    """One reply. Reading costs a few microseconds a token: no timer and no task is made for each."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: Decoder,
        limits: Limits,
        first_deadline: float,
        max_output_tokens: int,
    ) -> None:
        self.state = decoder.state
        self._response = response
        self._content = response.content
        self._decoder = decoder
        self._limits = limits
        self._events = EventStreamReader(MAX_EVENT_BYTES)
        self._max_pieces = max_output_tokens
        self._max_weight = 4 * max_output_tokens
        self._pieces = 0
        self._weight = 0
        self._received = 0
        self._is_waiting = False
        self._half_character = ""
        self._failure: ProviderError | None = None
        self._loop = asyncio.get_running_loop()
        # The deadline moves with every text; the alarm only looks at it when it rings, which costs less.
        self._deadline = first_deadline
        self._alarm_at = first_deadline
        self._alarm: asyncio.TimerHandle | None = self._loop.call_at(first_deadline, self._check_time)

    @property
    def estimated_tokens(self) -> int:
        return (self._weight + 3) // 4

    async def read(self) -> str:
        while True:
            if self._failure is not None:
                raise self._failure
            if self.state.is_ended:
                return ""
            self._is_waiting = True
            try:
                chunk = await self._content.readany()
            except (aiohttp.ClientError, OSError) as error:
                chunk = self._take_over(error)
            finally:
                self._is_waiting = False
            text = self._take(chunk) if chunk else self._end_of_stream()
            if text:
                return text

    async def finish(self) -> None:
        """Wait a moment for the end of the body, after which the connection can serve another call."""
        if self.state.is_runaway:
            self.close()
            return
        self._set_alarm(None)
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self._content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            self._response.close()
        except BaseException:
            self._response.close()
            raise
        else:
            self._response.release()

    def close(self) -> None:
        self._set_alarm(None)
        self._response.close()

    def _take_over(self, error: BaseException) -> bytes:
        # The connection broke. What arrived before still counts, but aiohttp only raises from now on.
        self._failure = ProviderError("truncated", str(error) or type(error).__name__, http_status=200)
        rest = b"".join(self._content._buffer)
        self._content._buffer.clear()
        return rest

    def _end_of_stream(self) -> str:
        state = self.state
        if state.ends_with_stream and state.finish is not None:
            state.is_ended = True
            self._failure = None
        elif self._failure is None:
            self._failure = ProviderError(
                "truncated", "the stream ended without its end mark", http_status=200
            )
        return ""

    def _take(self, chunk: bytes) -> str:
        self._received += len(chunk)
        if self._received > self._limits.max_bytes:
            self._failure = ProviderError(
                "too_large", f"more than {self._limits.max_bytes} bytes", http_status=200
            )
            return ""
        hidden = self.state.hidden_pieces
        texts: list[str] = []
        try:
            self._decode(self._events.feed(chunk), texts)
        except ProviderError as error:
            self._failure = error
        except EventTooLarge:
            self._failure = ProviderError(
                "too_large", f"an event over {MAX_EVENT_BYTES} bytes", http_status=200
            )
        except (ValueError, RecursionError) as error:
            self._failure = ProviderError("bad_response", f"not JSON: {error}"[:200], http_status=200)
        if texts:
            self._deadline = min(self._loop.time() + self._limits.token_gap, self._limits.deadline)
            if self._deadline < self._alarm_at:
                self._set_alarm(self._deadline)
            return texts[0] if len(texts) == 1 else "".join(texts)
        if self.state.hidden_pieces != hidden:
            soonest = min(self._loop.time() + self._limits.token_gap, self._limits.deadline)
            self._deadline = max(self._deadline, soonest)
        return ""

    def _decode(self, events: list[bytes], texts: list[str]) -> None:
        decoder = self._decoder
        for data in events:
            if data == decoder.terminator:
                self.state.is_ended = True
                return
            event = _parse(data.decode())
            try:
                text = decoder.decode(event)
            except (KeyError, TypeError, AttributeError, IndexError):
                # An event of a shape we do not know says nothing to us.
                continue
            if text:
                text = self._clean(text)
                texts.append(text)
                if self._count(text):
                    return
            elif self.state.is_ended:
                return

    def _clean(self, text: str) -> str:
        """Valid Unicode without NUL, which PostgreSQL cannot store."""
        if "\x00" in text:
            text = text.replace("\x00", "")
        if text.isascii() and not self._half_character:
            return text
        text = self._half_character + text
        self._half_character = ""
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half of a surrogate pair escaped in JSON: the other half comes with the next piece.
            if "\ud800" <= text[-1] <= "\udbff":
                self._half_character = text[-1]
                text = text[:-1]
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def _count(self, text: str) -> bool:
        """Count `text`; True where the model says far more than it was allowed, and the reply ends here."""
        self._pieces += 1
        self._weight += len(text) if text.isascii() else 4 * estimate_tokens(text)
        if self._weight <= self._max_weight:
            return False
        # A provider's token is at least one piece of ours or, sent in lumps, at least some text. Past both
        # measures, or twice past one of them, it does not keep to the limit it was given.
        if self._pieces > self._max_pieces or self._weight > 2 * self._max_weight + 128:
            self.state.finish = "length"
            self.state.is_ended = True
            self.state.is_runaway = True
            return True
        return False

    def _check_time(self) -> None:
        now = self._loop.time()
        if now >= self._limits.deadline:
            self._give_up("total_timeout")
        elif now < self._deadline:
            self._set_alarm(self._deadline)
        elif self._is_waiting:
            self._give_up("token_timeout" if self._pieces else "first_token_timeout")
        else:
            # It is our reader who takes its time, not the provider.
            self._set_alarm(min(now + self._limits.token_gap, self._limits.deadline))

    def _give_up(self, kind: str) -> None:
        self._alarm = None
        self._failure = ProviderError(kind, http_status=200)
        self._content.set_exception(self._failure)

    def _set_alarm(self, at: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if at is not None:
            self._alarm_at = at
            self._alarm = self._loop.call_at(at, self._check_time)
