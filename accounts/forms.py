from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from allauth.account import forms as account_forms
from allauth.account.adapter import get_adapter
from allauth.account.fields import PhoneField
from django import forms
from django.conf.locale import LANG_INFO
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services import ways_in
from common.errors import Invalid

MAX_AVATAR_BYTES = 5 * 1024 * 1024


class ProfileForm(forms.ModelForm):
    """Shows a profile and takes changes; the rules are in `services.profiles`."""

    handle = forms.CharField(
        label=_("Handle"),
        required=False,
        max_length=60,
        help_text=_("How others find you: letters a–z, digits and underscores."),
    )
    locale = forms.ChoiceField(label=_("Language"), required=False)
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False)

    class Meta:
        model = User
        fields = ["display_name", "handle", "pronouns", "locale", "time_zone", "birth_date"]
        widgets = {"birth_date": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")}
        help_texts = {
            "display_name": _("Personas call you by this name."),
            "birth_date": _("Only you see it. Some personas are for adults."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer("locale", _languages(self.instance.locale))
        self._offer("time_zone", _time_zones())
        self.fields["display_name"].widget.attrs["autocomplete"] = "nickname"
        self.fields["birth_date"].widget.attrs["autocomplete"] = "bday"
        # Given once, it stays; support corrects mistakes.
        self.fields["birth_date"].disabled = self.instance.birth_date is not None

    def _offer(self, name: str, choices: Iterator[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("Not set")), *choices]

    def _post_clean(self) -> None:
        """The instance is changed by the service only."""

    def add_domain_errors(self, error: Invalid) -> None:
        for fault in error.fields:
            self.add_error(fault.field if fault.field in self.fields else None, fault.detail)


class AvatarForm(forms.Form):
    avatar = forms.FileField(
        label=_("Picture"),
        required=False,
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
    )

    def clean_avatar(self) -> Any:
        upload = self.cleaned_data["avatar"]
        if upload is not None and upload.size > MAX_AVATAR_BYTES:
            raise ValidationError(_("Pictures may have up to 5 MB."))
        return upload


class SignupForm(account_forms.SignupForm):
    """The page's sign-up by address and password; numbers have a page of their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["phone"]
        for name in ("email", "password1"):
            self.fields[name].required = True
        self.fields["email"].label = _("Email")


class LoginForm(account_forms.LoginForm):
    """Address or number with a password; the second button asks for a code instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Email or phone number")
        self.fields["login"].widget.attrs |= {"autocomplete": "username", "placeholder": ""}
        self.fields["password"].widget.attrs["placeholder"] = ""
        # The page has the link further down.
        self.fields["password"].help_text = ""
        if self._wants_code:
            self.fields["password"].required = False

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        email = self.user_credentials().get("email") if self._wants_code and not self.errors else None
        if email:
            self.user = ways_in.find_by_address(email)
        return cleaned

    @property
    def _wants_code(self) -> bool:
        return self.data.get("by") == "code"

    def clean_password(self) -> str:
        return "" if self._wants_code else str(self.cleaned_data["password"])

    def clean_login(self) -> str:
        login = str(super().clean_login())
        return get_adapter().clean_phone(login) if login.startswith("+") else login


class RequestLoginCodeForm(account_forms.RequestLoginCodeForm):
    def clean_email(self) -> str:
        email = str(super().clean_email())
        if email:
            self._user = ways_in.find_by_address(email)
        return email


class ResetPasswordForm(account_forms.ResetPasswordForm):
    def clean_email(self) -> str:
        email = str(super().clean_email())
        found = ways_in.find_by_address(email)
        self.users = [found] if found else []
        return email


class PhoneForm(forms.Form):
    phone = PhoneField(
        label=_("Phone number"),
        help_text=_("With the country code, such as +44 7700 900123. We text you a code."),
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "autofocus": True}),
        validators=[],
    )


def _languages(current: str) -> Iterator[tuple[str, str]]:
    names = {
        code: info["name_local"].capitalize() for code, info in LANG_INFO.items() if "name_local" in info
    }
    if current and current not in names:
        names[current] = current
    yield from sorted(names.items(), key=lambda item: item[1])


def _time_zones() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    regions: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(available_timezones()):
        region, _slash, city = name.partition("/")
        if city and region not in {"Etc", "SystemV", "US", "posix", "right"}:
            regions.setdefault(region, []).append((name, city.replace("_", " ")))
    yield "UTC", [("UTC", "UTC")]
    yield from regions.items()
