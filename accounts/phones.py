"""Phone numbers: from what people type to E.164, and which of them we write to."""

import phonenumbers
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from common.errors import Invalid

# Numbers that cost whoever calls or writes to them: how text pumping earns.
_REFUSED_TYPES = {
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
    PhoneNumberType.VOICEMAIL,
    PhoneNumberType.PAGER,
}
_PREFIX_LENGTH = 8


def clean_number(text: str) -> str:
    """A number as E.164, such as "+358401234567".

    Raises Invalid with `invalid_phone` for what is no number that can get texts, and with
    `country_not_supported` outside the countries of `ACCOUNTS_SMS_COUNTRIES`.
    """
    try:
        number = phonenumbers.parse(text.strip(), None)
    except NumberParseException as error:
        raise _invalid() from error
    # Possible, not valid: numbering plans grow faster than libraries are updated.
    if not phonenumbers.is_possible_number(number) or phonenumbers.number_type(number) in _REFUSED_TYPES:
        raise _invalid()
    if _region(number) not in settings.ACCOUNTS_SMS_COUNTRIES:
        raise Invalid.field(
            "phone", "country_not_supported", _("We can't send texts to numbers of this country.")
        )
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def country_of(number: str) -> str:
    """The ISO code of an E.164 number's country; for a number of no known block, of its calling code's."""
    return _region(phonenumbers.parse(number, None))


def prefix_of(number: str) -> str:
    """What numbers bought in one block share."""
    return number[:_PREFIX_LENGTH]


def show_number(number: str) -> str:
    """For people: "+358 40 1234567"."""
    return phonenumbers.format_number(phonenumbers.parse(number, None), PhoneNumberFormat.INTERNATIONAL)


def _region(number: PhoneNumber) -> str:
    return phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )


def _invalid() -> Invalid:
    return Invalid.field(
        "phone", "invalid_phone", _("Enter a mobile number with its country code, such as +44 7700 900123.")
    )
