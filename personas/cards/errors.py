"""Why a character card is refused; the reason is a stable code in the answer's `errors`."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from common.errors import FieldError, Invalid, PayloadTooLarge, UnsupportedMedia


class InvalidCard(Invalid):
    title = _("This character card can't be read")

    def __init__(self, reason: str, detail: Any) -> None:
        super().__init__(detail, fields=[FieldError("file", reason, str(detail))])
        self.reason = reason


class CardTooLarge(PayloadTooLarge):
    title = _("This character card is too large")

    def __init__(self, detail: Any) -> None:
        super().__init__(detail, fields=[FieldError("file", "card_too_large", str(detail))])


class NotACard(UnsupportedMedia):
    title = _("This is not a character card")

    def __init__(self, detail: Any) -> None:
        super().__init__(detail, fields=[FieldError("file", "card_unknown_format", str(detail))])
