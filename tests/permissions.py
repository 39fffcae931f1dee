"""Who may do what, one row per route and method; `test_permissions.py` fails on a route without a row.

`access` is one of
  public      everybody
  signed_in   everybody who signed in and is not banned
  owner       the person the object belongs to; for everybody else it does not exist
  debug       nobody outside debug
`but` lists exceptions: role -> status.
"""

from dataclasses import dataclass, field
from typing import Any

ROLES = (
    "anonymous",
    "owner",
    "stranger",
    "banned",
    "unverified",
    "minor",
    "creator",
    "moderator",
    "support",
    "finance",
    "superuser",
)


@dataclass(frozen=True)
class Row:
    route: str
    method: str
    access: str
    # Names of the objects whose ids fill the route; see `World` in the test.
    ids: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    ok: int = 200
    but: dict[str, int] = field(default_factory=dict)
    query: str = ""


def _persona(route: str, method: str, access: str, persona: str = "persona", **options: Any) -> Row:
    return Row(f"api:personas:{route}", method, access, ids={"persona_id": persona}, **options)


def _draft(route: str, method: str, **options: Any) -> Row:
    return Row(f"api:personas:{route}", method, "owner", ids={"persona_id": "draft"}, **options)


def _session(route: str, method: str, **options: Any) -> Row:
    return Row(f"api:chat:{route}", method, "owner", ids={"session_id": "session"}, **options)


def _message(route: str, method: str, message: str = "reply", **options: Any) -> Row:
    return Row(f"api:chat:{route}", method, "owner", ids={"message_id": message}, **options)


def _generation(route: str, method: str, **options: Any) -> Row:
    return Row(f"api:chat:{route}", method, "owner", ids={"generation_id": "generation"}, **options)


API = [
    Row("api:schema", "GET", "public"),
    Row("api:docs", "GET", "public"),
    Row("api:redoc", "GET", "public"),
    Row("api:accounts:me", "GET", "signed_in"),
    Row("api:accounts:me", "PATCH", "signed_in", body={"display_name": "Ada"}),
    Row("api:accounts:ws-ticket", "POST", "signed_in", ok=201),
    # Signed in, but not lately, is not enough.
    Row("api:accounts:me", "DELETE", "signed_in", ok=403),
    Row("api:accounts:me-restore", "POST", "signed_in", ok=404),
    Row("api:accounts:api-key-list", "GET", "signed_in"),
    Row("api:accounts:api-key-list", "POST", "signed_in", body={"name": "script"}, ok=403),
    Row("api:accounts:api-key-detail", "DELETE", "owner", ids={"key_id": "api_key"}, ok=204),
    Row("api:accounts:export-list", "POST", "signed_in", ok=202),
    Row("api:accounts:export-detail", "GET", "owner", ids={"export_id": "export"}),
    Row("api:files:file-list", "GET", "signed_in"),
    Row(
        "api:files:file-list",
        "POST",
        "signed_in",
        body={"file": "picture", "category": "chat_attachment"},
        ok=201,
    ),
    Row("api:files:usage", "GET", "signed_in"),
    Row("api:files:file-detail", "GET", "owner", ids={"file_id": "file"}),
    Row("api:files:file-detail", "DELETE", "owner", ids={"file_id": "file"}, ok=204),
    Row(
        "api:files:upload-begin",
        "POST",
        "signed_in",
        body={"category": "chat_attachment", "name": "a.png", "size": 100},
        ok=201,
    ),
    Row("api:files:upload-complete", "POST", "owner", ids={"upload_id": "upload"}, ok=422),
    Row("api:billing:wallet", "GET", "signed_in"),
    Row("api:billing:transaction-list", "GET", "signed_in"),
    Row("api:billing:catalog", "GET", "public"),
    # Without Google Play; what it does is told in billing/tests/test_google_play.py.
    Row(
        "api:billing:subscription-verify",
        "POST",
        "signed_in",
        body={"provider": "google_play", "product_id": "credits_10", "purchase_token": "token"},
        ok=404,
    ),
    Row("api:billing:own-limits", "PATCH", "signed_in", body={"per_day": "20", "paused": False}),
    Row("api:billing:redeem", "POST", "signed_in", body={"code": "NOSUCHCODE"}, ok=404),
    # There is no shop here: what one gets from it is told in billing/tests/test_shop_api.py.
    Row("api:billing:checkout", "POST", "signed_in", body={"pack": "credits_10"}, ok=503),
    Row("api:billing:payment-intent", "POST", "signed_in", body={"pack": "credits_10"}, ok=503),
    Row("api:billing:portal", "POST", "signed_in", ok=503),
    Row("api:billing:invoice-list", "GET", "signed_in"),
    Row("api:billing:payment-detail", "GET", "owner", ids={"payment_id": "payment"}),
    Row("api:billing:subscription", "GET", "signed_in"),
    Row("api:billing:subscription-history", "GET", "signed_in"),
    Row("api:billing:subscription-plans", "GET", "signed_in"),
    # Everybody's tier here was given, and what is given cannot be changed.
    Row("api:billing:subscription-preview", "POST", "signed_in", body={"plan": "vip_yearly"}, ok=404),
    Row("api:billing:subscription-change", "POST", "signed_in", body={"plan": "vip_yearly"}, ok=404),
    Row("api:billing:subscription-cancel", "POST", "signed_in", ok=404),
    Row("api:billing:subscription-resume", "POST", "signed_in", ok=404),
    Row("api:billing:usage-current", "GET", "signed_in"),
    Row("api:billing:usage-history", "GET", "signed_in"),
    Row("api:billing:usage-analytics", "GET", "signed_in"),
    Row("api:billing:usage-prediction", "GET", "signed_in"),
    Row("api:billing:usage-export-list", "POST", "signed_in", body={"format": "csv"}, ok=202),
    # Whose it is, is told in billing/tests/test_usage.py.
    Row(
        "api:billing:usage-export-detail",
        "GET",
        "signed_in",
        ids={"export_id": "00000000-0000-7000-8000-000000000000"},
        ok=404,
    ),
    Row("api:personas:persona-list", "GET", "public"),
    Row("api:personas:persona-list", "POST", "signed_in", body={"name": "Grace"}, ok=201),
    Row("api:personas:trending", "GET", "public"),
    Row("api:personas:search", "GET", "public", query="q=ada"),
    Row("api:personas:import", "POST", "signed_in", body={"file": "card"}, ok=201),
    _persona("persona-detail", "GET", "public"),
    _draft("persona-detail", "GET", but={"anonymous": 404, "banned": 404}),
    _draft("persona-detail", "PATCH", body={"tagline": "New"}),
    _draft("persona-detail", "PUT", body={"name": "New"}),
    _draft("persona-detail", "DELETE", ok=204),
    _persona("clone", "POST", "signed_in", ok=201),
    _draft("clone", "POST", ok=201),
    _persona("like", "POST", "signed_in", ok=204),
    _persona("like", "DELETE", "signed_in", ok=204),
    _draft("like", "POST", ok=204),
    _persona("like", "DELETE", "signed_in", persona="draft", ok=204),
    _persona("favorite", "POST", "signed_in", ok=204),
    _persona("favorite", "DELETE", "signed_in", ok=204),
    _draft("favorite", "POST", ok=204),
    _persona("favorite", "DELETE", "signed_in", persona="draft", ok=204),
    _persona("export", "GET", "signed_in", query="format=json&spec=v2"),
    _draft("export", "GET", query="format=json&spec=v2"),
    _draft("lorebook", "GET"),
    _draft("lorebook", "PUT", body={"entries": []}),
    _draft("avatar", "POST", body={"file": "picture"}),
    _draft("avatar", "PUT", body={"file": "picture"}),
    _draft("avatar", "DELETE"),
    Row("api:chat:session-list", "GET", "signed_in"),
    Row("api:chat:session-list", "POST", "signed_in", body={"persona": "persona"}, ok=201),
    Row("api:chat:search", "GET", "signed_in", query="q=evening"),
    _session("session-detail", "GET"),
    _session("session-detail", "PATCH", body={"title": "Mine"}),
    _session("session-detail", "DELETE", ok=204),
    Row("api:chat:session-restore", "POST", "owner", ids={"session_id": "deleted_session"}),
    _session("session-export", "POST", body={"format": "json"}),
    _session("message-list", "GET"),
    _session("message-list", "POST", body={"content": "Hello", "client_id": "matrix-1"}, ok=202),
    _message("message-detail", "GET"),
    _message("message-detail", "DELETE", ok=204),
    _message("regenerate", "POST", body={"client_id": "matrix-2"}, ok=202),
    _message("edit", "POST", message="question", body={"content": "Other", "client_id": "matrix-3"}, ok=202),
    _message("continue", "POST", body={"client_id": "matrix-4"}, ok=202),
    _message("select", "POST"),
    _message("feedback", "POST", body={"rating": "up"}),
    _generation("generation-detail", "GET"),
    _generation("generation-stop", "POST"),
    _generation("generation-events", "GET"),
]

# A stranger's write to a persona everybody can see is refused as if it were not there.
API += [
    _persona(route, method, "owner", body=body, ok=ok)
    for route, method, body, ok in (
        ("persona-detail", "PATCH", {"tagline": "New"}, 200),
        ("persona-detail", "PUT", {"name": "New"}, 200),
        ("persona-detail", "DELETE", {}, 204),
        ("lorebook", "GET", {}, 200),
        ("lorebook", "PUT", {"entries": []}, 200),
        ("avatar", "POST", {"file": "picture"}, 200),
        ("avatar", "PUT", {"file": "picture"}, 200),
        ("avatar", "DELETE", {}, 200),
    )
]

# A persona for adults: known to be there, closed to whoever is not known to be one.
API += [
    Row(
        f"api:personas:{route}",
        method,
        "signed_in" if method == "POST" else "public",
        ids={"persona_id": "mature"},
        ok=ok,
        but={"minor": 403} if method == "POST" else {"minor": 403, "anonymous": 403, "banned": 403},
    )
    for route, method, ok in (("persona-detail", "GET", 200), ("clone", "POST", 201), ("like", "POST", 204))
]

_TOLD_TO_SIGN_IN = {"anonymous": 401, "banned": 401}
_NO_PAYMENT = "00000000-0000-7000-8000-000000000000"
_KEY = {"uidb36": "1", "key": "nothing"}
_SIGNED_IN_GO_HOME = {role: 302 for role in ROLES if role not in ("anonymous", "banned")}


def _public_page(route: str, ids: dict[str, str] | None = None, **options: Any) -> Row:
    return Row(route, "GET", "public", ids=ids or {}, **options)


def _entrance(route: str, ids: dict[str, str] | None = None, **options: Any) -> Row:
    """A page for people who are not signed in; others are sent on."""
    return Row(route, "GET", "public", ids=ids or {}, but=_SIGNED_IN_GO_HOME, **options)


def _page(route: str, method: str = "GET", **options: Any) -> Row:
    return Row(route, method, "signed_in", **options)


def _persona_page(route: str, method: str, access: str, slug: str = "public_slug", **options: Any) -> Row:
    ids = {"slug": slug, **options.pop("ids", {})}
    return Row(f"personas:{route}", method, access, ids=ids, **options)


def _chat_page(route: str, method: str, session: str = "session", **options: Any) -> Row:
    ids = {"session_id": session, **options.pop("ids", {})}
    return Row(f"chat:{route}", method, "owner", ids=ids, **options)


def _message_page(route: str, method: str, message: str = "reply", **options: Any) -> Row:
    ids = {"message_id": message, **options.pop("ids", {})}
    return Row(f"chat:{route}", method, "owner", ids=ids, **options)


PAGES = [
    _public_page("health-live"),
    _public_page("health-ready"),
    _public_page("metrics"),
    _public_page("favicon", ok=301),
    Row("notifications:mailbox", "GET", "debug"),
    _public_page("files:public-file", {"key": "nothing.webp"}, ok=404),
    # Neither cookie nor token opens the face for programs: it takes an API key alone.
    _public_page("openai:model-list", ok=401),
    _public_page("openai:model-detail", {"slug": "public_slug"}, ok=401),
    _page("accounts:api-keys"),
    _page("accounts:api-key-create", "POST", ok=302),
    Row("accounts:api-key-revoke", "POST", "owner", ids={"key_id": "api_key"}, ok=302),
    _page("accounts:own-data"),
    _page("accounts:export-request", "POST", ok=302),
    _page(
        "accounts:export-download", ids={"token": "nothing"}, ok=404, but={"anonymous": 401, "banned": 401}
    ),
    _page("accounts:erasure-request", "POST", ok=302),
    _page("accounts:erasure-cancel", "POST", ok=302),
    _page("files:private-file", ids={"token": "nothing"}, ok=404, but=_TOLD_TO_SIGN_IN),
    _page("files:storage"),
    Row("files:file-delete", "POST", "owner", ids={"file_id": "file"}, ok=302),
    Row("files:direct-upload", "POST", "public", ids={"token": "nothing"}, ok=400),
    _entrance("account_login"),
    _entrance("account_signup"),
    _public_page("account_inactive"),
    _public_page("account_reset_password"),
    _public_page("account_reset_password_done"),
    _public_page("account_reset_password_from_key", _KEY),
    _public_page("account_reset_password_from_key_done"),
    _public_page("account_confirm_email", {"key": "nothing"}),
    _public_page("account_email_verification_sent"),
    _public_page("account_confirm_login_code", ok=302),
    _entrance("account_request_login_code"),
    _entrance("accounts:phone-entrance"),
    _public_page("account_verify_phone", ok=302),
    _page("account_change_phone"),
    _page("accounts:reauthenticate-code"),
    _page("accounts:ways-in"),
    _page("accounts:phone-remove", "POST", ok=302),
    _page("mfa_index"),
    _page("mfa_list_webauthn"),
    # Signed in, but not lately: proving oneself again comes first, whatever is behind the door.
    *(
        _page(route, method, ids=ids, ok=302)
        for route, method, ids in (
            ("accounts:provider-disconnect", "POST", {"pk": "0"}),
            ("mfa_add_webauthn", "GET", {}),
            ("mfa_edit_webauthn", "GET", {"pk": "0"}),
            ("mfa_remove_webauthn", "GET", {"pk": "0"}),
            ("mfa_activate_totp", "GET", {}),
            ("mfa_generate_recovery_codes", "GET", {}),
        )
    ),
    _page("mfa_deactivate_totp", ok=404),
    _page("mfa_view_recovery_codes", ok=404),
    _page("mfa_download_recovery_codes", ok=404),
    _page("mfa_reauthenticate", ok=302),
    _page("mfa_reauthenticate_webauthn", ok=302),
    _public_page("mfa_authenticate", ok=302),
    _public_page("mfa_login_webauthn", ok=302),
    _public_page("connections", ok=302),
    _public_page("socialaccount_connections", ok=302),
    _public_page("socialaccount_login_cancelled"),
    _public_page("socialaccount_login_error", ok=401),
    _public_page("socialaccount_signup", ok=302),
    _public_page("google_login", ok=404),
    _public_page("google_callback", ok=404),
    Row("account_logout", "GET", "public", ok=302, but=dict.fromkeys(_SIGNED_IN_GO_HOME, 200)),
    _page("account_reauthenticate"),
    _page("account_email"),
    _page("account_change_password"),
    _page("account_set_password", ok=302),
    Row("accounts:settings", "GET", "public", ok=302),
    Row("accounts:email", "GET", "public", ok=302),
    Row("accounts:password", "GET", "public", ok=302),
    _page("accounts:profile"),
    _page("accounts:profile", "POST", body={"display_name": "Ada"}, ok=302),
    _page("accounts:avatar", "POST", body={"avatar": "picture"}, ok=302),
    _page("accounts:sessions"),
    _page("accounts:session-end-all", "POST", ok=302),
    _page("accounts:session-end", "POST", ids={"pk": "0"}, ok=404),
    Row("billing:stripe-webhook", "POST", "public", ok=404),
    Row("billing:google-play-webhook", "POST", "public", ok=404),
    Row("billing:app-store-webhook", "POST", "public", ok=404),
    Row("billing:sandbox-page", "GET", "public", ids={"path": "c/pay/cs_test_1"}, ok=404),
    _page("billing:wallet"),
    _public_page("billing:pricing"),
    _public_page("billing:policy"),
    _page("billing:redeem", "POST", body={"code": "NOT-A-CODE"}, ok=404),
    _page("billing:limits", "POST", body={"per_day": "5"}, ok=302),
    _page("billing:buy", "POST", body={"pack": "credits_10"}, ok=302),
    _page("billing:bought", ok=404),
    _page("billing:plan"),
    _page("billing:plan-change", "POST", body={"plan": "vip_monthly"}, ok=302),
    _page("billing:plan-cancel", "POST", ok=302),
    _page("billing:plan-resume", "POST", ok=302),
    _page("billing:portal", "POST", ok=302),
    _page("billing:receipt-list"),
    # Whose they are, is told in billing/tests/test_receipts.py.
    _page("billing:receipt", ids={"payment_id": _NO_PAYMENT}, ok=404),
    _page("billing:receipt-pdf", ids={"payment_id": _NO_PAYMENT}, ok=404),
    _page("billing:usage"),
    _page("billing:usage-export-request", "POST", body={"format": "csv"}, ok=302),
    _page("billing:usage-export-download", ids={"token": "nothing"}, ok=404, but=_TOLD_TO_SIGN_IN),
    Row("chat:start", "POST", "signed_in", ids={"slug": "public_slug"}, ok=302),
    Row("chat:start", "POST", "owner", ids={"slug": "draft_slug"}, ok=302),
    _page("chat:session-list"),
    _chat_page("session-detail", "GET"),
    _chat_page("session-thread", "GET"),
    _chat_page("older-messages", "GET", query="start=not-an-id", ok=404),
    _chat_page("message-send", "POST", body={"content": "Hello"}, ok=302),
    _chat_page("generation-stop", "POST", ok=302),
    _chat_page("session-change", "POST", body={"action": "pin"}, ok=302),
    _chat_page("session-delete", "POST", ok=302),
    _chat_page("session-restore", "POST", session="deleted_session", ok=302),
    _chat_page("session-export", "GET", ids={"file_format": "json"}),
    _message_page("message-partial", "GET"),
    _message_page("message-receipt", "GET"),
    *(
        _message_page("message-act", "POST", ids={"action": action}, ok=302)
        for action in ("regenerate", "continue", "select", "delete", "up", "down", "none")
    ),
    _message_page(
        "message-act", "POST", message="question", ids={"action": "edit"}, body={"content": "So"}, ok=302
    ),
    _public_page("personas:home"),
    _public_page("personas:monogram", {"code": "nothing", "size": "card"}, ok=404),
    _page("personas:persona-create"),
    _page("personas:persona-create", "POST", body={"name": "Grace", "language": "en"}, ok=422),
    _page("personas:persona-import"),
    _page("personas:persona-import", "POST", body={"file": "card"}, ok=302),
    _page("personas:persona-list"),
    _page("personas:persona-preview", "POST", body={"name": "Grace"}),
    _persona_page("persona-detail", "GET", "public"),
    _persona_page("persona-detail", "GET", "owner", "draft_slug", but={"anonymous": 404, "banned": 404}),
    _persona_page("persona-edit", "GET", "owner"),
    _persona_page("lorebook", "GET", "owner"),
    _persona_page("lorebook", "POST", "owner", body={"keys": "lamp", "content": "Old."}, ok=302),
    _persona_page("lore-entry", "GET", "owner", ids={"index": "0"}, ok=404),
    _persona_page("lore-entry", "POST", "owner", ids={"index": "0"}, ok=404),
    _persona_page("lore-entry-delete", "POST", "owner", ids={"index": "0"}, ok=404),
    _persona_page("persona-delete", "GET", "owner"),
    _persona_page("persona-delete", "POST", "owner", ok=302),
    _persona_page("persona-restore", "POST", "owner", "deleted_slug", ok=302),
    _persona_page("persona-clone", "POST", "signed_in", ok=302),
    _persona_page("persona-clone", "POST", "owner", "draft_slug", ok=302),
    _persona_page("persona-like", "POST", "signed_in", body={"wanted": "1"}, ok=302),
    _persona_page("persona-like", "POST", "owner", "draft_slug", body={"wanted": "1"}, ok=302),
    _persona_page("persona-favorite", "POST", "signed_in", body={"wanted": "1"}, ok=302),
    _persona_page("persona-favorite", "POST", "owner", "draft_slug", body={"wanted": "1"}, ok=302),
    _persona_page("persona-export", "GET", "signed_in", ids={"file_format": "json"}),
    _persona_page("persona-export", "GET", "owner", "draft_slug", ids={"file_format": "json"}),
]
