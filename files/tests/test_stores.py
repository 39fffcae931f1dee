"""F4: the object store, direct uploads, the virus scanner, what is left behind, and the door in front."""

import json
import socketserver
import struct
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from moto.server import ThreadedMotoServer

from accounts.tests.factories import make_user
from common import jobs
from common.bodies import BodyLimit
from common.models import OutboxMessage
from common.testing.clients import make_api_client
from files.models import DirectUpload, File, StorageUse
from files.services import direct, orphans, scanning, store, uploads
from files.tests import samples
from files.tests.test_uploads import body, fetch, kept, send

pytestmark = pytest.mark.django_db(transaction=True)
EICAR = b"a signature the fake scanner knows"


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(object_store: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "eu-north-1"),
    ):
        monkeypatch.setenv(name, value)
    options = {
        "bucket_name": "parlor",
        "endpoint_url": object_store,
        "addressing_style": "path",
        "default_acl": None,
        "file_overwrite": False,
    }
    settings.S3_BUCKET = "parlor"
    settings.STORAGES = {
        **django_settings.STORAGES,
        **{
            alias: {
                "BACKEND": "storages.backends.s3.S3Storage",
                "OPTIONS": {**options, "location": f"{folder}/"},
            }
            for alias, folder in (("default", "public"), ("private", "private"))
        },
    }
    client = storages["default"].connection.meta.client
    client.create_bucket(Bucket="parlor", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    yield client
    for entry in client.list_objects_v2(Bucket="parlor").get("Contents", []):
        client.delete_object(Bucket="parlor", Key=entry["Key"])
    client.delete_bucket(Bucket="parlor")


def objects(client: Any) -> list[str]:
    return sorted(entry["Key"] for entry in client.list_objects_v2(Bucket="parlor").get("Contents", []))


def test_the_object_store_keeps_serves_and_deletes(s3: Any) -> None:
    user = make_user()
    client = make_api_client(user)
    private = send(client, samples.pdf(), name="a.pdf").json()
    public = send(client, samples.picture(), category="persona_image").json()

    assert [key.partition("/")[0] for key in objects(s3)] == ["private", "public", "public", "public"]
    assert body(fetch(client, private["url"])) == samples.pdf()
    assert fetch(Client(), public["url"])["Content-Type"] == "image/webp"
    assert public["url"].startswith("http://testserver/media/")
    for entry in (private, public):
        client.delete(f"/api/v1/files/{entry['id']}/")
    assert objects(s3) == []


def test_a_direct_upload_goes_to_the_object_store_and_is_checked_there(s3: Any) -> None:
    client = make_api_client(make_user())
    wanted = {"category": "chat_attachment", "name": "a.pdf", "size": len(samples.pdf())}
    ticket = client.post("/api/v1/files/uploads/", wanted).json()

    sent = requests.post(ticket["url"], data=ticket["fields"], files={"file": samples.pdf()}, timeout=10)
    done = client.post(f"/api/v1/files/uploads/{ticket['id']}/complete/")

    assert sent.status_code in (200, 204)
    assert (done.status_code, done.json()["content_type"]) == (201, "application/pdf")
    assert [key.partition("/")[0] for key in objects(s3)] == ["private"]
    assert "incoming" not in objects(s3)[0]


@pytest.mark.parametrize("shape", ["down", "no bucket"])
def test_f27_while_the_object_store_is_away_nothing_is_taken(s3: Any, shape: str) -> None:
    user = make_user()
    if shape == "no bucket":
        storages["private"].bucket_name = "elsewhere"  # type: ignore[attr-defined]
        storages["private"]._bucket = None  # type: ignore[attr-defined]
    else:
        storages["private"].connection.meta.client.meta.events.register(  # type: ignore[attr-defined]
            "before-send.s3", lambda **kwargs: (_ for _ in ()).throw(ConnectionError())
        )

    response = send(make_api_client(user), b"words")

    assert (response.status_code, response.json()["code"]) == (503, "provider_unavailable")
    assert not File.objects.exists()
    assert not StorageUse.objects.filter(used__gt=0).exists()


def begin(client: Any, size: int = 100, **changes: Any) -> Any:
    wanted = {"category": "chat_attachment", "name": "../a.txt", "size": size, **changes}
    return client.post("/api/v1/files/uploads/", wanted)


def deliver(ticket: dict[str, Any], data: bytes) -> int:
    path = ticket["url"].partition("/files/")[2]
    return Client().post(f"/files/{path}", {"file": SimpleUploadedFile("a", data)}).status_code


def test_a_direct_upload_without_an_object_store_is_good_once() -> None:
    user = make_user()
    client = make_api_client(user)
    ticket = begin(client).json()
    reserved = StorageUse.objects.get(owner=user).used

    sent, again = deliver(ticket, b"a few words"), deliver(ticket, b"other words")
    done = client.post(f"/api/v1/files/uploads/{ticket['id']}/complete/")
    twice = client.post(f"/api/v1/files/uploads/{ticket['id']}/complete/")

    assert (reserved, sent, again) == (100, 204, 422)
    assert (done.status_code, done.json()["name"], done.json()["size"]) == (201, "a.txt", 11)
    assert twice.status_code == 404
    assert body(fetch(client, done.json()["url"])) == b"a few words"
    assert StorageUse.objects.get(owner=user).used == 11
    assert kept() == 1


@pytest.mark.parametrize(("data", "status"), [(b"x" * 101, 413), (b"\x7fELF" + bytes(20), 415), (None, 422)])
def test_a_direct_upload_that_is_not_what_was_promised_leaves_nothing(
    data: bytes | None, status: int
) -> None:
    user = make_user()
    client = make_api_client(user)
    ticket = begin(client).json()
    if data is not None and len(data) > 100:
        assert deliver(ticket, data) == 413
        storages["private"].save(DirectUpload.objects.get().key, ContentFile(data))
    elif data is not None:
        deliver(ticket, data)

    done = client.post(f"/api/v1/files/uploads/{ticket['id']}/complete/")

    assert done.status_code == status
    assert (File.objects.count(), DirectUpload.objects.count(), kept()) == (0, 0, 0)
    assert StorageUse.objects.get(owner=user).used == 0


def test_nobody_completes_or_fills_somebody_elses_upload() -> None:
    client, stranger = make_api_client(make_user()), make_api_client(make_user())
    ticket = begin(client).json()

    assert stranger.post(f"/api/v1/files/uploads/{ticket['id']}/complete/").status_code == 404
    assert deliver({**ticket, "url": ticket["url"][:-4] + "aaa/"}, b"words") == 404
    assert DirectUpload.objects.count() == 1


def test_uploads_under_way_are_limited_in_number_and_size() -> None:
    client = make_api_client(make_user())

    large = begin(client, size=10 * 1024 * 1024 + 1)
    many = [begin(client).status_code for _number in range(21)]

    assert (large.status_code, large.json()["code"]) == (413, "file_too_large")
    assert many == [201] * 20 + [403]


def test_an_upload_that_is_never_finished_gives_its_room_back() -> None:
    user = make_user()
    ticket = begin(make_api_client(user)).json()
    deliver(ticket, b"a few words")
    DirectUpload.objects.update(expires_at=timezone.now() - timedelta(hours=1))

    assert direct.end_expired() == 1
    assert (DirectUpload.objects.count(), kept(), StorageUse.objects.get(owner=user).used) == (0, 0, 0)


class FakeScanner(socketserver.ThreadingTCPServer):
    """clamd, as far as INSTREAM goes."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Scan)
        self.answer: bytes | None = None
        self.seen: list[bytes] = []


class _Scan(socketserver.StreamRequestHandler):
    server: FakeScanner

    def handle(self) -> None:
        assert self.rfile.read(10) == b"zINSTREAM\0"
        data = b""
        while size := struct.unpack("!I", self.rfile.read(4))[0]:
            data += self.rfile.read(size)
        self.server.seen.append(data)
        answer = b"stream: Eicar-Signature FOUND\0" if EICAR in data else b"stream: OK\0"
        self.wfile.write(answer if self.server.answer is None else self.server.answer)


@pytest.fixture
def scanner(settings: Any) -> Iterator[FakeScanner]:
    server = FakeScanner()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.CLAMD_URL = f"tcp://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_clean_file_is_served_once_the_scanner_has_seen_it(scanner: FakeScanner) -> None:
    client = make_api_client(make_user())
    data = b"words " * 20_000

    made = send(client, data).json()
    shown = client.get(f"/api/v1/files/{made['id']}/").json()

    assert scanner.seen == [data]
    assert shown["state"] == "ready"
    assert body(fetch(client, shown["url"])) == data


def test_f27_an_infected_file_is_refused_deleted_and_told(scanner: FakeScanner) -> None:
    client = make_api_client(make_user())

    made = send(client, EICAR).json()
    shown = client.get(f"/api/v1/files/{made['id']}/").json()

    assert (shown["state"], shown["url"]) == ("refused", None)
    assert kept() == 0


def test_an_infected_avatar_is_refused_at_once(scanner: FakeScanner) -> None:
    response = send(make_api_client(make_user()), samples.picture() + EICAR, category="avatar")

    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "infected")
    assert (File.objects.count(), kept()) == (0, 0)


@pytest.mark.parametrize("answer", [b"", b"INSTREAM size limit exceeded. ERROR\0", b"\xff" * 5000])
def test_f27_while_the_scanner_is_away_files_wait_unserved(
    scanner: FakeScanner, settings: Any, answer: bytes
) -> None:
    scanner.answer = answer
    client = make_api_client(make_user())

    made = send(client, b"words").json()
    waiting = client.get(f"/api/v1/files/{made['id']}/").json()
    avatar = send(client, samples.picture(), category="avatar")
    scanner.answer = None
    OutboxMessage.objects.update(available_at=timezone.now())
    jobs.run_due_messages()

    assert (waiting["state"], waiting["url"]) == ("pending", None)
    assert (avatar.status_code, avatar.json()["code"]) == (503, "provider_unavailable")
    assert client.get(f"/api/v1/files/{made['id']}/").json()["state"] == "ready"


def test_a_file_the_outbox_gave_up_on_is_scanned_by_the_clock(scanner: FakeScanner) -> None:
    scanner.answer = b""
    made = send(make_api_client(make_user()), b"words").json()
    OutboxMessage.objects.all().delete()
    File.objects.update(created_at=timezone.now() - timedelta(hours=1))
    scanner.answer = None

    scanning.scan_waiting()

    assert File.objects.get(id=made["id"]).state == File.State.READY


def test_an_address_that_is_not_there_counts_as_away(settings: Any) -> None:
    settings.CLAMD_URL = "unix:///nowhere/clamd.sock"

    with pytest.raises(scanning.ScannerUnavailable):
        scanning.is_clean(b"words")


def test_orphans_go_after_a_day_and_what_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    for category in ("chat_attachment", "persona_image", "avatar"):
        uploads.upload_file(owner_id=user.id, category=category, name="a", data=samples.picture())
    begin(make_api_client(user))
    storages["private"].save(DirectUpload.objects.get().key, ContentFile(b"x"))
    for alias in ("default", "private"):
        store.save(alias, b"left behind", "webp")
    known = kept() - 2

    young = orphans.collect_orphans()
    monkeypatch.setattr(orphans, "_MIN_AGE", timedelta(days=-1))
    old = orphans.collect_orphans()

    assert (young, old, kept()) == (0, 2, known)


async def _ask(headers: list[tuple[bytes, bytes]], bodies: list[bytes]) -> tuple[int, dict[str, Any], int]:
    taken = 0

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal taken
        while (message := await receive())["type"] == "http.request":
            taken += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    caller = ApplicationCommunicator(BodyLimit(application), {"type": "http", "headers": headers})
    for number, part in enumerate(bodies):
        last = number == len(bodies) - 1
        await caller.send_input({"type": "http.request", "body": part, "more_body": not last})
    start = await caller.receive_output()
    answer = await caller.receive_output()
    return start["status"], json.loads(answer["body"]), taken


_MEGABYTE = b"x" * 1024 * 1024


@pytest.mark.parametrize(
    ("headers", "bodies", "status"),
    [
        ([(b"content-length", b"2147483648")], [b"x"], 413),
        ([(b"content-length", b"10")], [_MEGABYTE] * 13, 413),
        ([], [_MEGABYTE] * 13, 413),
        ([(b"transfer-encoding", b"chunked")], [_MEGABYTE] * 40, 413),
        ([(b"content-length", b"lies")], [_MEGABYTE] * 12, 200),
        ([], [_MEGABYTE] * 12, 200),
    ],
)
async def test_x44_no_body_is_taken_beyond_the_limit(
    headers: list[tuple[bytes, bytes]], bodies: list[bytes], status: int
) -> None:
    answered, problem, taken = await _ask(headers, bodies)

    assert answered == status
    assert taken <= django_settings.MAX_REQUEST_BYTES
    assert problem.get("code") == ("file_too_large" if status == 413 else None)
