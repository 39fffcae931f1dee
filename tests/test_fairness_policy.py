"""What people read about paying is what happens: the page and the history beside the rules for replies."""

import re

from django.test import Client

from billing import history
from chat import policy
from chat.models import ChatSession
from tests.world import World

_UNCHARGED = {
    policy.STOPPED_EARLY,
    policy.INTERRUPTED,
    policy.NOT_STARTED,
    policy.FAILED,
    policy.INTERNAL,
    policy.EMPTY,
    policy.BLOCKED,
}


def rows_of_the_page() -> dict[str, str]:
    html = Client().get("/what-you-pay-for/").content.decode()
    return dict(re.findall(r'<tr data-code="([a-z_]+)" data-charged="(yes|no)">', html))


def test_every_end_of_a_reply_has_a_row_that_says_whether_it_costs(db: None) -> None:
    told = {code: "no" if code in _UNCHARGED else "yes" for code in policy.DETAILS}
    assert rows_of_the_page() == {"complete": "yes", **told}


def test_what_is_said_to_cost_nothing_is_said_so_in_the_chat_too() -> None:
    said = {code for code, detail in policy.DETAILS.items() if "Nothing was charged" in str(detail)}
    assert said == _UNCHARGED


def test_the_history_has_words_for_everything_that_is_given_back() -> None:
    assert set(history.REASONS) >= _UNCHARGED


def test_the_wallet_shows_whose_reply_was_not_charged_and_why(world: World) -> None:
    client = Client()
    client.force_login(world.people["owner"])
    html = client.get("/wallet/").content.decode()
    name = ChatSession.objects.get(pk=world.ids["session"]).persona.name
    line = f'Talk with {name} <span class="muted">· not charged, stopped before the first word</span>'
    assert " ".join(html.split()).count(line) == 1
