"""F4: the object store, direct uploads, the virus scanner, what is left behind, and the door in front."""

import json
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone
from moto.server import ThreadedMotoServer

from accounts.models import DataExport, Erasure, User
from accounts.services import erasures
from accounts.tests.factories import make_user
from billing.models import Tier
from common import jobs
from common.bodies import BodyLimit
from common.errors import DomainError, NotFound
from common.models import OutboxMessage
from common.testing.clients import make_api_client
from files.charges import LEAST, charge
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

    assert (reserved, sent, again) == (LEAST, 204, 422)
    assert (done.status_code, done.json()["name"], done.json()["size"]) == (201, "a.txt", 11)
    assert twice.status_code == 404
    assert body(fetch(client, done.json()["url"])) == b"a few words"
    assert StorageUse.objects.get(owner=user).used == LEAST
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


@pytest.fixture
def disk(settings: Any, tmp_path: Path) -> Path:
    """Stores in folders, where names can collide and files can be cut short."""
    settings.STORAGES = {
        **django_settings.STORAGES,
        **{
            alias: {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(tmp_path / alias)},
            }
            for alias in ("default", "private")
        },
    }
    return tmp_path / "private"


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class UnwellStorage:
    """A store that fails half way through a file, or as soon as one is asked for."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def save(self, name: str, content: Any) -> str:
        self.real.save(name, ContentFile(content.read()[:5]))
        raise OSError(28, "No space left on device")

    def open(self, name: str) -> Any:
        raise ConnectionError

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.fixture
def unwell(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    with monkeypatch.context() as patch:
        patch.setattr(store, "store_of", lambda alias: UnwellStorage(storages[alias]))
        yield patch


def test_a_store_that_fails_half_way_keeps_nothing_of_a_direct_upload(unwell: pytest.MonkeyPatch) -> None:
    client = make_api_client(make_user())
    ticket = begin(client).json()

    failed, left = deliver(ticket, b"a few words"), kept()
    unwell.undo()
    again = deliver(ticket, b"a few words")
    done = client.post(f"/api/v1/files/uploads/{ticket['id']}/complete/")

    assert (failed, left, again) == (503, 0, 204)
    assert body(fetch(client, done.json()["url"])) == b"a few words"


def test_many_files_sent_to_one_address_at_once_are_one_file(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(UnwellStorage):
        def exists(self, name: str) -> bool:
            found = self.real.exists(name)
            time.sleep(0.1)
            return bool(found)

        def save(self, name: str, content: Any) -> str:
            return str(self.real.save(name, content))

    monkeypatch.setattr(store, "store_of", lambda alias: Slow(storages[alias]))
    user = make_user()
    ticket = direct.begin_upload(owner_id=user.id, category="chat_attachment", name="a", size=2_000_000)
    token = ticket.url.rstrip("/").rpartition("/")[2]

    answers = at_once(4, lambda: direct.receive(token=token, data=b"a" * 2_000_000))

    assert answers == {"done": 1, "Invalid": 3}
    assert [path.name for path in files_in(disk)] == [DirectUpload.objects.get().key.partition("/")[2]]


def test_a_file_completed_by_many_at_once_is_taken_once(disk: Path) -> None:
    user = make_user()
    ticket = direct.begin_upload(owner_id=user.id, category="chat_attachment", name="a", size=9_000)
    direct.receive(token=ticket.url.rstrip("/").rpartition("/")[2], data=b"a" * 9_000)

    answers = at_once(6, lambda: direct.complete_upload(owner_id=user.id, upload_id=ticket.id))

    assert answers == {"done": 1, "NotFound": 5}
    assert (File.objects.count(), len(files_in(disk)), StorageUse.objects.get().used) == (1, 1, 9_000)


def at_once(count: int, work: Callable[[], object]) -> Counter[str]:
    start = threading.Barrier(count)

    def one(_number: int) -> str:
        start.wait()
        try:
            work()
        except DomainError as error:
            return type(error).__name__
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(one, range(count)))


@pytest.mark.parametrize("away", ["scanner", "store"])
def test_while_the_scanner_or_the_store_is_away_a_direct_upload_waits(
    settings: Any, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    client = make_api_client(make_user())
    ticket = begin(client, size=100_000, category="avatar").json()
    deliver(ticket, samples.picture())
    path = f"/api/v1/files/uploads/{ticket['id']}/complete/"

    with monkeypatch.context() as patch:
        if away == "scanner":
            settings.CLAMD_URL = "unix:///nowhere/clamd.sock"
        else:
            patch.setattr(store, "store_of", lambda alias: UnwellStorage(storages[alias]))
        waits = client.post(path)
    held = (DirectUpload.objects.count(), StorageUse.objects.get().used, kept())
    settings.CLAMD_URL = ""
    done = client.post(path)

    assert (waits.status_code, waits.json()["code"], held) == (503, "provider_unavailable", (1, 100_000, 1))
    assert (done.status_code, DirectUpload.objects.count(), kept()) == (201, 0, 3)
    assert StorageUse.objects.get().used == charge(done.json()["size"])


def test_an_upload_that_fills_the_storage_can_be_completed() -> None:
    Tier.objects.update(storage_bytes=9_000)
    client = make_api_client(make_user())
    ticket = begin(client, size=9_000).json()
    deliver(ticket, b"a" * 9_000)

    assert client.post(f"/api/v1/files/uploads/{ticket['id']}/complete/").status_code == 201


def test_a_file_the_store_does_not_give_is_asked_for_again_later(unwell: pytest.MonkeyPatch) -> None:
    client = make_api_client(make_user())
    unwell.undo()
    private = send(client, b"words").json()["url"]
    public = send(client, samples.picture(), category="avatar").json()["url"]
    unwell.setattr(store, "store_of", lambda alias: UnwellStorage(storages[alias]))

    answers = [fetch(client, private), fetch(client, public)]

    assert [answer.status_code for answer in answers] == [503, 503]


def erase(user: User) -> None:
    Erasure.objects.create(user=user, erase_at=timezone.now())
    erasures.erase_account(user_id=user.id)


def test_a_file_that_comes_while_its_owner_is_erased_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()

    class Slow(UnwellStorage):
        def save(self, name: str, content: Any) -> str:
            erase(user)
            return str(self.real.save(name, content))

    monkeypatch.setattr(store, "store_of", lambda alias: Slow(storages[alias]))

    with pytest.raises(NotFound):
        uploads.upload_file(owner_id=user.id, category="chat_attachment", name="a", data=b"words")

    assert (File.objects.count(), StorageUse.objects.count(), kept()) == (0, 0, 0)


def test_a_closed_account_can_begin_no_upload() -> None:
    user = make_user()
    erase(user)

    with pytest.raises(NotFound):
        direct.begin_upload(owner_id=user.id, category="chat_attachment", name="a", size=100)

    assert (DirectUpload.objects.count(), StorageUse.objects.count()) == (0, 0)


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

    assert (shown["state"], shown["url"], shown["size"]) == ("refused", None, 0)
    assert (kept(), StorageUse.objects.get().used) == (0, 0)
    assert client.delete(f"/api/v1/files/{made['id']}/").status_code == 204
    assert StorageUse.objects.get().used == 0


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


def test_folders_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "_MIN_AGE", timedelta(days=-1))
    names = ["backups/monday.sql", "abc/page.html"]
    for name in names:
        storages["private"].save(name, ContentFile(b"somebody else's"))
    assert orphans.collect_orphans() == 0
    for name in names:
        assert storages["private"].exists(name)
        storages["private"].delete(name)


def test_orphans_of_any_name_go_and_asked_for_zips_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = f"exports/{uuid4().hex}.zip"
    DataExport.objects.create(user=make_user(), key=wanted, status=DataExport.Status.READY)
    private = storages["private"]
    for key in (wanted, f"exports/{uuid4().hex}.zip", f"incoming/{uuid4().hex}_a1b2c3d", "ab/odd name.txt"):
        private.save(key, ContentFile(b"x"))
    monkeypatch.setattr(orphans, "_MIN_AGE", timedelta(days=-1))

    assert orphans.collect_orphans() == 3
    assert (kept(), private.exists(wanted)) == (1, True)


def test_an_orphan_the_store_does_not_delete_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(UnwellStorage):
        def delete(self, name: str) -> None:
            raise ConnectionError

    store.save(store.PRIVATE, b"left behind", "txt")
    monkeypatch.setattr(orphans, "_MIN_AGE", timedelta(days=-1))
    monkeypatch.setattr(store, "store_of", lambda alias: Stubborn(storages[alias]))

    assert (orphans.collect_orphans(), kept()) == (0, 1)


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
