"""F1-F3: what may come in, what it becomes, who sees it, and how much room it takes."""

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import Storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from PIL import Image
from rest_framework.test import APIClient

from accounts.tests.factories import make_user
from billing.models import Tier
from common.testing.clients import make_api_client
from files import links, sandbox
from files.charges import LEAST
from files.models import File, StorageUse
from files.services import store, uploads
from files.tests import samples
from files.tests.samples import HTML

pytestmark = pytest.mark.django_db
SERVED = {
    "image/webp",
    "application/pdf",
    "text/plain; charset=utf-8",
    "audio/mpeg",
    "audio/wav",
    "audio/mp4",
}


def send(
    client: Any,
    data: bytes,
    name: str = "a.bin",
    category: str = "chat_attachment",
    content_type: str = "application/octet-stream",
) -> Any:
    file = SimpleUploadedFile(name, data, content_type=content_type)
    return client.post("/api/v1/files/", {"file": file, "category": category}, format="multipart")


def fetch(client: APIClient, url: str) -> Any:
    return client.get(url.removeprefix("http://testserver"))


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else bytes(response.content)


def kept() -> int:
    return sum(_count(storages[alias]) for alias in ("default", "private"))


def _count(storage: Storage) -> int:
    folders = storage.listdir("")[0]
    return sum(len(storage.listdir(folder)[1]) for folder in folders)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (samples.picture("PNG"), "image/webp"),
        (samples.picture("JPEG"), "image/webp"),
        (samples.picture("WEBP"), "image/webp"),
        (samples.moving(), "image/webp"),
        (samples.pdf(), "application/pdf"),
        ("Grüße, 世界 👋".encode(), "text/plain; charset=utf-8"),
        (samples.mp3(), "audio/mpeg"),
        (samples.mp3(tag=b"ID3\x04\x00\x00\x00\x00\x00\x00"), "audio/mpeg"),
        (samples.wav(), "audio/wav"),
        (samples.m4a(), "audio/mp4"),
    ],
    ids=["png", "jpeg", "webp", "gif", "pdf", "txt", "mp3", "mp3 with a tag", "wav", "m4a"],
)
def test_every_kind_is_recognised_by_its_bytes_and_comes_back(data: bytes, content_type: str) -> None:
    client = make_api_client(make_user())

    made = send(client, data, name="holiday.exe", content_type="text/html")
    shown = fetch(client, made.json()["url"])

    assert made.status_code == 201, made.content
    assert made.json().keys() >= {"id", "category", "name", "content_type", "size", "url", "thumbnail_url"}
    assert (made.json()["content_type"], shown["Content-Type"]) == (content_type, content_type)
    assert shown["Cache-Control"] == "private, no-store"
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown["Content-Security-Policy"]
    if not content_type.startswith("image/"):
        assert body(shown) == data
        assert shown["Content-Disposition"].startswith("attachment")


def test_a_moving_picture_goes_on_moving_and_an_avatar_does_not() -> None:
    client = make_api_client(make_user())

    moving = body(fetch(client, send(client, samples.moving(5)).json()["url"]))
    still = body(fetch(client, send(client, samples.moving(5), category="avatar").json()["url"]))

    assert (Image.open(BytesIO(moving)).n_frames, Image.open(BytesIO(still)).n_frames) == (5, 1)  # type: ignore[attr-defined]


def test_pictures_lose_their_metadata_and_keep_their_turn() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    client = make_api_client(make_user())

    data = body(fetch(client, send(client, samples.picture("JPEG", (80, 60), exif=exif)).json()["url"]))

    shown = Image.open(BytesIO(data))
    assert (shown.size, dict(shown.getexif()), b"taken at home" in data) == ((60, 80), {}, False)


@pytest.mark.parametrize("second", [(40, 30), (80, 60)])
def test_a_phone_s_jpeg_is_one_still_picture_the_right_way_up(second: tuple[int, int]) -> None:
    client = make_api_client(make_user())

    data = samples.phone_picture((80, 60), second, turn=6)
    shown = Image.open(BytesIO(body(fetch(client, send(client, data).json()["url"]))))

    assert (shown.size, getattr(shown, "n_frames", 1)) == ((60, 80), 1)


def test_a_moving_picture_is_turned_the_right_way_up() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.new("RGB", (80, 60), colour) for colour in ("red", "blue")]
    out = BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], exif=exif)
    client = make_api_client(make_user())

    made = send(client, out.getvalue()).json()
    shown: Any = Image.open(BytesIO(body(fetch(client, made["url"]))))

    assert (shown.size, shown.n_frames, dict(shown.getexif())) == ((60, 80), 2, {})


def test_what_the_encoder_does_not_take_is_damaged() -> None:
    frames = [Image.new("RGBA", size) for size in ((20, 20), (10, 10))]

    with pytest.raises(sandbox.Refused, match="damaged"):
        sandbox._as_moving_webp(frames, [100, 100])


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("evil.html", "evil.txt"),
        ("evil.exe.html", "evil.exe.txt"),
        (".htaccess", ".htaccess.txt"),
        ("Dr. No", "Dr. No.txt"),
        ("notes", "notes.txt"),
    ],
)
def test_a_file_is_saved_under_the_ending_of_what_it_is(name: str, saved: str) -> None:
    client = make_api_client(make_user())

    shown = fetch(client, send(client, HTML, name=name).json()["url"])

    assert shown["Content-Disposition"] == f'attachment; filename="{saved}"'


POLYGLOTS = {
    "wav and html": samples.wav(extra=b"note" + len(HTML).to_bytes(4, "little") + HTML),
    "gif and js": b"GIF89a=1;alert(1);" + bytes(20),
    "gif and html": samples.moving() + HTML,
    "jpeg and phar": samples.picture("JPEG") + b"<?php __HALT_COMPILER(); ?>" + HTML,
    "png and html": samples.picture("PNG") + HTML,
    "pdf and html": samples.pdf() + HTML,
    "html": HTML,
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "text that is javascript": b"alert(document.cookie)",
}


@pytest.mark.parametrize("data", POLYGLOTS.values(), ids=POLYGLOTS)
def test_x30_no_polyglot_is_ever_html(data: bytes) -> None:
    client = make_api_client(make_user())

    made = send(client, data, name="page.html", content_type="text/html")
    if made.status_code != 201:
        assert made.json()["code"] in {"invalid", "unsupported_media_type"}
        return
    shown = fetch(client, made.json()["url"])

    assert shown["Content-Type"] in SERVED
    if shown["Content-Type"] == "image/webp":
        assert {mark for mark in (b"<html", b"php", b"alert") if mark in body(shown)} == set()
    else:
        assert shown["Content-Disposition"].startswith("attachment")


NO_PICTURES = [POLYGLOTS["svg"], HTML, samples.pdf(), samples.wav(), b"GIF89a", b"\xff\xd8\xff"]


@pytest.mark.parametrize("category", ["avatar", "persona_image"])
@pytest.mark.parametrize("data", NO_PICTURES)
def test_x31_public_pictures_are_pictures(data: bytes, category: str) -> None:
    client = make_api_client(make_user())

    response = send(client, data, category=category, content_type="image/png")

    refusals = {(415, "unsupported_media_type"), (422, "invalid")}
    assert (response.status_code, response.json()["code"]) in refusals
    assert (File.objects.count(), kept()) == (0, 0)


REFUSED = {
    "pixels said to be many": (samples.png_of(50_000, 50_000), 413),
    "pixels that are many": (samples.png_of(12_000, 12_000, real=True), 413),
    "ten thousand frames": (samples.moving(10_000, (2, 2)), 413),
    "large frames": (samples.moving(150, (900, 900)), 413),
    "PSD": (b"8BPS\x00\x01" + bytes(200), 415),
    "FITS": (b"SIMPLE  =                    T" + bytes(200), 415),
    "TIFF": (b"II*\x00" + bytes(200), 415),
    "ZIP": (b"PK\x03\x04" + bytes(200), 415),
    "ELF": (b"\x7fELF" + bytes(200), 415),
    "cut PNG": (samples.picture("PNG", (400, 400))[:90], 422),
    "cut JPEG": (samples.picture("JPEG", (400, 400))[:300], 422),
    "cut PDF": (samples.pdf()[:200], 422),
    "PDF with a password": (samples.pdf(user_password="secret"), 422),
    "PDF without pages": (b"%PDF-1.7\n" + bytes(100), 422),
    "audio of no length": (b"RIFF\x24\x00\x00\x00WAVE" + bytes(20), 422),
    "no audio at all": (b"\xff\xfb" + bytes(100), 422),
    "text with NUL": (b"words\x00words", 415),
    "latin text": ("Grüße".encode("latin-1"), 415),
    "blank text": (b"   \n ", 415),
    "nothing": (b"", 422),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
def test_x41_x42_hostile_and_broken_files_are_refused_and_leave_nothing(data: bytes, status: int) -> None:
    user = make_user()

    response = send(make_api_client(user), data, name="fine.png", content_type="image/png")

    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert (File.objects.count(), kept()) == (0, 0)
    assert not StorageUse.objects.filter(used__gt=0).exists()


def test_x44_more_than_ten_megabytes_is_too_much() -> None:
    client = make_api_client(make_user())

    response = send(client, b"a" * (10 * 1024 * 1024 + 1))
    fits = send(client, b"a" * (10 * 1024 * 1024))

    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")
    assert fits.status_code == 201


def test_unknown_fields_and_categories_are_refused() -> None:
    client = make_api_client(make_user())
    file = SimpleUploadedFile("a.txt", b"words")

    odd = client.post("/api/v1/files/", {"file": file, "category": "secrets"}, format="multipart")
    more = client.post(
        "/api/v1/files/", {"file": file, "category": "avatar", "owner": str(uuid4())}, format="multipart"
    )

    assert (odd.status_code, more.status_code) == (422, 422)
    assert more.json()["errors"][0]["code"] == "unknown_field"


_PIECES = [
    "..",
    "../",
    "..\\",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "\\\\server\\share\\x",
    "%2e%2e%2f",
    "..%c0%af",
    "\x00",
    "a\x00.png",
    "\u202egnp.exe",
    "CON",
    "a" * 300,
    "😀" * 100,
    " ",
    ".",
    ".htaccess",
    "<img src=x onerror=alert(1)>.png",
    '"; drop table files; --',
    "${SECRET_KEY}",
    "name\r\nSet-Cookie: a=b",
    "\u200b\u200c",
]
NAMES = [f"{first}{second}" for first in _PIECES for second in ("", *_PIECES[:9])][:200]


def test_x39_two_hundred_names_are_text_and_nothing_else() -> None:
    user = make_user()
    assert len(NAMES) == 200
    cleaned = [uploads.clean_name(name) for name in NAMES]

    for name in cleaned:
        assert 0 < len(name) <= 200
        assert name.isprintable()
        assert not set(name) & {"/", "\\"}
    for name in ("../../etc/passwd", 'a"b\r\nSet-Cookie: x=y.txt', "Ä 世界.txt"):
        file = uploads.upload_file(owner_id=user.id, category="chat_attachment", name=name, data=b"words")
        client = Client()
        client.force_login(user)
        shown = client.get(links.sign_url(file))
        assert (shown.status_code, "Set-Cookie" in shown.headers) == (200, False)
        assert re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{32}\.txt", file.key)


def test_x4_files_are_their_owners_alone() -> None:
    owner, stranger = make_user(), make_user()
    client, other = make_api_client(owner), make_api_client(stranger)
    made = send(client, samples.picture()).json()

    seen = [
        fetch(other, made["url"]).status_code,
        fetch(other, made["thumbnail_url"]).status_code,
        other.get(f"/api/v1/files/{made['id']}/").status_code,
        other.delete(f"/api/v1/files/{made['id']}/").status_code,
        fetch(APIClient(), made["url"]).status_code,
    ]

    assert seen == [404, 404, 404, 404, 401]
    assert other.get("/api/v1/files/").json()["results"] == []
    assert fetch(client, made["url"]).status_code == 200


def test_a_link_is_good_for_five_minutes(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_api_client(make_user())
    url = send(client, b"words").json()["url"]
    monkeypatch.setattr(links, "LIFETIME_SECONDS", -1)

    assert fetch(client, url).status_code == 404


@pytest.mark.parametrize("suffix", ["x.css", ";x.js", "%2fx.png", "?x.css"])
def test_x52_nothing_personal_is_cached_under_another_name(suffix: str) -> None:
    client = make_api_client(make_user())
    url = send(client, b"words").json()["url"]

    response = fetch(client, url + suffix)

    assert "public" not in response.get("Cache-Control", "")
    assert response.status_code == 404 or "no-store" in response["Cache-Control"]


def test_public_pictures_have_an_address_for_ever() -> None:
    client = make_api_client(make_user())
    made = send(client, samples.picture(size=(900, 1200)), category="persona_image").json()

    response = fetch(APIClient(), made["url"])

    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert Image.open(BytesIO(response.content)).size == (768, 1024)


def test_the_list_is_newest_first_by_category_with_a_steady_number_of_queries(
    django_assert_num_queries: Any,
) -> None:
    user = make_user()
    client = make_api_client(user)

    def make(count: int) -> None:
        for number in range(count):
            category = "knowledge_base" if number % 2 else "chat_attachment"
            uploads.upload_file(owner_id=user.id, category=category, name=f"{number}.txt", data=b"words")

    make(2)
    with django_assert_num_queries(2):
        client.get("/api/v1/files/")
    make(20)
    with django_assert_num_queries(2):
        page = client.get("/api/v1/files/").json()
    only = client.get("/api/v1/files/?category=knowledge_base").json()["results"]

    times = [entry["created_at"] for entry in page["results"]]
    assert (len(times), times) == (20, sorted(times, reverse=True))
    assert {entry["category"] for entry in only} == {"knowledge_base"}
    assert client.get("/api/v1/files/?category=nothing").status_code == 422


def quota(size: int) -> None:
    Tier.objects.update(storage_bytes=size)


@pytest.mark.django_db(transaction=True)
def test_room_is_counted_with_the_sizes_and_given_back() -> None:
    user = make_user()
    client = make_api_client(user)
    made = send(client, samples.picture(size=(300, 300))).json()
    send(client, b"a few words")

    full = client.get("/api/v1/files/usage/").json()
    client.delete(f"/api/v1/files/{made['id']}/")
    after = client.get("/api/v1/files/usage/").json()

    assert made["size"] < LEAST
    assert full["used"] == 2 * LEAST
    assert full["quota"] == 100 * 1024 * 1024
    assert after == {
        "used": LEAST,
        "quota": full["quota"],
        "categories": [{"category": "chat_attachment", "files": 1, "bytes": LEAST}],
    }
    assert kept() == 1


def test_a_full_storage_takes_no_more_and_says_how_full() -> None:
    quota(9_000)
    client = make_api_client(make_user())
    send(client, b"a" * 5_000)

    response = send(client, b"six or so")

    assert (response.status_code, response.json()["code"]) == (403, "limit_reached")
    assert (response.json()["limit"], response.json()["used"]) == (9_000, 5_000)
    assert (File.objects.count(), kept()) == (1, 1)


def test_tiny_files_fill_a_storage_too() -> None:
    quota(3 * LEAST)
    client = make_api_client(make_user())

    answers = [send(client, b"x").status_code for _number in range(4)]

    assert answers == [201] * 3 + [403]


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_under_parallel_uploads_and_deletes() -> None:
    quota(20_000)
    user = make_user()
    start = threading.Barrier(12)

    def work(number: int) -> str:
        start.wait()
        try:
            for _round in range(4):
                try:
                    file = uploads.upload_file(
                        owner_id=user.id, category="chat_attachment", name="a", data=b"x" * 6_000
                    )
                except uploads.quota.StorageFull:
                    continue
                if number % 2:
                    uploads.delete_file(owner_id=user.id, file_id=file.id)
            return "done"
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        assert Counter(pool.map(work, range(12))) == {"done": 12}

    used = StorageUse.objects.get(owner=user).used
    assert used == sum(File.objects.filter(owner=user).values_list("size", flat=True)) <= 20_000
    assert kept() == File.objects.count()


class FailingStorage:
    """A store that takes the first parts and fails on a later one."""

    def __init__(self, real: Any, after: int, error: Exception) -> None:
        self.real, self.left, self.error = real, after, error

    def save(self, name: str, content: Any) -> str:
        if self.left == 0:
            raise self.error
        self.left -= 1
        return str(self.real.save(name, content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ConnectionError()])
def test_f26_a_store_that_fails_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, after: int, error: Exception
) -> None:
    failing = FailingStorage(storages["default"], after, error)
    monkeypatch.setattr(store, "store_of", lambda alias: failing)
    user = make_user()

    response = send(make_api_client(user), samples.picture(), category="persona_image")

    assert (response.status_code, response.json()["code"]) == (503, "provider_unavailable")
    assert (File.objects.count(), kept()) == (0, 0)
    assert not StorageUse.objects.filter(used__gt=0).exists()


def test_what_a_profile_shows_is_not_deleted_behind_its_back() -> None:
    user = make_user()
    client = Client()
    client.force_login(user)
    client.post("/settings/profile/avatar/", {"avatar": SimpleUploadedFile("a.png", samples.picture())})
    file = File.objects.get()
    api = make_api_client(user)

    refused = api.delete(f"/api/v1/files/{file.id}/")
    client.post("/settings/profile/avatar/", {"remove": "1"})

    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "your profile" in refused.json()["detail"]
    assert not File.objects.exists()
    assert StorageUse.objects.get(owner=user).used == 0


def test_the_page_shows_room_and_files_takes_some_and_deletes_one() -> None:
    user = make_user()
    client = Client()
    client.force_login(user)

    added = client.post(
        "/settings/storage/",
        {"file": [SimpleUploadedFile("notes.txt", b"words"), SimpleUploadedFile("x.exe", b"\x7fELF")]},
        follow=True,
    )
    page = added.content.decode()
    by_script = client.post(
        "/settings/storage/",
        {"file": SimpleUploadedFile("x.exe", b"\x7fELF")},
        headers={"Accept": "application/json"},
    )
    client.post(f"/settings/storage/{File.objects.get().id}/delete/")

    assert "notes.txt" in page
    assert "x.exe: Use a picture" in page
    assert (by_script.status_code, by_script.json()["faults"][0]["name"]) == (422, "x.exe")
    assert not File.objects.exists()
