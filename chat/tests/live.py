"""A real web server with the embedded runner on a free port, and clients that see every byte of it."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import uvicorn
from websockets.sync.client import ClientConnection, connect

from accounts.models import User
from chat.runner import embedded
from common.testing.clients import access_token

LIVE = ("queued", "streaming")


class LiveServer:
    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="live-server", daemon=True)
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(20), "the server did not start"
        deadline = time.monotonic() + 10
        while self._server is None or not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()

    def call(self, coroutine: Any, timeout: float = 15) -> Any:
        """Run a coroutine on the server's loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        from ai import gateway
        from config.asgi import application

        self.loop = asyncio.get_running_loop()
        await embedded.start()
        config = uvicorn.Config(
            application,
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            ws_max_size=256 * 1024,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = _no_signals  # type: ignore[method-assign]
        self._ready.set()
        await self._server.serve(sockets=[self._socket])
        await embedded.stop()
        await gateway.aclose()


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


class LiveClient:
    """One signed-in device."""

    def __init__(self, server: LiveServer, user: User | None) -> None:
        self.server = server
        self.http = requests.Session()
        self.token = access_token(user) if user is not None else ""
        if self.token:
            self.http.headers["Authorization"] = f"Bearer {self.token}"

    def close(self) -> None:
        self.http.close()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, f"{self.server.url}/api/v1/{path}", timeout=20, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.request("POST", path, json={} if body is None else body, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def send(self, session_id: Any, content: str, client_id: str, **body: Any) -> dict[str, Any]:
        response = self.post(
            f"chat/sessions/{session_id}/messages/", {"content": content, "client_id": client_id, **body}
        )
        assert response.status_code == 202, response.text
        return response.json()

    def wait(self, generation_id: str, seconds: float = 10) -> dict[str, Any]:
        """The generation once it has ended."""
        deadline = time.monotonic() + seconds
        while True:
            body = self.get(f"chat/generations/{generation_id}/").json()
            if body["status"] not in LIVE:
                return body
            assert time.monotonic() < deadline, body
            time.sleep(0.02)

    def stream(self, session_id: Any, content: str, client_id: str) -> "EventStream":
        return EventStream(
            self.http.post(
                f"{self.server.url}/api/v1/chat/sessions/{session_id}/messages/",
                json={"content": content, "client_id": client_id},
                headers={"Accept": "text/event-stream"},
                stream=True,
                timeout=20,
            )
        )

    def events(self, generation_id: str, after: int | None = None) -> "EventStream":
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        return EventStream(
            self.http.get(
                f"{self.server.url}/api/v1/chat/generations/{generation_id}/events/",
                headers=headers,
                stream=True,
                timeout=20,
            )
        )

    @contextmanager
    def socket(self, session_id: Any, **options: Any) -> Iterator["ChatSocket"]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"ws://127.0.0.1:{self.server.port}/ws/chat/{session_id}/"
        with connect(url, additional_headers=headers, open_timeout=10, close_timeout=2, **options) as link:
            yield ChatSocket(link)


class EventStream:
    """Server-sent events as they arrive."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response

    @property
    def status(self) -> int:
        return self.response.status_code

    def __iter__(self) -> Iterator[dict[str, Any]]:
        waiting = b""
        for chunk in self.response.iter_content(None):
            waiting += chunk
            while b"\n\n" in waiting:
                frame, waiting = waiting.split(b"\n\n", 1)
                event = _parse(frame.decode())
                if event is not None:
                    yield event
        self.response.close()

    def close(self) -> None:
        self.response.close()


def _parse(frame: str) -> dict[str, Any] | None:
    fields: dict[str, str] = {}
    for line in frame.split("\n"):
        name, _colon, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return None
    data = json.loads(fields["data"])
    assert data["type"] == fields["event"]
    assert str(data.get("seq", "")) == fields.get("id", "")
    return data


class ChatSocket:
    def __init__(self, link: ClientConnection) -> None:
        self.link = link

    def send(self, type_: str, **fields: Any) -> None:
        self.link.send(json.dumps({"type": type_, **fields}))

    def receive(self, timeout: float = 10) -> dict[str, Any]:
        return json.loads(self.link.recv(timeout=timeout))

    def until(self, *types: str, timeout: float = 10) -> list[dict[str, Any]]:
        """Every event up to the first of one of `types`."""
        events = []
        while not events or events[-1]["type"] not in types:
            events.append(self.receive(timeout))
        return events


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["type"] == "generation.delta")


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events if "seq" in event]
