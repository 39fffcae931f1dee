from django import template
from django.utils.formats import number_format

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
