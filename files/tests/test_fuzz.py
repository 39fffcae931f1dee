"""X30, X41, X42: whatever bytes come, a file is drawn anew or refused. See `--fuzz-seconds`."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.tests.factories import make_user
from common.testing.clients import make_api_client
from files.charges import charge
from files.models import File, StorageUse
from files.tests import samples
from files.tests.test_uploads import SERVED, kept

SEEDS = {
    "attachment": [
        samples.picture("PNG"),
        samples.picture("PNG", mode="RGBA"),
        samples.picture("PNG", mode="P"),
        samples.picture("JPEG"),
        samples.picture("JPEG", mode="CMYK", progressive=True),
        samples.picture("WEBP"),
        samples.picture("WEBP", mode="RGBA", lossless=True),
        samples.moving(),
    ],
    "portrait": [samples.picture("PNG"), samples.picture("JPEG"), samples.moving()],
    "pdf": [samples.pdf(), samples.pdf(3)],
    "audio": [samples.mp3(), samples.wav(), samples.m4a()],
}
CODES = {"damaged", "unsupported", "too_many_pixels", "too_large", "encrypted", "too_many_pages"}
ODD = (
    b"\x00",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"<script>",
    b"%PDF-1.7",
)
MEGABYTES = 640


def mutate(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """A few of the changes that break parsers: bits, numbers, lengths, cuts, repeats and mixtures."""
    body = bytearray(data)
    for _change in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(body) + 1)
        what = chance.randrange(6)
        if what == 0 and at < len(body):
            body[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            odd = chance.choice(ODD)
            body[at : at + len(odd)] = odd
        elif what == 2:
            body[at:at] = chance.choice(ODD) * chance.choice((1, 1, 100))
        elif what == 3:
            del body[at : at + chance.choice((1, 4, 64, 4096))]
        elif what == 4:
            body[at:at] = body[max(0, at - chance.choice((8, 64, 512))) : at]
        else:
            body[at:] = other[chance.randrange(len(other) + 1) :]
    return bytes(body[: 1024 * 1024])


def inputs(seed: int) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(seed)
    everything = [data for group in SEEDS.values() for data in group]
    while True:
        kind = chance.choice(list(SEEDS))
        yield kind, mutate(chance.choice(SEEDS[kind]), chance.choice(everything), chance)


def test_the_sandbox_reads_whatever_comes(pytestconfig: pytest.Config) -> None:
    """Straight into the decoders, a thousand and more a minute."""
    script = Path(__file__).with_name("forked_sandbox.py")
    command = [sys.executable, "-I", str(script)]
    seen: Counter[str] = Counter()
    deadline = time.monotonic() + pytestconfig.getoption("fuzz_seconds")
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as child:
        for kind, data in inputs(pytestconfig.getoption("api_seed")):
            if time.monotonic() > deadline:
                break
            answer = decode(child, kind, data)
            assert "died" not in answer, (answer, kind, data.hex())
            assert answer.get("error", "damaged") in CODES
            assert set(answer["magic"]) <= {"WEBP"}
            assert answer["megabytes"] < MEGABYTES
            seen[answer.get("error", "taken")] += 1
    sys.stdout.write(f"decoded {seen.total()} files: {dict(seen)}\n")
    assert seen["taken"] > 10
    assert seen["damaged"] > 10


def decode(child: subprocess.Popen[bytes], kind: str, data: bytes) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    job = {"kind": kind, "suffix": "wav" if data[:4] == b"RIFF" else "mp3", "size": len(data)}
    child.stdin.write(json.dumps(job).encode() + b"\n" + data)
    child.stdin.flush()
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer


@pytest.mark.django_db
def test_the_front_door_takes_whatever_comes(pytestconfig: pytest.Config) -> None:
    """The whole way: a file is served as one of ours, or nothing of it stays."""
    client = make_api_client(make_user())
    deadline = time.monotonic() + pytestconfig.getoption("fuzz_seconds") / 4
    statuses: Counter[int] = Counter()
    for _kind, data in inputs(pytestconfig.getoption("api_seed") + 1):
        if time.monotonic() > deadline:
            break
        before = (File.objects.count(), kept())
        file = SimpleUploadedFile("fine.png", data, content_type="image/png")
        answer = client.post(
            "/api/v1/files/", {"file": file, "category": "chat_attachment"}, format="multipart"
        )
        statuses[answer.status_code] += 1
        if answer.status_code == 201:
            check_served(client, answer.json())
            continue
        assert answer.status_code in (413, 415, 422), (answer.content, data.hex())
        assert (File.objects.count(), kept()) == before
    used = StorageUse.objects.get().used
    assert used == sum(charge(file.size) for file in File.objects.all())
    sys.stdout.write(f"uploaded {statuses.total()} files: {dict(statuses)}\n")
    assert statuses[201] > 2
    assert statuses[422] > 2


def check_served(client: Any, made: dict[str, Any]) -> None:
    served = client.get(made["url"].removeprefix("http://testserver"))
    content = b"".join(served.streaming_content) if served.streaming else served.content
    assert served["Content-Type"] in SERVED
    assert served["X-Content-Type-Options"] == "nosniff"
    if served["Content-Type"] == "image/webp":
        assert BytesIO(content).read(12)[8:] == b"WEBP"
