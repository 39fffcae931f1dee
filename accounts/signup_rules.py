"""What a sign-up must bring, whichever face it comes by: django-allauth builds its forms on this one."""

from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class SignupRules(forms.Form):
    """An address with a password, or a phone number. Somebody who comes by a provider brings its address."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "password" in self.fields or "password1" in self.fields:
            self._require_one_way_in(cleaned)
        return cleaned

    def signup(self, request: HttpRequest, user: User) -> None:
        """Nothing of ours is added; django-allauth demands the method."""

    def _require_one_way_in(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("phone") and cleaned.get("email"):
            raise get_adapter().validation_error("select_only_one")
        if cleaned.get("phone") or "phone" in self.errors:
            return
        password = "password" if "password" in self.fields else "password1"
        for name in ("email", password):
            if not cleaned.get(name) and name not in self.errors:
                self.add_error(name, forms.ValidationError(_("This field is required."), code="required"))
