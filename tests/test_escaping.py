"""X29: what people call themselves and their things is text, on every page that shows it."""

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.test import Client

from accounts.models import ApiKey, User
from accounts.tests.factories import make_user
from common.ids import uuid7
from common.tests.test_markdown import corpus
from files.models import File

pytestmark = pytest.mark.django_db


class Structure(HTMLParser):
    """The tags of a page and the names of their attributes: what a text must not change."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _value in attrs)))


def hostile() -> list[str]:
    return list(dict.fromkeys(text.replace("\x00", "")[:60] for text in corpus()))


def make_keys(user: User, names: list[str]) -> None:
    ApiKey.objects.bulk_create(
        ApiKey(user=user, name=name, prefix="parlor_sk_x", digest=str(uuid7())) for name in names
    )


def make_files(user: User, names: list[str]) -> None:
    File.objects.bulk_create(
        File(
            owner=user,
            category="chat_attachment",
            name=name,
            content_type="text/plain; charset=utf-8",
            size=1,
            key=f"x/{uuid7().hex}.txt",
        )
        for name in names
    )


def make_devices(user: User, names: list[str]) -> None:
    for name in names[:100]:
        client = Client(headers={"User-Agent": name})
        client.force_login(user)


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/settings/api-keys/", make_keys),
        ("/settings/storage/", make_files),
        ("/settings/sessions/", make_devices),
    ],
)
def test_names_of_things_change_nothing_of_a_page(path: str, make: Callable[[User, list[str]], None]) -> None:
    names = hostile()
    assert len(names) > 500
    pages = []
    for chosen in (["plain"] * len(names), names):
        user = make_user(display_name="Ada")
        make(user, chosen)
        client = Client()
        client.force_login(user)
        pages.append(Structure(client.get(path).content.decode()).tags)
    assert pages[0] == pages[1]
    assert len(pages[0]) > 100


@pytest.mark.parametrize("field", ["display_name", "pronouns"])
def test_what_people_call_themselves_changes_nothing_of_a_page(field: str) -> None:
    user = make_user(display_name="Ada", pronouns="she/her")
    client = Client()
    client.force_login(user)
    plain = Structure(client.get("/settings/profile/").content.decode()).tags
    for name in hostile()[::10]:
        User.objects.filter(id=user.id).update(**{field: name[:30]})
        assert Structure(client.get("/settings/profile/").content.decode()).tags == plain, name
