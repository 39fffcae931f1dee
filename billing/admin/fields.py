"""Form fields of the admin: people type credits and prices, the database keeps whole units."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.models import MAX_AMOUNT
from common.credits import MICRO


class ScaledField(forms.DecimalField):
    """A decimal outside, a whole number of smallest units inside."""

    scale = 1

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextInputWidget)
        super().__init__(max_digits=24, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return (Decimal(value) / self.scale).normalize() if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * self.scale)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class CreditsFormField(ScaledField):
    scale = MICRO

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_value", MAX_AMOUNT // MICRO)
        kwargs.setdefault("help_text", _("In credits, up to six decimal places."))
        super().__init__(decimal_places=6, **kwargs)


class PriceFormField(ScaledField):
    scale = 100

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(decimal_places=2, **kwargs)
