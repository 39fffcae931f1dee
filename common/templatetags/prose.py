from django import template
from django.utils.safestring import SafeString

from common import markdown as rendering

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown somebody else wrote, as HTML that is safe on our pages."""
    return rendering.render(text)


@register.filter
def markdown_said(text: str) -> SafeString:
    """What a person typed, line by line, with its emphasis, code and links."""
    return rendering.render_said(text)
