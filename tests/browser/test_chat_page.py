"""The chat page in a real browser, with a model whose words the test chooses."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from ai.testing.fake_provider import Behaviour, FakeProvider
from common.ids import uuid7
from common.markdown import render, render_said
from common.tests.test_markdown import corpus
from tests.browser.conftest import Visit
from tests.servers import Installation, WebProcess, installation

EMAIL, PASSWORD = "demo@example.com", "parlor-demo"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WITHOUT_SCRIPT = {"viewport": {"width": 1280, "height": 900}, "java_script_enabled": False}
SHORT = "*nods* Of **course**."
LONG = "\n\n".join(
    f"Part {number}. " + "The sea goes on and on, and so does this. " * 6 for number in range(12)
)
RICH = """# A list

Some *words* with `code`, and a [link](https://elsewhere.example/page).

- one
  - two
- three

| a | b |
|---|---|
| 1 | **2** |

```python
def hello(name):
    return f"<b>{name}</b>"
```

> It is late.

Good night."""


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider().start()
    yield fake
    fake.stop()


@pytest.fixture(scope="module")
def house(provider: FakeProvider) -> Iterator[Installation]:
    with installation(
        ANTHROPIC_API_KEY="test", ANTHROPIC_BASE_URL=provider.url, AI_BREAKER_FAILURES="1000"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def server(house: Installation) -> Iterator[WebProcess]:
    web = WebProcess(house).wait_until_ready()
    house.manage("grant", EMAIL, "--tier", "vip", "--credits", "1000", "--reason", "tests")
    yield web
    web.end()


@pytest.fixture(scope="module")
def cookies(server: WebProcess, chromium: Any) -> list[Any]:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/accounts/login/")
    page.fill("[name=login]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.click("main button.button-primary")
    page.wait_for_url(f"{server.url}/")
    kept = context.cookies()
    context.close()
    return kept


@pytest.fixture(autouse=True)
def _signed_in(visit: Visit, cookies: list[Any], provider: FakeProvider) -> None:
    visit.context.add_cookies(cookies)
    provider.reset()
    provider.default = Behaviour(text=SHORT)


class Chat:
    """A chat of its own, with a page that looks at it."""

    def __init__(self, visit: Visit, house: Installation) -> None:
        self.visit, self.house = visit, house
        self.id = str(uuid7())
        greeting = str(uuid7())
        house.sql(
            "WITH u AS (SELECT id FROM accounts_user WHERE email = %s), p AS (SELECT id FROM personas_persona"
            " WHERE slug = 'maren'), s AS (INSERT INTO chat_chatsession (id, created_at, updated_at, user_id,"
            " persona_id, title, has_automatic_title, message_count, last_message_at, last_message_preview)"
            " SELECT %s, now(), now(), u.id, p.id, 'Maren', true, 1, now(), 'Hello.' FROM u, p RETURNING id)"
            " SELECT 1 FROM s",
            EMAIL,
            self.id,
        )
        self.last: str | None = None
        self.say(greeting, "assistant", "Hello.")
        self.tab = visit.page()

    def say(self, message_id: str, role: str, content: str) -> None:
        """A message that is there already, at the end of the branch."""
        self.house.sql(
            "INSERT INTO chat_message (id, created_at, session_id, user_id, parent_id, role, content, status,"
            " code, depth, path_tokens, feedback, model, input_tokens, output_tokens, cached_tokens, charge)"
            " SELECT %s, now(), s.id, s.user_id, %s, %s, %s, 'complete', '', 0, 0, 'none', '', 0, 0, 0, 0"
            " FROM chat_chatsession s WHERE s.id = %s",
            message_id,
            self.last,
            role,
            content,
            self.id,
        )
        self.house.sql("UPDATE chat_chatsession SET active_leaf_id = %s WHERE id = %s", message_id, self.id)
        self.last = message_id

    def say_unheard(self, question: str, answer: str) -> None:
        """An exchange no page is told of."""
        self.say(str(uuid7()), "user", question)
        self.say(str(uuid7()), "assistant", answer)
        self.house.sql(
            "UPDATE chat_chatsession SET message_count = 3, last_message_at = now() WHERE id = %s", self.id
        )

    def open(self, tab: Page | None = None) -> Page:
        tab = tab or self.tab
        tab.goto(self.visit.url(f"/chat/{self.id}/"))
        return tab

    def rows(self, role: str) -> list[tuple[Any, ...]]:
        return self.house.sql(
            "SELECT id, status, content FROM chat_message WHERE session_id = %s AND role = %s"
            " AND parent_id IS NOT NULL ORDER BY id",
            self.id,
            role,
        )

    @property
    def generations(self) -> int:
        return int(
            self.house.sql("SELECT count(*) FROM chat_generation WHERE session_id = %s", self.id)[0][0]
        )


@pytest.fixture
def chat(visit: Visit, house: Installation, server: WebProcess) -> Chat:
    return Chat(visit, house)


def write(page: Page, text: str) -> None:
    page.fill("#composer-text", text)
    page.locator("[data-send]").click()


def reply(page: Page) -> Locator:
    return page.locator(".message-assistant").last


def expect_connected(page: Page) -> None:
    expect(page.locator("[data-chat][data-connection=live]")).to_have_count(1)


def expect_whole(page: Page, chat: Chat, text: str) -> None:
    """The last reply is over and shown as the server draws it."""
    expect(reply(page).locator(".tool-receipt")).to_have_count(1, timeout=30_000)
    expect(page.locator(".message-live")).to_have_count(0)
    expect(page.locator("[data-send]")).to_be_visible()
    message_id, status, content = chat.rows("assistant")[-1]
    assert (status, content) == ("complete", text)
    assert words(reply(page)) == words_of(render(text))
    assert reply(page).get_attribute("data-message") == str(message_id)


def words(message: Locator) -> str:
    return " ".join(message.locator("[data-words]").inner_text().split())


def words_of(markup: str) -> str:
    spaced = re.sub(r"<br>|</(p|h\d|li|td|th|pre|blockquote)>", " ", markup)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", spaced)).split())


def is_at_end(page: Page) -> bool:
    return bool(
        page.evaluate(
            "(() => { const s = document.querySelector('[data-scroll]');"
            " return s.scrollHeight - s.scrollTop - s.clientHeight < 64; })()"
        )
    )


# --- Live words --------------------------------------------------------------------------------------------


def test_a_reply_types_itself_and_ends_as_the_server_draws_it(chat: Chat, provider: FakeProvider) -> None:
    provider.default = Behaviour(text=RICH, rate=60)
    page = chat.open()
    write(page, "Tell me *everything*")

    expect(page.locator(".message-user em")).to_have_text("everything")
    expect(page.locator("[data-stop]")).to_be_visible()
    expect(page.locator(".message-live h3")).to_have_text("A list")
    expect(page.locator("[data-state]")).to_have_text("Maren is writing…")
    expect(reply(page).locator(".tool-receipt")).to_be_visible(timeout=20_000)

    assert words(reply(page)).replace("python ", "") == words_of(render(RICH))
    expect(reply(page).locator("pre code.language-python")).to_have_text(
        'def hello(name):\n    return f"<b>{name}</b>"\n', use_inner_text=False
    )
    expect(reply(page).locator(".link-host")).to_have_text("(elsewhere.example)")
    expect(page.locator(".chat-name [data-title]")).to_have_text("Tell me everything")
    expect(page.locator(".session-link[aria-current] .session-title")).to_have_text("Tell me everything")


MARKDOWN = [
    "*She smiles.* Hello **you** and ***both*** ~~gone~~ `code *x*`",
    "a\nb\n\nc",
    RICH,
    "1. x\n2. y\n\n   para\n3. z",
    "> quote\n> more\nlazy\n\nafter",
    "> - a\n> - b\n>\n> x",
    "~~~\n```\n~~~",
    "text\n---\nmore",
    "[a.b](https://a.b) <https://q.r> https://s.t/u_v. (https://w.x) [m](mailto:a@b.c)",
    "\\*not\\* 5 * 3 * 2 a_b_c __init__ snake_case_name",
    "*a **b** c* and **a *b* c**",
    "`` a`b `` `unclosed",
    "line  \nhard\\\nbreak",
    "- a\n\n- b",
    "para\n- list\n2. no list",
    '"*quoted*" he said—*softly*—and left.',
    "[a [b] c](https://x.y) ![img](https://x.y/z.png)",
    "[x](javascript:alert(1)) [y](/z) https://good.example@evil.example",
    "#none\n####### seven\n## closed ##",
    "| a \\| b | c |\n|---|---|\n| 1 | 2 |",
    "1. a\n   - b\n     - c\n2. d",
    "你好*世界*。**真的**吗",
    "x < y & z > w <b> <script>alert(1)</script>",
]

DRAW = """async (texts) => {
  const { LiveText, drawSaid } = await import("/static/js/chat/live_markdown.js");
  return texts.map((text) => {
    const live = new LiveText(document.createElement("div"));
    for (let at = 0; at < text.length; at += 3) { live.text += text.slice(at, at + 3); live.draw(); }
    live.draw(false);
    const said = document.createElement("div");
    said.append(...drawSaid(text));
    return [live.place.innerHTML, said.innerHTML];
  });
}"""


def comparable(markup: str) -> str:
    """Without what two right ways to write the same thing differ in."""
    attribute = re.compile(r'[a-z]+="[^"]*"')
    markup = re.sub(r"<a ([^>]*)>", lambda m: f"<a {sorted(attribute.findall(m[1]))}>", markup)
    markup = re.sub(r'href="(https?://[^/"]+)"', r'href="\1/"', markup)
    markup = re.sub(
        r"(?s)<pre>.*?</pre>", lambda m: m[0].replace("\n</code>", "</code>").replace("\n", "¶"), markup
    )
    return re.sub(r"\s*\n\s*", "", markup)


def test_live_words_are_drawn_by_the_rules_of_the_server(chat: Chat) -> None:
    drawn = chat.open().evaluate(DRAW, MARKDOWN)

    for text, (live, said) in zip(MARKDOWN, drawn, strict=True):
        assert comparable(live) == comparable(str(render(text)))
        assert comparable(said) == comparable(str(render_said(text)))


def test_x29_x33_hostile_live_words_run_and_fetch_nothing(chat: Chat) -> None:
    page = chat.open()
    names = page.evaluate(
        """async (texts) => {
          const { LiveText, drawSaid } = await import("/static/js/chat/live_markdown.js");
          const place = document.querySelector(".message [data-words]");
          const names = new Set();
          for (const text of texts) {
            const live = new LiveText(document.createElement("div"));
            place.append(live.place);
            for (let at = 0; at < text.length; at += 7) { live.text += text.slice(at, at + 7); live.draw(); }
            live.place.append(...drawSaid(text));
            for (const element of live.place.querySelectorAll("*")) {
              names.add(element.tagName);
              for (const { name } of element.attributes) names.add(`${element.tagName} ${name}`);
              if (element.tagName === "A" && !/^(https?|mailto):/.test(element.href)) names.add(element.href);
            }
            live.place.remove();
          }
          return [...names].sort();
        }""",
        list(corpus()),
    )

    assert set(names) <= {
        *(
            "A",
            "A href",
            "A rel",
            "A target",
            "BLOCKQUOTE",
            "BR",
            "CODE",
            "CODE class",
            "EM",
            "H3",
            "LI",
            "P",
            "PRE",
        ),
        *("SPAN", "SPAN class", "STRONG", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "UL", "OL", "S", "HR"),
    }


def test_x29_x33_hostile_stored_words_run_and_fetch_nothing(chat: Chat) -> None:
    texts = [text.replace("\x00", "") for text in corpus()]
    for start in range(0, len(texts), 50):
        role = "user" if start % 100 else "assistant"
        chat.say(str(uuid7()), role, "\n\n".join(texts[start : start + 50])[:23_000])
    page = chat.open()

    for _ in range(10):
        page.evaluate("document.querySelector('[data-scroll]').scrollTop -= 4000")
        page.wait_for_timeout(50)

    assert page.locator(".words :is(img, script, iframe, form, style, object, svg:not(.icon))").count() == 0
    assert page.evaluate("typeof window.parlorWasHit") == "undefined"


def test_f15_ten_reloads_in_one_reply_end_in_the_whole_reply(chat: Chat, provider: FakeProvider) -> None:
    provider.default = Behaviour(text=LONG, rate=90)
    page = chat.open()
    write(page, "Go on and on")
    expect(page.locator(".message-live")).to_contain_text("Part 0.")

    for _ in range(10):
        page.reload()
        expect(page.locator(".message-live")).to_have_count(1)

    expect_whole(page, chat, LONG)
    assert chat.generations == 1


def test_f16_two_tabs_see_the_same_conversation(chat: Chat, visit: Visit, provider: FakeProvider) -> None:
    provider.default = Behaviour(text=LONG[:600].strip(), rate=120)
    first, second = chat.open(), chat.open(visit.page())
    expect(second.locator("[data-state]")).to_be_empty()

    write(first, "From the first")
    expect(second.locator(".message-user")).to_have_text(re.compile("From the first"))
    expect(second.locator(".message-live [data-words]")).to_contain_text("Part 0.")
    for page in (first, second):
        expect_whole(page, chat, LONG[:600].strip())
    provider.default = Behaviour(text=SHORT)
    write(second, "From the second")

    for page in (first, second):
        expect(page.locator(".message-user")).to_have_count(2)
        expect_whole(page, chat, SHORT)
    ids = "[...document.querySelectorAll('.messages > .message')].map((m) => m.dataset.message)"
    assert first.evaluate(ids) == second.evaluate(ids)


def test_a_screen_reader_hears_sentences(chat: Chat, provider: FakeProvider) -> None:
    text = "*She turns.* The sea is loud tonight! Is the **door** shut?\n\n" * 6 + "Good night."
    provider.default = Behaviour(text=text, rate=150)
    page = chat.open()
    page.evaluate(
        """() => {
          window.heard = [];
          const note = (change) => change.addedNodes.forEach((node) => window.heard.push(node.textContent));
          const place = document.querySelector("[data-spoken]");
          new MutationObserver((changes) => changes.forEach(note)).observe(place, { childList: true });
        }"""
    )
    write(page, "Read to me")
    expect_whole(page, chat, text)

    heard = page.evaluate("window.heard")
    assert (heard[0], heard[-1]) == ("Maren answers", "Maren has finished.")
    assert [line for line in heard if not line.endswith((".", "!", "?"))] == ["Maren answers"]
    assert " ".join(heard[1:-1]).split() == text.replace("*", "").split()
    assert len(heard) < 16


# --- Stopping, other answers, branches ---------------------------------------------------------------------


def test_escape_stops_and_the_reply_can_go_on(chat: Chat, provider: FakeProvider) -> None:
    provider.default = Behaviour(text=LONG, rate=40)
    page = chat.open()
    write(page, "Speak")
    expect(page.locator(".message-live")).to_contain_text("Part 0.")
    page.keyboard.press("Escape")
    expect(page.locator(".message-note")).to_contain_text("Stopped. You paid for what was said.")
    expect(page.locator("[data-send]")).to_be_visible()
    said = chat.rows("assistant")[-1][2]

    provider.default = Behaviour(text="and the end.")
    page.locator(".message-note button").click()
    expect(reply(page)).to_contain_text("and the end.")
    expect(page.locator(".message-live")).to_have_count(0)
    expect(page.locator(".message-note")).to_have_count(0)
    assert chat.rows("assistant")[-1][2] == said + "and the end."


def test_another_answer_is_a_variant_one_can_page_through(chat: Chat, provider: FakeProvider) -> None:
    page = chat.open()
    write(page, "Hello")
    expect_whole(page, chat, SHORT)
    provider.default = Behaviour(text="Something else.")
    reply(page).get_by_label("Answer again").click()
    expect(reply(page).locator(".variants")).to_contain_text("2/2")
    expect(page.locator(".message-assistant")).to_have_count(2)

    reply(page).get_by_label("The one before").click()
    expect(reply(page).locator(".variants")).to_contain_text("1/2")
    assert words(reply(page)) == "nods Of course."
    reply(page).get_by_label("The next one").click()
    expect(reply(page)).to_contain_text("Something else.")


def test_arrow_up_rewords_the_last_message_as_a_branch(chat: Chat) -> None:
    page = chat.open()
    write(page, "Helo")
    expect_whole(page, chat, SHORT)
    page.locator("#composer-text").press("ArrowUp")
    field = page.locator(".edit-form textarea")
    expect(field).to_be_focused()
    expect(field).to_have_value("Helo")
    field.fill("Hello")
    page.locator(".edit-form .button-primary").click()

    expect(page.locator(".message-user .variants")).to_contain_text("2/2")
    expect_whole(page, chat, SHORT)
    assert [row[2] for row in chat.rows("user")] == ["Helo", "Hello"]


def test_deleting_asks_and_then_cuts_the_branch(chat: Chat) -> None:
    page = chat.open()
    write(page, "Forget me")
    expect_whole(page, chat, SHORT)
    page.locator(".message-user").hover()
    page.locator(".message-user").get_by_label("Delete").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(".message-user")).to_have_count(1)
    page.locator(".message-user").get_by_label("Delete").click()
    page.locator("#confirm-delete [data-confirmed]").click()

    expect(page.locator(".message-user")).to_have_count(0)
    expect(page.locator(".message")).to_have_count(1)
    assert chat.rows("user") == []


def test_a_reply_is_rated_and_its_receipt_opens(chat: Chat, house: Installation) -> None:
    page = chat.open()
    write(page, "Hello")
    expect_whole(page, chat, SHORT)
    reply(page).get_by_label("Good reply").click()
    expect(reply(page).get_by_label("Good reply")).to_have_attribute("aria-pressed", "true")
    reply(page).locator(".tool-receipt").click()
    expect(page.locator("#receipt")).to_contain_text("What the model was given")
    page.keyboard.press("Escape")
    expect(page.locator("#receipt")).to_be_hidden()
    assert house.sql("SELECT feedback FROM chat_message WHERE id = %s", chat.rows("assistant")[-1][0]) == [
        ("up",)
    ]


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(scenario="error_status", status=400), Behaviour(finish="refused", text=" ")],
    ids=["failed", "blocked"],
)
def test_a_failure_says_that_nothing_was_charged_and_can_be_tried_again(
    chat: Chat, provider: FakeProvider, behaviour: Behaviour
) -> None:
    provider.default = behaviour
    page = chat.open()
    write(page, "Hello")
    expect(page.locator(".message-note")).to_contain_text("Nothing was charged", timeout=20_000)
    provider.default = Behaviour(text=SHORT)
    page.get_by_role("button", name="Try again").click()
    expect(reply(page)).to_contain_text("nods")
    expect_whole(page, chat, SHORT)
    expect(reply(page).locator(".variants")).to_contain_text("2/2")


def test_code_is_copied_exactly(chat: Chat, provider: FakeProvider) -> None:
    chat.visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    provider.default = Behaviour(text=RICH)
    page = chat.open()
    write(page, "Code, please")
    expect(reply(page).locator(".tool-receipt")).to_be_visible()
    page.get_by_label("Copy the code").click()
    expect(page.get_by_label("Copy the code")).to_have_attribute("data-done", "Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == 'def hello(name):\n    return f"<b>{name}</b>"\n'
    reply(page).locator(".message-tools").get_by_label("Copy").click()
    expect(reply(page).locator(".message-tools [data-done]")).to_have_count(1)
    assert page.evaluate("navigator.clipboard.readText()") == RICH


# --- Networks and crashes ----------------------------------------------------------------------------------


def test_without_websockets_the_reply_comes_all_the_same(chat: Chat, provider: FakeProvider) -> None:
    provider.default = Behaviour(text=LONG[:900].strip(), rate=120)
    page = chat.tab
    page.route_web_socket("**/ws/chat/**", lambda route: route.close(code=1011))
    chat.open()
    expect(page.locator("[data-state]")).to_contain_text(
        "Live connection is not possible here", timeout=20_000
    )
    write(page, "Are you there?")
    expect(page.locator(".message-live [data-words]")).to_contain_text("Part 0.")
    page.reload()
    expect_whole(page, chat, LONG[:900].strip())
    assert chat.generations == 1


def test_f23_a_line_that_breaks_in_mid_reply_leaves_no_seam(chat: Chat, provider: FakeProvider) -> None:
    provider.default = Behaviour(text=LONG, rate=90)
    page = chat.tab
    seen = {"deltas": 0, "sockets": 0}

    def relay(route: WebSocketRoute) -> None:
        seen["sockets"] += 1
        upstream = route.connect_to_server()

        def forward(frame: str | bytes) -> None:
            if '"generation.delta"' in str(frame):
                seen["deltas"] += 1
                # Every third is swallowed; after some the line breaks.
                if seen["deltas"] % 3 == 0:
                    return
                if seen["deltas"] % 25 == 0:
                    route.close(code=1012)
                    upstream.close()
                    return
            route.send(frame)

        upstream.on_message(forward)

    page.route_web_socket("**/ws/chat/**", relay)
    chat.open()
    write(page, "Go on and on")
    expect_whole(page, chat, LONG)
    assert seen["sockets"] > 2
    assert chat.generations == 1


def test_f17_words_written_offline_are_sent_once_when_the_network_is_back(chat: Chat, visit: Visit) -> None:
    page = chat.open()
    expect_connected(page)
    visit.context.set_offline(True)
    write(page, "Into the dark")
    expect(page.locator(".message-waiting")).to_contain_text("Into the dark")
    visit.context.set_offline(False)
    expect_whole(page, chat, SHORT)
    assert [row[2] for row in chat.rows("user")] == ["Into the dark"]
    visit.complaints[:] = [one for one in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_words_sent_before_a_crash_are_sent_once_after_it(chat: Chat) -> None:
    page = chat.open()
    entry = {"clientId": uuid4().hex, "content": "Did you get this?"}
    page.evaluate(
        """([session, entry]) => {
          const { user } = JSON.parse(document.getElementById("chat-page").textContent);
          const kept = JSON.stringify({ at: 1, value: [entry] });
          localStorage.setItem(`parlor.outbox.${user}.${session}`, kept);
        }""",
        [chat.id, entry],
    )
    for _ in range(2):
        page.reload()
        expect_whole(page, chat, SHORT)
    assert [row[2] for row in chat.rows("user")] == ["Did you get this?"]


def test_a_reply_that_came_between_the_page_and_its_socket_is_shown(chat: Chat) -> None:
    page = chat.open()
    page.route_web_socket(
        "**/ws/chat/**", lambda ws: (chat.say_unheard("And this?", SHORT), ws.connect_to_server())
    )
    page.reload()
    expect(reply(page).locator("[data-words]")).to_contain_text("Of course")


def test_a_page_made_while_a_reply_began_offers_to_stop_only_what_runs(chat: Chat) -> None:
    """Its words were read before the reply, what runs after it; by now it is over."""
    page = chat.tab
    page.add_init_script(
        """new MutationObserver((_, observer) => {
          const stop = document.querySelector("[data-stop]");
          if (!stop) return;
          stop.hidden = false;
          observer.disconnect();
        }).observe(document, { childList: true, subtree: true });"""
    )
    chat.open()
    expect_connected(page)
    expect(page.locator("[data-send]")).to_be_visible()
    expect(page.locator("[data-stop]")).to_be_hidden()


def test_a_draft_stays_with_its_chat(chat: Chat, visit: Visit, house: Installation) -> None:
    page = chat.open()
    page.fill("#composer-text", "Not yet")
    Chat(visit, house).open(page)
    expect(page.locator("#composer-text")).to_have_value("")
    chat.open()
    expect(page.locator("#composer-text")).to_have_value("Not yet")


def test_a_page_left_behind_by_another_device_catches_up(chat: Chat, visit: Visit) -> None:
    page = chat.open()
    route: list[WebSocketRoute] = []
    other = visit.page()
    other.route_web_socket("**/ws/chat/**", lambda ws: (ws.connect_to_server(), route.append(ws)))
    chat.open(other)
    expect_connected(other)
    route[0].close(code=1012)
    write(page, "While you were away")
    expect_whole(page, chat, SHORT)
    expect_whole(other, chat, SHORT)


# --- Credits and limits ------------------------------------------------------------------------------------


def test_without_credits_a_sheet_names_the_ways_on_and_the_words_stay(
    chat: Chat, house: Installation
) -> None:
    page = chat.open()
    house.sql(
        "UPDATE billing_tier SET token_price = 100000000000 FROM billing_wallet w, accounts_user u"
        " WHERE w.user_id = u.id AND w.tier_id = billing_tier.slug AND u.email = %s",
        EMAIL,
    )
    try:
        write(page, "Something dear")
        sheet = page.locator("#credits-sheet")
        expect(sheet).to_be_visible()
        expect(sheet.locator("[data-available]")).not_to_be_empty()
        expect(sheet.get_by_role("link", name="Look into your wallet")).to_be_visible()
        expect(sheet).to_contain_text("free credits come back")
    finally:
        house.sql("UPDATE billing_tier SET token_price = 50 WHERE slug = 'vip'")
    sheet.get_by_role("button", name="Back to the chat").click()
    expect(page.locator("#composer-text")).to_have_value("Something dear")
    expect(page.locator(".message-user")).to_have_count(0)
    assert chat.rows("user") == []


def test_too_many_requests_count_the_seconds_down(chat: Chat, house: Installation) -> None:
    page = chat.tab
    page.route_web_socket("**/ws/chat/**", refuse_sends)
    chat.open()
    expect_connected(page)
    write(page, "Too quick")
    expect(page.locator("[data-composer-note]")).to_have_text("Slow down. You can send again in 2 s.")
    expect(page.locator("#composer-text")).to_have_value("Too quick")
    expect(page.locator("[data-composer-note]")).to_be_empty(timeout=5_000)


def refuse_sends(route: WebSocketRoute) -> None:
    upstream = route.connect_to_server()

    def forward(frame: str | bytes) -> None:
        data = json.loads(frame)
        if data["type"] != "message.send":
            upstream.send(frame)
            return
        error = {
            "type": "error",
            "code": "rate_limited",
            "status": 429,
            "detail": "Slow down.",
            "retry_after": 2,
        }
        route.send(json.dumps({**error, "client_id": data["client_id"]}))

    route.on_message(forward)


# --- Reading -----------------------------------------------------------------------------------------------


def test_reading_further_up_moves_nothing(chat: Chat) -> None:
    for number in range(120):
        chat.say(
            str(uuid7()),
            "assistant" if number % 2 else "user",
            f"Line {number}. " + "More words. " * (number % 17),
        )
    page = chat.open()
    assert is_at_end(page)
    expect(page.locator(".message")).to_have_count(30)
    seen = 30
    for _ in range(4):
        page.evaluate("document.querySelector('[data-scroll]').scrollTop = 500")
        before = page.evaluate(VISIBLE)
        expect(page.locator(".message")).not_to_have_count(seen)
        seen = page.locator(".message").count()
        name, top = page.evaluate(VISIBLE)
        assert name == before[0]
        assert abs(top - before[1]) < 3
    assert page.locator(".day").count() == 1


VISIBLE = """(() => {
  const edge = document.querySelector("[data-scroll]").getBoundingClientRect().top;
  const topOf = (message) => message.getBoundingClientRect().top;
  const seen = [...document.querySelectorAll(".message")].find((message) => topOf(message) > edge + 40);
  return [seen.id, topOf(seen)];
})()"""


def test_new_words_do_not_pull_the_reader_along(chat: Chat, provider: FakeProvider) -> None:
    for number in range(20):
        chat.say(str(uuid7()), "assistant", f"Line {number}. " + "More words. " * 20)
    provider.default = Behaviour(text=LONG, rate=60)
    page = chat.open()
    write(page, "Go on")
    expect(page.locator(".message-live")).to_contain_text("Part 0.")
    scroll = page.locator("[data-scroll]")
    scroll.hover()
    page.mouse.wheel(0, -700)
    page.wait_for_timeout(200)
    where = scroll.evaluate("(s) => s.scrollTop")
    expect(page.locator("[data-new-words]")).to_be_visible()
    page.wait_for_timeout(500)
    assert scroll.evaluate("(s) => s.scrollTop") == where
    page.locator("[data-new-words]").click()
    expect(page.locator("[data-new-words]")).to_be_hidden()
    expect_whole(page, chat, LONG)
    assert is_at_end(page)


def test_a_reply_longer_than_the_window_keeps_its_beginning_in_sight(
    chat: Chat, provider: FakeProvider
) -> None:
    provider.default = Behaviour(text=LONG, rate=400)
    page = chat.open()
    write(page, "Go on")
    expect_whole(page, chat, LONG)
    edge = page.locator("[data-scroll]").bounding_box()
    top = reply(page).bounding_box()
    assert edge is not None
    assert top is not None
    assert 0 <= top["y"] - edge["y"] < 60
    expect(page.locator("[data-new-words]")).to_be_visible()


# --- Chats in order ----------------------------------------------------------------------------------------


def row(page: Page, chat: Chat) -> Locator:
    return page.locator(f"[data-session-row='{chat.id}']")


def choose(page: Page, chat: Chat, name: str) -> None:
    row(page, chat).hover()
    row(page, chat).locator("[data-session-menu]").click()
    row(page, chat).get_by_role("button", name=name, exact=True).click()


def test_chats_are_renamed_pinned_archived_and_deleted_from_the_list(
    chat: Chat, visit: Visit, house: Installation
) -> None:
    other = Chat(visit, house)
    page = chat.open()
    page.bring_to_front()  # a tab behind another one draws once a second
    choose(page, chat, "Rename")
    page.keyboard.type("Tea at ten")
    page.keyboard.press("Enter")
    expect(row(page, chat).locator(".session-title")).to_have_text("Tea at ten")
    expect(page.locator(".chat-name [data-title]")).to_have_text("Tea at ten")

    choose(page, chat, "Pin to the top")
    expect(page.locator("[data-session-row]").first).to_have_attribute("data-session-row", chat.id)
    choose(page, chat, "Unpin")
    expect(row(page, chat).locator(".session-link > .icon")).to_have_count(0)

    choose(page, other, "Archive")
    expect(row(page, other)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, other)).to_have_count(1)
    choose(page, other, "Delete")
    expect(row(page, other)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row(page, other)).to_have_count(1)

    page.keyboard.press("Control+k")
    page.keyboard.type("tea at")
    expect(page.locator("[data-session-row]")).to_have_count(1)
    page.fill("#session-query", "")
    choose(page, chat, "Delete")
    page.wait_for_url(re.compile(r"/chat/\?deleted="))
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(visit.url(f"/chat/{chat.id}/"))


def test_columns_fold_away_and_stay_folded(chat: Chat) -> None:
    page = chat.open()
    page.set_viewport_size({"width": 1440, "height": 900})
    for name in ("chats", "about"):
        expect(page.locator(f"#{name}")).to_be_visible()
        page.locator(f"[data-fold={name}]").click()
        expect(page.locator(f"#{name}")).to_be_hidden()
    page.reload()
    for name in ("chats", "about"):
        expect(page.locator(f"#{name}")).to_be_hidden()
        page.locator(f"[data-fold={name}]").click()
        expect(page.locator(f"#{name}")).to_be_visible()


@pytest.mark.parametrize("visit", [PHONE], ids=["phone"], indirect=True)
def test_on_a_phone_the_sides_are_sheets_and_a_tap_shows_what_can_be_done(chat: Chat) -> None:
    page = chat.open()
    write(page, "Hello")
    expect_whole(page, chat, SHORT)
    expect(page.locator(".message-user .message-tools [data-act=edit]")).to_be_hidden()
    page.locator(".message-user .words").tap()
    expect(page.locator(".message-user .message-tools [data-act=edit]")).to_be_visible()
    for name, opener in (("chats", ".chats-open"), ("about", ".about-open")):
        expect(page.locator(f"#{name}")).to_be_hidden()
        page.locator(opener).tap()
        expect(page.locator(f"#{name}")).to_be_visible()
        page.locator(f"#{name} .panel-close").tap()
        expect(page.locator(f"#{name}")).to_be_hidden()
    expect(page.locator("#composer-text")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#composer-text").press("Enter")
    expect(page.locator(".message-user")).to_have_count(1)


@pytest.mark.parametrize("visit", [WITHOUT_SCRIPT], ids=["plain"], indirect=True)
def test_without_script_a_form_sends_and_the_reply_is_there_after_a_reload(chat: Chat) -> None:
    page = chat.open()
    page.fill("#composer-text", "Hello")
    page.locator("[data-send]").click()
    expect(page.locator(".message-user")).to_contain_text("Hello")
    page.wait_for_timeout(1500)
    page.reload()
    expect(reply(page)).to_contain_text("nods Of course.")
    reply(page).get_by_label("Good reply").click()
    expect(reply(page).get_by_label("Good reply")).to_have_attribute("aria-pressed", "true")
    page.locator(".message-user").get_by_label("Edit").click()
    page.fill("#content", "Hello again")
    page.locator("main .button-primary").click()
    expect(page.locator(".message-user .variants")).to_contain_text("2/2")


DESK = {"viewport": {"width": 1440, "height": 900}}
DUSK = {**PHONE, "color_scheme": "dark"}


@pytest.mark.parametrize("visit", [DESK, DUSK], ids=["desk", "dark-phone"], indirect=True)
def test_no_state_of_the_page_has_an_accessibility_finding(chat: Chat, provider: FakeProvider) -> None:
    page = chat.open()
    provider.default = Behaviour(text=RICH, rate=30)
    write(page, "Everything, *please*")
    expect(page.locator(".message-live [data-words]")).to_contain_text("A list")
    assert findings(page) == []
    expect(reply(page).locator(".tool-receipt")).to_be_visible(timeout=20_000)
    assert findings(page) == []
    reply(page).locator(".tool-receipt").click()
    expect(page.locator("#receipt")).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.evaluate("document.getElementById('credits-sheet').showModal()")
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.locator("#composer-text").press("ArrowUp")
    expect(page.locator(".edit-form")).to_be_visible()
    assert findings(page) == []


def findings(page: Page) -> list[Any]:
    # A sheet that is still fading in has the contrast of its shade.
    page.wait_for_timeout(300)
    violations = Axe().run(page).response["violations"]
    return [(rule["id"], [node["html"][:160] for node in rule["nodes"]]) for rule in violations]
