from django.utils.translation import gettext_lazy as _

from common.errors import AgeRestricted, LimitReached, PermissionDenied


class PersonaLimitReached(LimitReached):
    title = _("Your plan's number of personas is reached")

    def __init__(self, limit: int, used: int) -> None:
        detail = _(
            "Your plan holds %(limit)d personas of your own and you have %(used)d."
            " Delete one or choose a larger plan."
        )
        super().__init__(detail % {"limit": limit, "used": used}, limit=limit, used=used)


class EmailNotVerified(PermissionDenied):
    title = _("Verify your email address first")

    def __init__(self) -> None:
        super().__init__(_("To publish a persona for everybody, verify your email address first."))


class CopyingForbidden(PermissionDenied):
    title = _("This persona may not be copied")

    def __init__(self) -> None:
        super().__init__(_("Its creator keeps this persona's definition to themselves."))


class MaturePersona(AgeRestricted):
    def __init__(self) -> None:
        super().__init__(
            _("This persona is for adults. Your birth date in your profile says whether you are one.")
        )
