from django import template
from django.utils.formats import number_format

from billing.selectors import format_price
from common.credits import MICRO, format_credits

register = template.Library()


@register.filter
def credits(microcredits: int) -> str:
    """`23400` -> "0.0234": exact."""
    return format_credits(microcredits)


@register.filter
def short_credits(microcredits: int) -> str:
    """For headlines: two places, rounded down so that it never shows more than there is."""
    hundredths = abs(microcredits) // (MICRO // 100)
    text = number_format(hundredths / 100, decimal_pos=2).rstrip("0").rstrip(".,")
    return f"−{text}" if microcredits < 0 and hundredths else text


@register.filter
def price(cents: int) -> str:
    return format_price(cents)


@register.filter
def percent_of(part: int, whole: int) -> int:
    """A whole percentage for a bar, between 0 and 100."""
    return max(0, min(100, part * 100 // whole)) if whole > 0 else 0
