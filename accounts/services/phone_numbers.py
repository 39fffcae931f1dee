"""A user's phone number: claimed first, theirs once a texted code proved it."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services import texts, ways_in
from common.errors import Conflict


def find_or_begin(*, number: str) -> User:
    """Whose number this is; for an unknown one a new user, who counts from the moment the code is entered.

    Somebody who never enters it is deleted after a day. Such a user is never found again by the number, so
    that nobody can put a password on it before its owner comes.
    """
    user = User.objects.filter(phone=number, is_active=True).first()
    return user or User.objects.create_user(None, unverified_phone=number)


def delete_abandoned() -> int:
    """Users who began by a number a day ago or earlier and never entered the code."""
    stale = User.objects.filter(
        email=None,
        phone=None,
        unverified_phone__gt="",
        last_login=None,
        created_at__lt=timezone.now() - timedelta(days=1),
    )
    return stale.delete()[0]


def claim_phone(*, user: User, number: str) -> None:
    """Note the E.164 number a user wants; it counts for nothing until `prove_phone`."""
    user.unverified_phone = number
    user.save(update_fields=["unverified_phone"])


@transaction.atomic
def prove_phone(*, user: User, number: str) -> None:
    """The user entered the code texted to `number`: it is theirs, in place of any they had before.

    Raises Conflict when somebody else proved it first.
    """
    user.phone = number
    user.unverified_phone = ""
    try:
        with transaction.atomic():
            user.save(update_fields=["phone", "unverified_phone"])
    except IntegrityError as error:
        raise Conflict(_("Another account has this number.")) from error
    texts.note_code_used(number=number)


@transaction.atomic
def remove_phone(*, user: User) -> None:
    """Take the number off the account. Raises LastWayIn when nothing else would let its owner in."""
    locked = ways_in.lock(user)
    ways_in.require_another(locked, ways_in.Way("phone", ""))
    locked.phone, locked.unverified_phone = None, ""
    locked.save(update_fields=["phone", "unverified_phone"])
