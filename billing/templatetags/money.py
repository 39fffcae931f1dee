from django import template

from common.credits import format_credits

register = template.Library()


@register.filter
def credits(microcredits: int) -> str:
    """`23400` -> "0.0234": exact."""
    return format_credits(microcredits)
