from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from common.credits import InvalidCredits, parse_credits


class CreditsField(forms.CharField):
    """Credits as people write them; microcredits inside, None where nothing was written."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "maxlength": 20})
        super().__init__(required=False, max_length=20, widget=widget, **options)

    def clean(self, value: Any) -> int | None:
        text = super().clean(value).replace(",", ".")
        if not text:
            return None
        try:
            return parse_credits(text)
        except InvalidCredits as error:
            raise ValidationError(_("Write credits as a number, such as 0.5."), code="invalid") from error


class LimitsForm(forms.Form):
    """The owner's own limits. Empty fields mean no limit."""

    per_message = CreditsField(label=_("Most for a message"))
    per_day = CreditsField(label=_("Most in a day"))
    low_balance = CreditsField(label=_("Say when less is left"))
