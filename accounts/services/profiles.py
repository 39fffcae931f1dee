"""Changing one's own profile. Pages and API share these rules."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import profile
from accounts.models import HANDLE_PATTERN, MAX_LOCALE_LENGTH, User, age_on, handle_skeleton
from common.errors import Invalid, NotFound, Unavailable

_RESERVED = """
    about account accounts admin administrator all anonymous api app assistant auth billing blog bot chat
    contact creator creators demo developer everyone guest help here legal login logout mail me media mentor
    moderator moderators mod news null official operator owner parlor persona personas press privacy root
    security service settings shop signup sales staff static status studio support sysadmin system team terms
    test undefined user users wallet webmaster www you
"""
RESERVED_HANDLES = frozenset(_RESERVED.split())
_RESERVED_SKELETONS = frozenset(map(handle_skeleton, RESERVED_HANDLES))
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}", re.ASCII)
# In the database of time zones, but no zones of anybody.
_NOT_PLACES = {"Factory", "localtime", "posixrules"}
_OLDEST_BIRTH_DATE = date(1900, 1, 1)


@transaction.atomic
def update_profile(*, user_id: UUID, changes: dict[str, Any]) -> User:
    """Change fields of the user's own profile: handle, display_name, pronouns, locale, time_zone, birth_date.

    What stays as it is is not judged again: a rule that came later keeps nobody from changing the rest.
    Raises Invalid naming each field at fault (nothing is changed then), NotFound.
    """
    user = User.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise NotFound
    cleaned, faults = {}, []
    for name, value in changes.items():
        if value == getattr(user, name):
            continue
        try:
            cleaned[name] = _CLEANERS[name](value)
        except Invalid as error:
            faults += error.fields
    if cleaned.get("handle") and _is_taken(cleaned["handle"], user_id):
        faults += _handle_taken().fields
    if faults:
        raise Invalid(fields=faults)
    _check_birth_date_stays(user, cleaned)
    for name, value in cleaned.items():
        setattr(user, name, value)
    _save(user, list(cleaned))
    return user


def change_avatar(*, user_id: UUID, image: bytes | None) -> None:
    """Keep an uploaded picture as the user's avatar, in our own format; None takes the present one away.

    Raises what the store of images raises for files that are none, and Unavailable without a store.
    """
    store = profile.avatar_store()
    if image is not None and store is None:
        raise Unavailable(_("Pictures cannot be kept here at the moment."))
    # Decoding and writing files is slow, so it stays outside the transaction.
    key = store.save(user_id, image) if store and image is not None else ""
    with transaction.atomic():
        user = User.objects.select_for_update().filter(id=user_id).first()
        if user is None:
            raise NotFound
        before, user.avatar_key = user.avatar_key, key
        user.save(update_fields=["avatar_key"])
        if store and before:
            store.delete(before)


def _save(user: User, changed: list[str]) -> None:
    try:
        with transaction.atomic():
            user.save(update_fields=changed)
    except IntegrityError as error:
        if "handle" not in str(error):
            raise
        raise _handle_taken() from error


def _check_birth_date_stays(user: User, changes: dict[str, Any]) -> None:
    """Given once, it stays, or the gate for adults could be opened by whoever finds it closed."""
    if "birth_date" in changes and user.birth_date not in (None, changes["birth_date"]):
        detail = _("You gave your birth date already. Support can correct a mistake.")
        raise Invalid.field("birth_date", "already_set", detail)


def _is_taken(handle: str, user_id: UUID) -> bool:
    """Whether somebody else has this handle, or one that could be taken for it."""
    alike = User.objects.filter(handle_skeleton=handle_skeleton(handle))
    return alike.exclude(id=user_id).exists()


def _handle_taken() -> Invalid:
    return Invalid.field("handle", "taken", _("Somebody has this handle, or one that looks like it."))


def _clean_handle(value: str | None) -> str | None:
    handle = (value or "").strip().lower()
    if not handle:
        return None
    if not re.fullmatch(HANDLE_PATTERN, handle):
        raise Invalid.field("handle", "invalid", _("Use 3 to 30 of the letters a–z, digits and underscores."))
    if not handle_skeleton(handle):
        raise Invalid.field("handle", "invalid", _("Use at least one letter or digit."))
    if handle in RESERVED_HANDLES or handle_skeleton(handle) in _RESERVED_SKELETONS:
        raise Invalid.field("handle", "reserved", _("This handle is reserved."))
    return handle


def _clean_display_name(value: str) -> str:
    name = single_line("display_name", value, 60)
    if not any(unicodedata.category(character)[0] in "LNPS" for character in name):
        raise Invalid.field("display_name", "required", _("Give a name to be called by."))
    return name


def _clean_pronouns(value: str) -> str:
    return single_line("pronouns", value, 30)


def single_line(field: str, value: str, limit: int) -> str:
    """One line of visible text: no controls, and none of the marks that turn the reading direction.

    Raises Invalid for anything else, naming `field`.
    """
    text = " ".join(value.split())
    if len(text) > limit:
        raise Invalid.field(field, "too_long", _("At most %(limit)d characters.") % {"limit": limit})
    if any(unicodedata.category(character) in {"Cc", "Cs", "Cn", "Co"} for character in text) or re.search(
        "[\u202a-\u202e\u2066-\u2069\u200e\u200f]", text
    ):
        raise Invalid.field(field, "invalid", _("This contains characters that cannot be shown."))
    return text


def _clean_locale(value: str) -> str:
    if value and not _LOCALE.fullmatch(value):
        raise Invalid.field("locale", "invalid", _("Give a language tag such as en or pt-BR."))
    if len(value) > MAX_LOCALE_LENGTH:
        raise Invalid.field("locale", "too_long", _("This language tag is too long."))
    return value


def _clean_time_zone(value: str) -> str:
    if value and value not in available_timezones() - _NOT_PLACES:
        raise Invalid.field(
            "time_zone", "invalid", _("Give the name of a time zone such as Europe/Helsinki.")
        )
    return value


def _clean_birth_date(value: date | None) -> date | None:
    if value is None:
        return None
    today = timezone.localdate()
    if not _OLDEST_BIRTH_DATE <= value <= today:
        raise Invalid.field("birth_date", "invalid", _("This cannot be a birth date."))
    if age_on(today, value) < settings.ACCOUNTS_MINIMUM_AGE:
        raise Invalid.field("birth_date", "too_young", _("You are too young to have an account here."))
    return value


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "handle": _clean_handle,
    "display_name": _clean_display_name,
    "pronouns": _clean_pronouns,
    "locale": _clean_locale,
    "time_zone": _clean_time_zone,
    "birth_date": _clean_birth_date,
}
