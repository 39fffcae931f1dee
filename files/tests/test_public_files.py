"""X30 and X39: public files stand under names of ours, with our types, and nothing else is reachable."""

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client

from files.selectors import public_url
from files.services import store

pytestmark = pytest.mark.django_db


def test_a_public_file_is_served_for_ever_and_inert() -> None:
    key = store.save_public(b"RIFF....WEBP", "webp")
    response = Client().get(public_url(key))
    assert response.status_code == 200
    assert response.content == b"RIFF....WEBP"
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert set(response["Content-Security-Policy"].split("; ")) == {"sandbox", "default-src 'none'"}


@pytest.mark.parametrize(
    "key",
    [
        "../config/settings/base.py",
        "..%2f..%2fmanage.py",
        "ab/0123456789abcdef0123456789abcdef.webp",
        "ab/0123456789abcdef0123456789abcdef.html",
        "ab/0123456789ABCDEF0123456789ABCDEF.webp",
        "ab/0123456789abcdef0123456789abcdef.webp%00.html",
        "/etc/passwd",
        "ab",
        "",
    ],
)
def test_any_other_address_is_not_found(key: str) -> None:
    assert Client().get(f"/media/{key}").status_code == 404


def test_other_suffixes_are_never_kept() -> None:
    with pytest.raises(ValueError):
        store.save_public(b"<html>", "html")


def test_files_disappear_only_when_the_transaction_is_saved(
    django_capture_on_commit_callbacks: object,
) -> None:
    key = store.save_public(b"x", "webp")
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():  # type: ignore[operator]
        store.delete_after_commit(store.PUBLIC, [key, "", "../x"])
        assert default_storage.exists(key)
    assert not default_storage.exists(key)
