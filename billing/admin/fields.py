"""Form fields of the admin: people type credits and prices, the database keeps whole units."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.models import MAX_AMOUNT
from billing.money import format_amount
from common.credits import MICRO, format_credits


class ScaledField(forms.DecimalField):
    """A decimal outside, a whole number of smallest units inside."""

    scale = 1

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextInputWidget)
        super().__init__(max_digits=24, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return self.shown(value) if isinstance(value, int) else value

    def shown(self, amount: int) -> str:
        return str(amount)

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * self.scale)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(initial != self.clean(data))
        except forms.ValidationError:
            return True


class CreditsFormField(ScaledField):
    scale = MICRO

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_value", MAX_AMOUNT // MICRO)
        kwargs.setdefault("help_text", _("In credits, up to six decimal places."))
        super().__init__(decimal_places=6, **kwargs)

    def shown(self, amount: int) -> str:
        return format_credits(amount)


class PriceFormField(ScaledField):
    scale = 100

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(decimal_places=2, max_value=10**9, **kwargs)

    def shown(self, amount: int) -> str:
        return format_amount(amount, "USD")
