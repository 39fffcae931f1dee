"""The limit: a bare ASGI application that only relays a provider's stream over a websocket."""

import json
import os
from typing import Any

import aiohttp

_ADDRESS = os.environ.get("ANTHROPIC_BASE_URL", "") + "/v1/messages"
_BODY = {"model": "raw", "max_tokens": 4096, "stream": True, "messages": [{"role": "user", "content": "go"}]}
_DELTA = b'"type":"text_delta"'
_client: aiohttp.ClientSession | None = None


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _relay(receive, send)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def _lifespan(receive: Any, send: Any) -> None:
    global _client
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1000))
            await send({"type": "lifespan.startup.complete"})
        else:
            assert _client is not None
            await _client.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _relay(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    assert _client is not None
    seq = 0
    async with _client.post(_ADDRESS, json=_BODY) as response:
        async for line in response.content:
            if not line.startswith(b"data:") or _DELTA not in line.replace(b" ", b""):
                continue
            seq += 1
            text = json.loads(line[5:])["delta"]["text"]
            event = {"type": "generation.delta", "seq": seq, "text": text}
            await send({"type": "websocket.send", "text": json.dumps(event)})
    await send({"type": "websocket.send", "text": '{"type": "generation.completed"}'})
    await send({"type": "websocket.close"})
