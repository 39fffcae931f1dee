"""One document for the whole product: django-allauth's own description of signing in, beside ours."""

from functools import cache
from typing import Any

from allauth.headless.spec.internal.schema import get_schema as describe_headless
from django.urls import resolve

from common.views import unknown_machine_path

_PREFIX = "Auth"  # both documents have a Session and a User
_REF = "#/components/"
_V1 = "/_allauth/{client}/v1/"
_PHONE = {"type": "object", "properties": {"phone": {"$ref": f"{_REF}schemas/Phone"}}, "required": ["phone"]}


def add_sign_in(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Put the paths under `/_allauth/` into our document, with names of their own for what they refer to."""
    headless = _sign_in()
    result["paths"] |= headless["paths"]
    for section, named in headless["components"].items():
        result["components"].setdefault(section, {}).update(named)
    result["tags"] = [*result.get("tags", []), *headless["tags"]]
    return result


@cache  # reading it takes a second
def _sign_in() -> dict[str, Any]:
    headless = describe_headless()
    headless["paths"] = {path: found for path, found in headless["paths"].items() if _is_routed(path)}
    _describe_ours(headless)
    _name_operations(headless)
    return {
        "tags": headless["tags"],
        "paths": _renamed(headless["paths"]),
        "components": {
            section: {_PREFIX + name: _renamed(component) for name, component in named.items()}
            for section, named in headless["components"].items()
        },
    }


def _is_routed(path: str) -> bool:
    """What the settings turn off is described all the same."""
    return resolve(path.replace("{client}", "app")).func is not unknown_machine_path


def _describe_ours(headless: dict[str, Any]) -> None:
    """What `accounts.headless_views` adds."""
    schemas, paths = headless["components"]["schemas"], headless["paths"]
    schemas["Login"] = {
        "anyOf": [schemas["Login"], {"title": "A texted code, as `auth/code/request` sends it", **_PHONE}]
    }
    schemas["RequestPassword"] = {
        "oneOf": [
            {"title": "Reset by mail", **schemas["RequestPassword"]},
            {"title": "Reset by a texted code", **_PHONE},
        ]
    }
    request = paths[f"{_V1}auth/password/request"]["post"]
    request["description"] = (
        "Apps get a code by mail or text and the answer 401 with the pending flow `password_reset_by_code`;"
        " browsers get a mail with a link and the answer 200. Known and unknown accounts answer the same."
    )
    paths[f"{_V1}auth/reauthenticate/code"] = {"post": _step_up(paths)}
    phone = paths[f"{_V1}account/phone"]
    phone["delete"] = {
        "tags": phone["get"]["tags"],
        "summary": "Take the phone number off",
        "description": "Refused where the number is the last way in.",
        "parameters": phone["get"]["parameters"],
        "responses": {
            "200": {"$ref": f"{_REF}responses/PhoneNumbers"},
            "400": {"$ref": f"{_REF}responses/Error"},
            "401": {"$ref": f"{_REF}responses/AuthenticationOrReauthentication"},
        },
    }


def _step_up(paths: dict[str, Any]) -> dict[str, Any]:
    by_password = paths[f"{_V1}auth/reauthenticate"]["post"]
    code = {"type": "object", "properties": {"code": {"$ref": f"{_REF}schemas/Code"}}}
    return {
        **by_password,
        "summary": "Reauthenticate by a code",
        "description": (
            "For accounts without password and second factor, whose 401 names no flow. Without a code one is"
            " sent to the account's address or number (202); with it the answer is that of a sign-in."
        ),
        "requestBody": {"content": {"application/json": {"schema": code}}},
        "responses": {
            **by_password["responses"],
            "202": {"description": "The code is on its way to `data.recipient`."},
            "409": {"description": "No code was asked for, or it is over."},
            "429": {"$ref": f"{_REF}responses/TooManyRequests"},
        },
    }


def _name_operations(headless: dict[str, Any]) -> None:
    for path, operations in headless["paths"].items():
        words = path.removeprefix("/_allauth/").replace("{client}/v1/", "").replace("/v1/", "/")
        name = words.replace("/", "_").replace("-", "_")
        for method, operation in operations.items():
            operation["operationId"] = f"{name}_{method}"


def _renamed(node: Any) -> Any:
    if isinstance(node, list):
        return [_renamed(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _own_ref(value) if key == "$ref" else _renamed(value)
        for key, value in node.items()
        if (key, value) != ("required", [])  # an empty list is not valid there
    }


def _own_ref(reference: str) -> str:
    section, _slash, name = reference.removeprefix(_REF).partition("/")
    return f"{_REF}{section}/{_PREFIX}{name}"
