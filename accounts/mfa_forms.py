from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.utils.translation import gettext_lazy as _

_NAME_LENGTH = 60


class AddKeyForm(webauthn.AddWebAuthnForm):
    """A key that comes to this page is a passkey, unless its owner wants it as a second factor only."""

    name = forms.CharField(
        label=_("Name"),
        required=False,
        widget=forms.TextInput(attrs={"maxlength": _NAME_LENGTH}),
        help_text=_("So that you know it among your keys."),
    )
    passwordless = forms.BooleanField(
        label=_("Let it in by itself, without a password"), required=False, initial=True
    )

    def clean_name(self) -> str:
        # The key exists by now; too long a name is no reason to lose it.
        return str(super().clean_name())[:_NAME_LENGTH]
