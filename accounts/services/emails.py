from uuid import UUID

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts import signals
from accounts.models import User
from common.errors import Conflict, NotFound


@transaction.atomic
def mark_email_verified(*, user_id: UUID) -> None:
    """Take the user's own address as proved, as a click on the mailed link would.

    For support and for demo data. Raises NotFound without such a user or address, Conflict when somebody
    else proved the address first.
    """
    user = User.objects.select_for_update().filter(id=user_id, email__isnull=False).first()
    if user is None:
        raise NotFound
    address = EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True})[0]
    if address.verified:
        return
    try:
        with transaction.atomic():
            EmailAddress.objects.filter(id=address.id).update(verified=True)
    except IntegrityError:
        raise Conflict(_("Somebody else has proved this address.")) from None
    signals.email_verified.send(sender=User, user_id=user_id)
