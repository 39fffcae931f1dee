"""Text of a model or a stranger as safe HTML: an allow-list over CommonMark, without images and raw HTML.

An image in a reply could carry what the model has read to another host, so there are none; links go to
http(s) and mail addresses only, open nothing by themselves and say where they lead. The cost is linear in
the text, and bounded.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

# Longer texts are shown as they were written.
MAX_CHARACTERS = 24_000
# Looking for the end of a link is the dearest part; nobody writes more of them than this.
MAX_BRACKETS = 400

_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "a", "ul", "ol", "li"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span"),
}
_ATTRIBUTES = {"a": {"href", "title", "target"}, "code": {"class"}, "ol": {"start"}}
_HTTP_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_MAILTO = re.compile(r"mailto:[^\s/\\]+", re.IGNORECASE)
_LANGUAGE = re.compile(r"language-[A-Za-z0-9+#.-]{1,30}")
_BARE_URL = re.compile(r"\bhttps?://[^\s<>\"'`|\\^{}\[\]“”‘’«»]{1,2000}", re.IGNORECASE)
_AFTER_URL = ".,;:!?*_~"


def render(text: str) -> SafeString:
    """A reply or a description: headings, lists, quotes, tables, code, emphasis and links."""
    return _render(_FULL, _FULL_WITHOUT_LINKS, text)


def render_said(text: str) -> SafeString:
    """What a person typed: every line stays a line; only emphasis, code and links mean something."""
    return _render(_SAID, _SAID_WITHOUT_LINKS, text)


def _render(markdown: MarkdownIt, without_links: MarkdownIt, text: str) -> SafeString:
    if len(text) > MAX_CHARACTERS:
        return mark_safe(f'<p class="as-typed">{escape(text)}</p>')
    chosen = markdown if text.count("[") <= MAX_BRACKETS else without_links
    return mark_safe(_clean(chosen.render(text)))


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_keep_attribute,
        allowed_classes={"span": {"link-host"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
    )


def _keep_attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "code" and name == "class":
        return value if _LANGUAGE.fullmatch(value) else None
    if tag == "a" and name == "href":
        return value if is_safe_link(value) else None
    return value


def is_safe_link(href: str) -> bool:
    """Whole addresses only, with a host that can be read: no user name may stand in front of it."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    if parts.scheme in ("http", "https"):
        return _HTTP_HOST.fullmatch(parts.netloc) is not None
    return _MAILTO.fullmatch(href) is not None


class _Renderer(RendererHTML):
    """Headings below the page's own, pictures as their words, links with their host."""

    def heading_open(self, tokens: list[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<h{_level(tokens[idx])}>"

    def heading_close(self, tokens: list[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"</h{_level(tokens[idx])}>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return escape(self.renderInlineAsText(tokens[idx].children or [], options, env))

    def link_host(self, tokens: list[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f' <span class="link-host">({escape(tokens[idx].content)})</span>'


def _level(token: Token) -> int:
    return min(int(token.tag[1]) + 2, 6)


def _mend_links(state: StateCore) -> None:
    """Make links of bare addresses, and put the host behind those that do not show it."""
    for token in state.tokens:
        if token.type == "inline" and token.children:
            token.children = list(_name_hosts(_link_bare_urls(token.children)))


def _link_bare_urls(children: list[Token]) -> Iterator[Token]:
    depth = 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if depth == 0 and child.type == "text" and "://" in child.content:
            yield from _split_at_urls(child)
        else:
            yield child


def _split_at_urls(token: Token) -> Iterator[Token]:
    text, position = token.content, 0
    for match in _BARE_URL.finditer(text):
        url = _trim(match.group())
        if not is_safe_link(url):
            continue
        yield _text(text[position : match.start()])
        yield Token("link_open", "a", 1, attrs={"href": url})
        yield _text(url)
        yield Token("link_close", "a", -1)
        position = match.start() + len(url)
    yield _text(text[position:])


def _trim(url: str) -> str:
    """Without the punctuation of the sentence around it; a closing bracket stays if it was opened inside."""
    url = url.rstrip(_AFTER_URL)
    if url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip(_AFTER_URL)
    return url


def _name_hosts(children: Iterator[Token]) -> Iterator[Token]:
    href = ""
    shown: list[str] = []
    for child in children:
        yield child
        if child.type == "link_open":
            child.attrs["target"] = "_blank"
            href, shown = str(child.attrs.get("href", "")), []
        elif child.type == "link_close":
            target = _target(href)
            if target and not _says(target, href, "".join(shown)):
                label = Token("link_host", "", 0)
                label.content = target
                yield label
            href = ""
        elif href:
            shown.append(child.content)


def _target(href: str) -> str:
    """What a reader should know of an address: its host, or the mail address."""
    parts = urlsplit(href)
    return parts.hostname or "" if parts.scheme in ("http", "https") else parts.path


def _says(target: str, href: str, shown: str) -> bool:
    shown = shown.strip().lower()
    if shown in (target.lower(), href.lower()):
        return True
    scheme = href.partition(":")[0].lower()
    return shown.startswith((f"{scheme}://{target}/", f"{target}/")) and " " not in shown


def _text(content: str) -> Token:
    token = Token("text", "", 0)
    token.content = content
    return token


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        return is_safe_link(url)


def _make(configure: Callable[[MarkdownIt], MarkdownIt], *, has_links: bool) -> MarkdownIt:
    markdown = configure(_Markdown("zero", {"html": False, "breaks": True}, renderer_cls=_Renderer))
    markdown.enable(["newline", "escape", "backticks", "strikethrough", "emphasis", "entity", "fence"])
    markdown.enable(["balance_pairs", "fragments_join", "text_join"])
    if has_links:
        markdown.enable(["link", "image", "autolink"])
    markdown.core.ruler.push("mend_links", _mend_links)
    return markdown


def _full(markdown: MarkdownIt) -> MarkdownIt:
    # Left out on purpose: indented code and underlined headings (people indent and draw lines for other
    # reasons), raw HTML, and links defined elsewhere in the text.
    return markdown.enable(["table", "blockquote", "hr", "list", "heading"])


def _said(markdown: MarkdownIt) -> MarkdownIt:
    return markdown


_FULL, _FULL_WITHOUT_LINKS = (_make(_full, has_links=has) for has in (True, False))
_SAID, _SAID_WITHOUT_LINKS = (_make(_said, has_links=has) for has in (True, False))
