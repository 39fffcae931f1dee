"""Text of a model or a stranger as safe HTML: an allow-list over CommonMark, without images and raw HTML.

An image in a reply could carry what the model has read to another host, so there are none; links say
where they lead.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

# Longer texts are shown as they are: rendering is linear, but a page is for reading.
MAX_CHARACTERS = 200_000
_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "a", "ul", "ol", "li"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}, "span": {"class"}}
_SCHEMES = {"http", "https", "mailto"}


class _Renderer(RendererHTML):
    """Headings below the page's own, links with their host, pictures as their words."""

    def heading_open(self, tokens: list[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<h{_level(tokens[idx])}>"

    def heading_close(self, tokens: list[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"</h{_level(tokens[idx])}>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return str(escape(tokens[idx].content))

    def link_close(self, tokens: list[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        opening = next(token for token in reversed(tokens[:idx]) if token.type == "link_open")
        host = _host(str(opening.attrGet("href") or ""))
        shown = "".join(token.content for token in tokens[tokens.index(opening) : idx])
        label = f' <span class="link-host">({escape(host)})</span>' if host and host not in shown else ""
        return f"</a>{label}"


_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)


def render(text: str) -> SafeString:
    """HTML that is safe to show on our own page."""
    if len(text) > MAX_CHARACTERS:
        return mark_safe(f"<pre>{escape(text)}</pre>")
    cleaned = nh3.clean(
        _markdown.render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener noreferrer",
        strip_comments=True,
        generic_attribute_prefixes=None,
    )
    return mark_safe(cleaned)


def _level(token: Token) -> int:
    return min(int(token.tag[1]) + 2, 6)


def _host(href: str) -> str:
    try:
        return urlsplit(href).hostname or ""
    except ValueError:
        return ""
