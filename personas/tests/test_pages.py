"""The pages of personas: discover, a persona, the editor, import, mine, and what their buttons do."""

import datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import make_user
from personas import rails
from personas.cards.importer import read_card
from personas.models import Persona, PersonaFavorite
from personas.tests.cards import V1, as_json, encoded, png_with, text_chunk, v2_card
from personas.tests.factories import make_persona, make_picture

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
FORM = {"name": "Ada", "language": "en", "rating": "everyone", "visibility": "private", "status": "published"}


def signed_in(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or make_user())
    return client


def html(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.content[:500]
    return str(response.content.decode())


def names_on(page: str, *names: str) -> list[str]:
    return [name for name in names if f">{name}<" in page]


def test_home_shows_a_visitor_who_is_public() -> None:
    make_persona(name="Mirelle", tagline="A lamplighter", chats_count=1234)
    make_persona(name="Hidden", visibility="private")
    page = html(Client().get("/"))
    assert names_on(page, "Mirelle", "Hidden") == ["Mirelle"]
    assert ("A lamplighter" in page, "1,234" in page) == (True, True)


def test_rails_come_when_they_show_more_than_the_grid_does() -> None:
    owner = make_user()
    client = Client()
    for number in range(24):
        make_persona(owner, f"Persona {number}", trending_score=1 if number < 2 else 0)
    page = html(client.get("/"))
    assert ("Trending" in page.split("everybody")[0], "New here" in page) == (False, False)
    make_persona(owner, "Persona 24", trending_score=2)
    page = html(client.get("/"))
    trending = page[page.index('id="rail-trending"') : page.index('id="rail-new"')]
    everyone = [f"Persona {number}" for number in range(25)]
    assert sorted(names_on(trending, *everyone)) == ["Persona 0", "Persona 1", "Persona 24"]
    newest = page[page.index('id="rail-new"') : page.index('id="everybody"')]
    assert names_on(newest, *everyone) == everyone[15:]


def test_home_without_any_persona_says_so() -> None:
    assert "Nobody answers to that" in html(Client().get("/"))


def test_searching_and_filtering_narrow_the_grid_and_leave_the_rails_out() -> None:
    owner = make_user()
    make_persona(owner, "Mirelle", category_id="mystery", tags=["harbour"])
    make_persona(owner, "Otto", category_id="humour", language="de")
    client = Client()
    for query, expected in (
        ({"q": "harbour"}, ["Mirelle"]),
        ({"category": "humour"}, ["Otto"]),
        ({"tag": "Harbour"}, ["Mirelle"]),
        ({"language": "de"}, ["Otto"]),
        ({"q": "zzz"}, []),
    ):
        page = html(client.get("/", query))
        assert names_on(page, "Mirelle", "Otto") == expected, query
        assert "Trending</h2>" not in page


def test_a_link_with_filters_that_make_no_sense_still_opens() -> None:
    make_persona(name="Mirelle")
    query = {"rating": "x", "language": "??", "category": "nowhere", "sort": "worst", "page": "-3"}
    assert names_on(html(Client().get("/", query)), "Mirelle") == ["Mirelle"]
    for page in ("99999999999999999999999", "x", "²", "0"):
        assert Client().get("/", {"page": page}).status_code == 200
    assert Client().get("/", {"q": "x" * 300}).status_code == 200


def test_htmx_gets_the_grid_alone_and_caches_keep_the_two_apart() -> None:
    make_persona(name="Mirelle")
    response = Client().get("/?q=mirelle", headers=HTMX)
    page = html(response)
    assert ("<html" in page, names_on(page, "Mirelle")) == (False, ["Mirelle"])
    assert "HX-Request" in response["Vary"]


def test_the_grid_goes_on_on_further_pages() -> None:
    owner = make_user()
    for number in range(30):
        make_persona(owner, f"Persona {number}")
    everyone = [f"Persona {number}" for number in range(30)]
    client = Client()
    first = names_on(html(client.get("/?sort=new&q=persona")), *everyone)
    second = names_on(html(client.get("/?sort=new&q=persona&page=2")), *everyone)
    assert (len(first), len(second), set(first) & set(second)) == (24, 6, set())


def test_mature_personas_are_hidden_from_those_not_known_to_be_adults() -> None:
    persona = make_persona(
        name="Mirelle", rating="mature", owner=make_user(birth_date=datetime.date(1980, 1, 1))
    )
    young, grown = signed_in(), signed_in(make_user(birth_date=datetime.date(1990, 1, 1)))
    assert names_on(html(young.get("/")), "Mirelle") == []
    page = html(young.get(f"/personas/{persona.slug}/"), 403)
    assert "This is for adults" in page
    assert names_on(html(grown.get("/")), "Mirelle") == ["Mirelle"]
    assert "Mirelle" in html(grown.get(f"/personas/{persona.slug}/"))


@pytest.mark.parametrize("path", ["/", "/?q=persona", "/personas/mine/"])
def test_the_number_of_queries_does_not_grow_with_the_rows(path: str) -> None:
    user = make_user()
    client = signed_in(user)

    def queries(rows: int) -> int:
        while Persona.objects.count() < rows:
            persona = make_persona(user, f"Persona {Persona.objects.count()}", category_id="humour")
            PersonaFavorite.objects.create(user=user, persona=persona)
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            html(client.get(path))
        return len(captured)

    assert queries(2) == queries(20)


def test_other_apps_add_rails_in_their_place() -> None:
    persona = make_persona(name="Mirelle")
    item = rails.RailItem(persona, url="/chat/1/", caption="Where you left off")
    rails.register("resume", lambda user: rails.Rail("resume", "Go on", [item]), position=10)
    try:
        page = html(Client().get("/"))
    finally:
        del rails._sources["resume"]
    assert page.index("Go on") < page.index("Everybody")
    assert ('href="/chat/1/"' in page, "Where you left off" in page) == (True, True)


def test_the_page_of_a_persona_shows_it_with_the_names_filled_in() -> None:
    persona = make_persona(
        name="Mirelle",
        greeting="Evening, {{user}}. {{char}} trims the wick.",
        alternate_greetings=["Back, <USER>?"],
        description="{{char}} lights lamps.",
        system_prompt="secret",
        tags=["harbour"],
    )
    page = html(signed_in(make_user(display_name="Ilse")).get(persona.get_absolute_url()))
    for words in (
        "Evening, Ilse. Mirelle trims the wick.",
        "Back, Ilse?",
        "Mirelle lights lamps.",
        "Talk to Mirelle",
    ):
        assert words in page
    assert "secret" not in page
    assert "Evening, you." in html(Client().get(persona.get_absolute_url()))


def test_x29_what_people_write_is_text_on_every_page() -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    owner = make_user(display_name="<b>x</b>")
    persona = make_persona(
        owner,
        attack[:100],
        tagline=attack,
        description=attack,
        greeting=attack,
        alternate_greetings=[attack],
        tags=["<i>tag</i>"],
        personality=attack,
    )
    client = signed_in(owner)
    for path in ("", "edit/", "delete/"):
        page = html(client.get(f"/personas/{persona.slug}/{path}"))
        assert ("<script>alert" in page, "<img src=x" in page, "<i>tag" in page) == (False, False, False)
    for page in (html(client.get("/")), html(client.get("/personas/mine/"))):
        assert ("<script>alert" in page, "<img src=x" in page) == (False, False)


@pytest.mark.parametrize("fields", [{"visibility": "private"}, {"status": "draft"}])
def test_x2_somebody_else_s_persona_is_not_found_on_any_page(fields: dict[str, str]) -> None:
    persona = make_persona(**fields)
    client = signed_in()
    for path in ("", "edit/", "delete/", "export/json/"):
        assert client.get(f"/personas/{persona.slug}/{path}").status_code == 404
    for path in ("edit/", "delete/", "restore/", "clone/", "like/", "favorite/"):
        assert client.post(f"/personas/{persona.slug}/{path}", {"wanted": "1"}).status_code == 404
    assert Persona.objects.filter(deleted_at=None).count() == 1


def test_x3_a_public_persona_is_not_edited_by_strangers() -> None:
    persona = make_persona()
    client = signed_in()
    for path in ("edit/", "delete/", "restore/"):
        assert client.post(f"/personas/{persona.slug}/{path}", FORM).status_code == 404
    assert Persona.objects.values_list("name", "deleted_at").get() == ("Ada", None)


@pytest.mark.parametrize("path", ["create/", "import/", "mine/", "x/edit/", "x/delete/"])
def test_visitors_are_asked_to_sign_in(path: str) -> None:
    response = Client().get(f"/personas/{path}")
    assert (response.status_code, response["Location"].startswith("/accounts/login/?next=")) == (302, True)


def test_creating_with_a_portrait_leads_to_the_persona() -> None:
    user = make_user()
    portrait = SimpleUploadedFile("me.jpg", make_picture("JPEG"), content_type="image/jpeg")
    body = {
        **FORM,
        "portrait": portrait,
        "greeting": "Line one\r\nline two ",
        "alternate_greetings": ["One", " ", "Two"],
        "tags": "History, numbers",
        "temperature": "0.5",
        "visibility": "public",
        "allow_clone": "on",
    }
    response = signed_in(user).post("/personas/create/", body)
    persona = Persona.objects.get()
    assert (response.status_code, response["Location"]) == (302, persona.get_absolute_url())
    assert (persona.owner, persona.greeting, persona.alternate_greetings) == (
        user,
        "Line one\nline two ",
        ["One", "Two"],
    )
    assert (persona.tags, str(persona.temperature), persona.is_listed) == (
        ["history", "numbers"],
        "0.50",
        True,
    )
    assert persona.avatar_key.endswith(".webp")


def test_a_refused_form_keeps_what_was_typed_and_says_why() -> None:
    client = signed_in(make_user(verified=False))
    page = html(
        client.post("/personas/create/", {**FORM, "visibility": "public", "greeting": "Kept words"}), 422
    )
    assert ("verify your email" in page, "Kept words" in page) == (True, True)
    page = html(client.post("/personas/create/", {**FORM, "tags": ",".join(f"t{n}" for n in range(30))}), 422)
    assert "at most 20 tags" in page
    not_a_picture = SimpleUploadedFile("me.png", b"<svg/>", content_type="image/png")
    page = html(client.post("/personas/create/", {**FORM, "portrait": not_a_picture}), 422)
    assert "Use a PNG, JPEG, WebP or GIF picture." in page
    assert Persona.objects.count() == 0


def test_the_limit_is_named_on_the_page() -> None:
    user = make_user()
    make_persona(user)
    make_persona(user)
    client = signed_in(user)
    assert "2 of 2" in html(client.get("/personas/mine/"))
    page = html(client.post("/personas/create/", FORM), 422)
    assert "Your plan holds 2 personas of your own and you have 2." in page
    assert Persona.objects.count() == 2


def test_the_editor_changes_only_what_was_changed() -> None:
    owner = make_user()
    persona = make_persona(owner, greeting="One\r\ntwo", personality="  kept  ", tags=["a", "b"])
    client = signed_in(owner)
    form = client.get(f"/personas/{persona.slug}/edit/").context["form"]
    body = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    body |= {"tags": "a, b", "tagline": "New", "greeting": "One\r\ntwo"}
    response = client.post(f"/personas/{persona.slug}/edit/", body)
    assert (response.status_code, response["Location"]) == (302, persona.get_absolute_url())
    before, after = persona, Persona.objects.get()
    assert (after.tagline, after.greeting, after.personality, after.tags) == (
        "New",
        "One\r\ntwo",
        "  kept  ",
        ["a", "b"],
    )
    assert (after.visibility, after.status, after.language) == (
        before.visibility,
        before.status,
        before.language,
    )


def test_enter_in_the_editor_of_a_draft_does_not_publish_it() -> None:
    owner = make_user()
    persona = make_persona(owner, status="draft")
    body = {**FORM, "visibility": "public"}
    del body["status"]
    signed_in(owner).post(f"/personas/{persona.slug}/edit/", body)
    assert Persona.objects.get().status == "draft"
    signed_in(owner).post(f"/personas/{persona.slug}/edit/", {**body, "status": "published"})
    assert Persona.objects.get().status == "published"


def test_the_portrait_is_changed_and_taken_away_in_the_editor() -> None:
    owner = make_user()
    persona = make_persona(owner)
    client = signed_in(owner)
    url = f"/personas/{persona.slug}/edit/"
    client.post(url, {**FORM, "portrait": SimpleUploadedFile("a.png", make_picture())})
    assert Persona.objects.get().avatar_key != ""
    client.post(url, {**FORM, "remove_portrait": "on"})
    assert Persona.objects.get().avatar_key == ""


def test_what_an_import_brought_stays_selectable_in_the_editor() -> None:
    owner = make_user()
    persona = make_persona(owner, language="cy-GB")
    client = signed_in(owner)
    assert 'value="cy-GB" selected' in html(client.get(f"/personas/{persona.slug}/edit/"))
    response = client.post(f"/personas/{persona.slug}/edit/", {**FORM, "language": "cy-GB"})
    assert response.status_code == 302
    assert Persona.objects.get().language == "cy-GB"


def test_the_preview_shows_the_card_and_what_each_field_weighs() -> None:
    body = {"name": "Mirelle", "tagline": "Lamps", "greeting": "Hi, I am {{char}}", "description": "x" * 400}
    response = signed_in(make_user(display_name="Ilse")).post("/personas/preview/", body)
    page = html(response)
    assert ("<html" in page, "Hi, I am Mirelle" in page, "Lamps" in page) == (False, True, True)
    assert response.context["tokens"]["description"] == 100
    assert response.context["tokens"]["total"] == sum(
        number for name, number in response.context["tokens"].items() if name != "total"
    )
    assert Persona.objects.count() == 0
    assert html(signed_in().post("/personas/preview/", {}))


def test_the_preview_of_somebody_else_s_persona_shows_nothing_of_it() -> None:
    persona = make_persona(avatar_key="ab/0.webp", card_image_key="ab/0.webp", visibility="private")
    page = html(signed_in().post("/personas/preview/", {"name": "x", "slug": persona.slug}))
    assert "ab/0.webp" not in page


def test_a_card_is_imported_and_exported_from_the_pages() -> None:
    client = signed_in()
    card = png_with(text_chunk(b"chara", encoded(v2_card())))
    response = client.post("/personas/import/", {"file": SimpleUploadedFile("c.png", card)})
    persona = Persona.objects.get()
    assert (response.status_code, response["Location"]) == (302, persona.get_absolute_url())
    exported = client.get(f"/personas/{persona.slug}/export/png/?spec=v2")
    assert exported["Content-Disposition"] == f'attachment; filename="{persona.slug}.png"'
    assert read_card(exported.content).document == v2_card()
    assert read_card(client.get(f"/personas/{persona.slug}/export/json/").content).fields.name == "Mirelle"
    for path in ("export/xml/", "export/json/?spec=v9"):
        assert client.get(f"/personas/{persona.slug}/{path}").status_code == 404


def test_a_refused_card_says_why() -> None:
    client = signed_in()
    twice = png_with(text_chunk(b"chara", encoded(V1)), text_chunk(b"chara", encoded(V1)))
    for data, words in (
        (twice, "The picture carries more than one card."),
        (b"%PDF", "A character card is a PNG picture or a JSON file."),
        (as_json({"name": "x"}), "This is not a character card of version 1, 2 or 3."),
    ):
        page = html(client.post("/personas/import/", {"file": SimpleUploadedFile("c", data)}), 422)
        assert words in page
    assert Persona.objects.count() == 0


def test_export_follows_what_the_owner_allows() -> None:
    persona = make_persona(allow_clone=False)
    client = signed_in()
    page = html(client.get(f"/personas/{persona.slug}/export/json/"), 403)
    assert "keeps this persona" in page
    assert "export/png" not in html(client.get(persona.get_absolute_url()))


def test_deleting_asks_first_and_can_be_undone() -> None:
    owner = make_user()
    persona = make_persona(owner, "Mirelle")
    client = signed_in(owner)
    assert "Delete Mirelle?" in html(client.get(f"/personas/{persona.slug}/delete/"))
    response = client.post(f"/personas/{persona.slug}/delete/")
    assert response["Location"] == f"/personas/mine/?deleted={persona.pk}"
    page = html(client.get(response["Location"]))
    assert ("Mirelle is deleted." in page, f"/personas/{persona.slug}/restore/" in page) == (True, True)
    assert client.get(persona.get_absolute_url()).status_code == 404
    assert client.post(f"/personas/{persona.slug}/restore/").status_code == 302
    assert Persona.objects.get().deleted_at is None
    assert client.post(f"/personas/{persona.slug}/restore/").status_code == 404


def test_a_deletion_of_somebody_else_is_not_shown() -> None:
    persona = make_persona(name="Mirelle", deleted_at=datetime.datetime.now(datetime.UTC))
    for query in (persona.pk, "x", "\x00"):
        assert "is deleted." not in html(signed_in().get("/personas/mine/", {"deleted": query}))


def test_restoring_over_the_limit_is_refused() -> None:
    owner = make_user()
    deleted = make_persona(owner, deleted_at=datetime.datetime.now(datetime.UTC))
    make_persona(owner)
    make_persona(owner)
    page = html(signed_in(owner).post(f"/personas/{deleted.slug}/restore/"), 403)
    assert "Your plan holds 2 personas" in page


def test_like_and_keep_work_with_and_without_script() -> None:
    persona = make_persona()
    client = signed_in()
    plain = client.post(f"/personas/{persona.slug}/like/", {"wanted": "1"})
    assert (plain.status_code, plain["Location"]) == (302, persona.get_absolute_url())
    button = html(client.post(f"/personas/{persona.slug}/like/", {"wanted": "0"}, headers=HTMX))
    assert ("<html" in button, 'aria-pressed="false"' in button) == (False, True)
    assert Persona.objects.get().likes_count == 0
    button = html(client.post(f"/personas/{persona.slug}/favorite/", {"wanted": "1"}, headers=HTMX))
    assert 'aria-pressed="true"' in button
    assert names_on(html(client.get("/personas/mine/")), "Ada") == ["Ada"]


def test_copying_leads_into_the_editor_of_the_copy() -> None:
    persona = make_persona(name="Mirelle")
    user = make_user()
    client = signed_in(user)
    response = client.post(f"/personas/{persona.slug}/clone/")
    copy = Persona.objects.get(owner=user)
    assert response["Location"] == f"/personas/{copy.slug}/edit/"
    assert "Mirelle" in html(client.get(copy.get_absolute_url()))
    assert persona.get_absolute_url() in html(client.get(copy.get_absolute_url()))


def test_a_persona_taken_down_tells_its_owner_why() -> None:
    owner = make_user()
    now = datetime.datetime.now(datetime.UTC)
    persona = make_persona(owner, hidden_at=now, hidden_reason="Shows a real person.")
    assert "Shows a real person." in html(signed_in(owner).get(persona.get_absolute_url()))
    assert Client().get(persona.get_absolute_url()).status_code == 404


@pytest.mark.parametrize("path", ["like/", "favorite/", "clone/", "restore/"])
def test_buttons_do_not_work_as_links_or_from_other_sites(path: str) -> None:
    persona = make_persona()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())
    url = f"/personas/{persona.slug}/{path}"
    assert (client.get(url).status_code, client.post(url).status_code) == (405, 403)
