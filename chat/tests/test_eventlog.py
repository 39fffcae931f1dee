"""Both event logs keep the same promises; Redis may go away at any time."""

import asyncio
import json
from uuid import uuid4

import pytest

from chat.eventlog.base import Delta
from chat.eventlog.memory import MemoryEventLog
from chat.eventlog.redis import RedisEventLog

TEXTS = ["Hel", "lo ", "wörld 😀", "\u2028\n", '"{}', "!"]


@pytest.fixture(params=["memory", "redis"])
async def log(request):
    if request.param == "memory":
        log = MemoryEventLog()
    else:
        log = RedisEventLog(request.getfixturevalue("redis_server").url)
    yield log
    await log.aclose()


async def read_to_end(log, generation_id):
    tail = log.attach(generation_id)
    position = 0
    try:
        while not tail.has_ended:
            async with asyncio.timeout(10):
                await tail.wait(position, 1)
            position = len(tail.events)
        return list(tail.events)
    finally:
        log.detach(tail)


def end_of(producer):
    return {"type": "generation.completed", "seq": producer.seq + 1, "message": {"content": producer.content}}


async def produce(log, generation_id, texts=TEXTS, pause=0.0):
    producer = log.produce(generation_id)
    producer.start({"type": "generation.started", "generation_id": str(generation_id)})
    for text in texts:
        producer.push(text)
        await asyncio.sleep(pause)
    producer.end(end_of(producer))
    return producer


def check(events, texts=TEXTS):
    assert [event.type for event in events] == [
        "generation.started",
        *["generation.delta"] * len(texts),
        "generation.completed",
    ]
    assert [event.seq for event in events] == list(range(len(texts) + 2))
    assert [event.text for event in events[1:-1]] == texts
    assert [json.loads(event.json)["text"] for event in events[1:-1]] == texts
    assert events[-1].data["message"] == {"content": "".join(texts)}


async def test_readers_before_during_and_after_see_the_same(log):
    generation_id = uuid4()
    early = [asyncio.create_task(read_to_end(log, generation_id)) for _ in range(3)]
    await asyncio.sleep(0.05)
    making = asyncio.create_task(produce(log, generation_id, pause=0.02))
    await asyncio.sleep(0.05)
    middle = asyncio.create_task(read_to_end(log, generation_id))
    await making

    for events in await asyncio.gather(*early, middle, read_to_end(log, generation_id)):
        check(events)


async def test_many_replies_at_once_do_not_mix(log):
    async def one(number):
        generation_id = uuid4()
        texts = [f"{number}-{part} " for part in range(20)]
        reading = asyncio.create_task(read_to_end(log, generation_id))
        await produce(log, generation_id, texts, pause=0.001)
        check(await reading, texts)

    await asyncio.gather(*(one(number) for number in range(30)))


async def test_all_producers_wait_for_the_same_tick(log, settings):
    settings.CHAT_DELTA_MILLISECONDS = 100
    producers = [log.produce(uuid4()) for _ in range(20)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    moments = []

    async def wait(number):
        await asyncio.sleep(0.004 * number)
        await producers[number].next_tick()
        moments.append(loop.time() - began)

    gone = asyncio.create_task(producers[0].next_tick())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(wait(number)) for number in range(20)]
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(*waiting)

    assert min(moments) > 0.09
    assert max(moments) - min(moments) < 0.02


async def test_a_dead_producers_texts_can_be_read_for_repair(log):
    generation_id = uuid4()
    producer = log.produce(generation_id)
    for text in TEXTS:
        producer.push(text)
    await asyncio.sleep(0.2)

    assert await log.read_after(generation_id, 2) == TEXTS[2:]
    assert await log.read_after(generation_id, len(TEXTS)) == []
    assert await log.read_after(uuid4(), 0) == []


async def test_the_end_of_a_dead_producers_reply_reaches_readers(log):
    generation_id = uuid4()
    producer = log.produce(generation_id)
    producer.push("Hello")
    reading = asyncio.create_task(read_to_end(log, generation_id))
    await asyncio.sleep(0.2)

    await log.publish_end(generation_id, {"type": "generation.interrupted", "seq": 2})

    assert [event.type for event in await reading] == ["generation.delta", "generation.interrupted"]


async def test_nothing_is_kept_for_readers_that_left(log):
    generation_id = uuid4()
    for _ in range(5):
        tail = log.attach(generation_id)
        log.detach(tail)

    assert log._tails == {}


async def test_redis_away_costs_entries_but_no_error_and_comes_back(redis_server):
    log = RedisEventLog(redis_server.url)
    generation_id = uuid4()
    producer = log.produce(generation_id)
    tail = log.attach(generation_id)
    producer.push("one")
    await until(lambda: len(tail.events) == 1)

    redis_server.stop()
    producer.push("two")
    await asyncio.sleep(0.5)
    redis_server.start()
    await asyncio.sleep(0.5)
    producer.push("three")
    producer.end(end_of(producer))

    await until(lambda: tail.has_ended, 15)
    assert [event.seq for event in tail.events][-2:] == [3, 4]
    assert producer.content == "onetwothree"
    log.detach(tail)
    await log.aclose()


async def test_a_redis_stream_is_not_kept_for_ever(redis_server):
    log = RedisEventLog(redis_server.url)
    generation_id = uuid4()
    await produce(log, generation_id)
    await asyncio.sleep(0.2)

    lives = await log._writer.ttl(f"parlor:reply:{generation_id}")
    await log.aclose()

    assert 0 < lives <= 120


def test_an_event_of_many_lines_is_one_frame():
    event = Delta("g", 3, "a\nb\r\u2028c\u0085d")

    frame = event.as_sse().decode()

    assert frame.splitlines() == [
        "event: generation.delta",
        "id: 3",
        'data: {"type":"generation.delta","generation_id":"g","seq":3,"text":"a\\nb\\r\\u2028c\\u0085d"}',
        "",
    ]
    assert json.loads(event.json)["text"] == "a\nb\r\u2028c\u0085d"


async def until(condition, seconds=5):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
