from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format

from billing.models import Bucket
from billing.money import format_money
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
def price(amount: int, currency: str) -> str:
    """`999|price:"USD"` -> "9.99 USD"."""
    return format_money(amount, currency).replace(" ", "\N{NO-BREAK SPACE}")


@register.filter
def for_thousand(token_price: int) -> str:
    """The price of 1,000 tokens: `100` -> "0.1"."""
    return format_credits(1000 * token_price)


@register.filter
def bucket_name(name: str) -> str:
    return str(Bucket(name).label) if name in Bucket.values else name


@register.filter
def whole_credits(microcredits: int) -> str:
    """For what is on sale: exact, with the thousands set apart."""
    whole, dot, fraction = format_credits(microcredits).partition(".")
    return f"{intcomma(whole)}{dot}{fraction}"
