"""What this app knows about people, for their export and for when they leave."""

from collections.abc import Iterator
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Model, Q
from django.utils.translation import gettext as _

from accounts import privacy, profile
from accounts.models import ApiKey, DataExport, SocketTicket, StaffAction, TextMessage, TokenFamily, User
from accounts.privacy import Fate, Part, Section, register
from accounts.services import exports
from common import jobs
from common.models import IdempotentAnswer

_PROFILE = [
    "id",
    "email",
    "phone",
    "unverified_phone",
    "handle",
    "display_name",
    "pronouns",
    "locale",
    "time_zone",
    "birth_date",
    "created_at",
    "last_login",
]
_PLAN = {
    "accounts.User": (Fate.ANONYMISED, "an empty shell stays, on which the ledger hangs"),
    "accounts.User_groups": (Fate.DELETED, ""),
    "accounts.User_user_permissions": (Fate.DELETED, ""),
    "accounts.ApiKey": (Fate.DELETED, ""),
    "accounts.DataExport": (Fate.DELETED, ""),
    "accounts.Erasure": (Fate.KEPT, "says that and when the account was erased, nothing else"),
    "accounts.TokenFamily": (Fate.DELETED, ""),
    "accounts.SocketTicket": (Fate.DELETED, ""),
    "accounts.StaffAction": (Fate.ANONYMISED, "what staff did stays; the name of whom it was done to goes"),
    "account.EmailAddress": (Fate.DELETED, ""),
    "account.EmailConfirmation": (Fate.DELETED, ""),
    "admin.LogEntry": (Fate.DELETED, ""),
    "common.IdempotentAnswer": (Fate.DELETED, ""),
    "mfa.Authenticator": (Fate.DELETED, ""),
    "socialaccount.SocialAccount": (Fate.DELETED, ""),
    "socialaccount.SocialToken": (Fate.DELETED, ""),
    "usersessions.UserSession": (Fate.DELETED, ""),
}
_OWN_ROWS: tuple[type[Model], ...] = (
    EmailAddress,
    SocialAccount,
    Authenticator,
    UserSession,
    TokenFamily,
    SocketTicket,
    DataExport,
    ApiKey,
)


def register_part() -> None:
    register(Part("accounts", _export, _erase, _PLAN))


def _export(user_id: UUID) -> Iterator[Section]:
    user = User.objects.get(id=user_id)
    addresses = EmailAddress.objects.filter(user=user).values("email", "verified", "primary")
    linked = SocialAccount.objects.filter(user=user).values("provider", "uid", "date_joined", "extra_data")
    factors = Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")
    devices = UserSession.objects.filter(user=user).values("ip", "user_agent", "created_at", "last_seen_at")
    keys = ApiKey.objects.filter(user=user).values(
        "name", "prefix", "created_at", "last_used_at", "revoked_at"
    )
    texts = TextMessage.objects.filter(number__in=privacy.numbers_of(user))
    by_staff = StaffAction.objects.filter(target_type="accounts.user", target_id=str(user_id))
    yield Section("account/profile.json", User.objects.filter(id=user_id).values(*_PROFILE))
    yield Section("account/addresses.json", addresses)
    yield Section("account/linked_accounts.json", linked)
    yield Section("account/second_factors.json", factors)
    yield Section("account/devices.json", devices)
    yield Section("account/api_keys.json", keys)
    yield Section("account/texts.json", texts.values("number", "purpose", "created_at"))
    yield Section("account/staff_actions.json", by_staff.values("action", "created_at"))


@transaction.atomic
def _erase(user_id: UUID) -> None:
    user = User.objects.select_for_update().get(id=user_id)
    address, name = user.email, user.display_name
    exports.expire_exports([user_id])
    if user.avatar_key and (store := profile.avatar_store()):
        store.delete(user.avatar_key)
    _delete_texts(privacy.numbers_of(user))
    _delete_rows(user)
    _empty(user)
    if address:
        body = _("Goodbye %(name)s,\n\nyour account is deleted. This is our last mail to you.\n")
        EmailMessage(_("Your Parlor account is deleted"), body % {"name": name}, to=[address]).send()


def _delete_texts(numbers: list[str]) -> None:
    TextMessage.objects.filter(number__in=numbers).delete()
    jobs.delete_messages("accounts.deliver_text", holding=[{"number": number} for number in numbers])


def _delete_rows(user: User) -> None:
    about = Q(user=user) | Q(object_id=str(user.id), content_type__app_label="accounts")
    LogEntry.objects.filter(about).delete()
    for model in _OWN_ROWS:
        model._default_manager.filter(user=user).delete()
    IdempotentAnswer.objects.filter(user_id=user.id).delete()
    StaffAction.objects.filter(target_type="accounts.user", target_id=str(user.id)).update(target_label="")


def _empty(user: User) -> None:
    user.groups.clear()
    user.user_permissions.clear()
    user.email = user.phone = user.handle = user.birth_date = user.last_login = user.leaving_at = None
    user.unverified_phone = user.pronouns = user.locale = user.time_zone = user.avatar_key = ""
    user.display_name = _("Deleted account")
    user.is_active = user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    emptied = {field.name for field in User._meta.concrete_fields} - {"id", "handle_skeleton"}
    user.save(update_fields=emptied)
