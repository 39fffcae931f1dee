"""Clients as they are out there: an app over REST and server-sent events, and a device with a socket that
comes back by itself when its connection is lost. Both check the numbering of what they hear."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import requests

from tests.servers import Person

PASSWORD = "a-long-walk-by-the-sea"
ENDS = {"complete", "stopped", "interrupted", "failed", "blocked"}


@dataclass
class Heard:
    """What came in of a reply, each delta exactly once and in order."""

    generation: str = ""
    last_seq: int = 0
    text: str = ""
    end: dict[str, Any] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    # How connections ended, None for one that broke.
    closes: list[int | None] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        self.generation = event.get("generation_id", self.generation)
        if event["type"] == "generation.delta":
            assert event["seq"] == self.last_seq + 1
            self.last_seq, self.text = event["seq"], self.text + event["text"]
        elif event["type"] == "message.created":
            self.created.append(event["message"]["role"])
        elif "seq" in event:
            assert event["seq"] == self.last_seq + 1
            self.end = event
        elif event["type"] == "error":
            self.end = event

    async def until(self, seq: int, seconds: float = 20) -> None:
        """Wait until delta number `seq` has been heard."""
        async with asyncio.timeout(seconds):
            while self.last_seq < seq and not self.end:
                await asyncio.sleep(0.005)


class App:
    """Signs up by email unless somebody is given, and talks with one persona."""

    def __init__(self, url: str, person: Person | None = None) -> None:
        self.url = url
        if person is not None:
            self.headers, self.session = person.headers, person.chats[0]
        else:
            self.headers = self._sign_up()
            found = self.get("/api/v1/personas/?page_size=50")["results"]
            persona = next(row["id"] for row in found if row["slug"] == "tock")
            self.session = self.post("/api/v1/chat/sessions/", {"persona": persona}, 201)["id"]

    def _sign_up(self) -> dict[str, str]:
        answer = requests.post(
            f"{self.url}/_allauth/app/v1/auth/signup",
            json={"email": f"app-{secrets.token_hex(6)}@example.com", "password": PASSWORD},
            headers={"User-Agent": "app"},
            timeout=20,
        ).json()
        return {"Authorization": f"Bearer {answer['meta']['access_token']}"}

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", headers=self.headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any], status: int) -> Any:
        answer = requests.post(f"{self.url}{path}", json=body, headers=self.headers, timeout=20)
        assert answer.status_code == status, answer.text
        return answer.json()

    def send(self, content: str = "Tell me a story.") -> str:
        """The id of the generation."""
        body = {**_message(), "content": content}
        started = self.post(f"/api/v1/chat/sessions/{self.session}/messages/", body, 202)
        return str(started["generation"]["id"])

    def events(self, generation: str, after: int = 0) -> Iterator[dict[str, Any]]:
        headers = {**self.headers, "Last-Event-ID": str(after)}
        path = f"{self.url}/api/v1/chat/generations/{generation}/events/"
        with requests.get(path, headers=headers, stream=True, timeout=30) as answer:
            assert answer.status_code == 200, answer.text
            for line in answer.iter_lines():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def hear(self, generation: str, heard: Heard | None = None, *, until: int | None = None) -> Heard:
        """Listen to the end, or up to delta number `until`."""
        heard = heard or Heard()
        for event in self.events(generation, after=heard.last_seq):
            heard.take(event)
            if until is not None and heard.last_seq >= until:
                break
        return heard

    def wait_for_end(self, generation: str, seconds: float = 30) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.get(f"/api/v1/chat/generations/{generation}/")
            if found["status"] in ENDS:
                return dict(found)
            time.sleep(0.1)
        raise AssertionError(f"the reply did not end in {seconds} s: {found['status']}")


async def talk(
    urls: Sequence[str], person: Person, chat: str, heard: Heard, content: str = "Tell me a story."
) -> None:
    """Say something over a socket and hear the reply to its end, at the next address where one is lost."""
    frame = {"type": "message.send", **_message(), "content": content}
    async with aiohttp.ClientSession(headers=person.headers) as http:
        for url in urls:
            try:
                await _hear_at(http, url, chat, heard, frame)
            except aiohttp.ClientError:
                heard.closes.append(None)
            if heard.end:
                return
    raise AssertionError(f"the reply has no end; connections ended with {heard.closes}")


async def _hear_at(
    http: aiohttp.ClientSession, url: str, chat: str, heard: Heard, frame: dict[str, Any]
) -> None:
    async with http.ws_connect(f"{url.replace('http', 'ws')}/ws/chat/{chat}/") as socket:
        await socket.receive_json(timeout=20)
        if heard.generation:
            frame = {
                "type": "generation.resume",
                "generation_id": heard.generation,
                "after": heard.last_seq,
            }
        await socket.send_json(frame)
        async for message in socket:
            heard.take(json.loads(message.data))
            if heard.end:
                return
        code = socket.close_code
        heard.closes.append(None if code in (None, 1006) else code)


async def send_by_rest(http: aiohttp.ClientSession, url: str, chat: str) -> int | str:
    """The id of the generation, or the status of the refusal; so do the other two ways."""
    async with http.post(f"{url}/api/v1/chat/sessions/{chat}/messages/", json=_message()) as answer:
        return answer.status if answer.status >= 400 else str((await answer.json())["generation"]["id"])


async def stream(http: aiohttp.ClientSession, url: str, chat: str) -> AsyncGenerator[dict[str, Any]]:
    """Say something and hear all that comes, by server-sent events."""
    path, headers = f"{url}/api/v1/chat/sessions/{chat}/messages/", {"Accept": "text/event-stream"}
    async with http.post(path, json=_message(), headers=headers, raise_for_status=True) as answer:
        async for line in answer.content:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


async def send_by_sse(http: aiohttp.ClientSession, url: str, chat: str) -> int | str:
    try:
        async with contextlib.aclosing(stream(http, url, chat)) as events:
            async for event in events:
                if "generation_id" in event:
                    return str(event["generation_id"])
    except aiohttp.ClientResponseError as refused:
        return refused.status
    raise AssertionError("the stream named no generation")


async def send_by_socket(http: aiohttp.ClientSession, url: str, chat: str) -> int | str:
    async with http.ws_connect(f"{url.replace('http', 'ws')}/ws/chat/{chat}/") as socket:
        await socket.send_json({"type": "message.send", **_message()})
        while True:
            event = await socket.receive_json(timeout=20)
            if event["type"] == "error":
                return int(event["status"])
            if event["type"] == "generation.started":
                return str(event["generation_id"])


def _message() -> dict[str, str]:
    return {"content": "Tell me a story.", "client_id": secrets.token_hex(8)}
