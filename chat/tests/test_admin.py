"""What operators see and may do; people's words need a permission of their own."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import StaffAction
from accounts.tests.factories import make_user
from chat.models import Generation, Message
from chat.tests.factories import make_chat, make_talker

pytestmark = pytest.mark.django_db

SECRET = "Bernoulli and the brass engine"


def noted():
    return list(StaffAction.objects.exclude(action="set_tier").values_list("action", "target_id", "reason"))


def staff_client(*permissions):
    user = make_user(staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=permissions, content_type__app_label="chat")
    )
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def exchange(api_client):
    user = make_talker()
    chat = make_chat(user)
    response = api_client(user).post(
        f"/api/v1/chat/sessions/{chat.id}/messages/", {"content": SECRET, "client_id": "one"}
    )
    return response.json()


VIEWS = ("view_chatsession", "view_message", "view_generation")


def pages(exchange):
    return [
        "/admin/chat/chatsession/",
        f"/admin/chat/chatsession/{exchange['message']['session']}/change/",
        "/admin/chat/message/",
        f"/admin/chat/message/{exchange['message']['id']}/change/",
        "/admin/chat/generation/",
        f"/admin/chat/generation/{exchange['generation']['id']}/change/",
    ]


def test_staff_see_chats_without_a_word_of_them(exchange):
    client = staff_client(*VIEWS)

    for page in pages(exchange):
        response = client.get(page, follow=True)
        assert response.status_code == 200, page
        assert SECRET not in response.content.decode(), page
    assert noted() == []


def test_reading_what_people_wrote_needs_a_permission_and_is_noted(exchange):
    client = staff_client(*VIEWS, "read_content")

    response = client.get(f"/admin/chat/message/{exchange['message']['id']}/change/")

    assert SECRET in response.content.decode()
    assert noted() == [("read_message", exchange["message"]["id"], "")]
    assert not StaffAction.objects.filter(target_label__contains="Bernoulli").exists()


def test_nothing_can_be_changed_added_or_deleted(exchange):
    client = staff_client(*VIEWS, "change_message", "add_message", "delete_message", "read_content")
    path = f"/admin/chat/message/{exchange['message']['id']}"

    for url, body in [
        (f"{path}/change/", {"content": "forged", "status": "complete"}),
        (f"{path}/delete/", {"post": "yes"}),
        ("/admin/chat/message/add/", {"content": "forged"}),
    ]:
        assert client.post(url, body).status_code == 403
    assert Message.objects.get(id=exchange["message"]["id"]).content == SECRET


def test_stopping_a_reply_needs_the_permission_and_a_reason(exchange):
    path = f"/admin/chat/generation/{exchange['generation']['id']}/stop/"

    assert staff_client(*VIEWS).post(path, {"reason": "x", "_form_submitted": "on"}).status_code in (302, 403)
    assert Generation.objects.get().status == "queued"
    staff_client(*VIEWS, "stop_generation").post(path, {"reason": "", "_form_submitted": "on"})
    assert Generation.objects.get().status == "queued"
    staff_client(*VIEWS, "stop_generation").post(path, {"reason": "It spins", "_form_submitted": "on"})

    assert Generation.objects.get().status == "stopped"
    assert noted() == [("stop_generation", exchange["generation"]["id"], "It spins")]


@pytest.mark.parametrize("model", ["chatsession", "message", "generation"])
def test_lists_are_searched_by_id_and_address(exchange, model):
    client = staff_client(*VIEWS)
    key = {"chatsession": exchange["message"]["session"], "message": exchange["message"]["id"]}.get(
        model, exchange["generation"]["id"]
    )

    assert key in client.get(f"/admin/chat/{model}/?q={key}").content.decode()
    assert key not in client.get(f"/admin/chat/{model}/?q=nobody@example.com").content.decode()
