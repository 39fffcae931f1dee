"""A mobile app in forty lines: signs up, sends, and follows replies by server-sent events."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

PASSWORD = "a-long-walk-by-the-sea"
ENDS = {"complete", "stopped", "interrupted", "failed", "blocked"}


@dataclass
class Heard:
    """What came in of a reply; the numbering is checked on the way."""

    last_seq: int = 0
    text: str = ""
    end: dict[str, Any] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        if event["type"] == "generation.delta":
            assert event["seq"] == self.last_seq + 1
            self.last_seq, self.text = event["seq"], self.text + event["text"]
        elif "seq" in event:
            assert event["seq"] == self.last_seq + 1
            self.end = event


class App:
    def __init__(self, url: str, persona_slug: str = "tock") -> None:
        self.url = url
        self.email = f"app-{secrets.token_hex(6)}@example.com"
        answer = requests.post(
            f"{url}/_allauth/app/v1/auth/signup",
            json={"email": self.email, "password": PASSWORD},
            headers={"User-Agent": "app"},
            timeout=10,
        ).json()
        self.headers = {"Authorization": f"Bearer {answer['meta']['access_token']}"}
        personas = self.get("/api/v1/personas/?page_size=50")["results"]
        persona = next(row["id"] for row in personas if row["slug"] == persona_slug)
        self.session = self.post("/api/v1/chat/sessions/", {"persona": persona}, 201)["id"]

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", headers=self.headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: dict[str, Any], status: int) -> Any:
        answer = requests.post(f"{self.url}{path}", json=body, headers=self.headers, timeout=15)
        assert answer.status_code == status, answer.text
        return answer.json()

    def send(self, content: str = "Tell me a story.") -> str:
        """The id of the generation."""
        body = {"content": content, "client_id": secrets.token_hex(8)}
        started = self.post(f"/api/v1/chat/sessions/{self.session}/messages/", body, 202)
        return str(started["generation"]["id"])

    def events(self, generation: str, after: int = 0, *, url: str = "") -> Iterator[dict[str, Any]]:
        headers = {**self.headers, "Last-Event-ID": str(after)}
        path = f"{url or self.url}/api/v1/chat/generations/{generation}/events/"
        with requests.get(path, headers=headers, stream=True, timeout=30) as answer:
            assert answer.status_code == 200, answer.text
            for line in answer.iter_lines():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def wait_for_end(self, generation: str, seconds: float = 25) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.get(f"/api/v1/chat/generations/{generation}/")
            if found["status"] in ENDS:
                return dict(found)
            time.sleep(0.1)
        raise AssertionError(f"the reply did not end in {seconds} s: {found['status']}")
