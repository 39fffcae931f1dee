"""A receipt as a PDF to keep: A4, with its fonts inside."""

import unicodedata
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from django.utils.translation import gettext as _
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from billing.receipts import Receipt, receipt_url

_FONTS = Path(__file__).parent / "fonts"
_INK, _MUTED, _LINE, _EMBER = (HexColor(value) for value in ("#201a16", "#6b6058", "#ddd5cb", "#a8441f"))
_WIDTH = A4[0] - 50 * mm

# The house's fonts know Latin; where they have no letter, the second font of each chain has most.
_TEXT = ("HankenGrotesk-Regular", "DejaVuSans")
_STRONG = ("HankenGrotesk-SemiBold", "DejaVuSans-Bold")
_SERIF = ("Newsreader-Medium", "DejaVuSans")
_UNKNOWN = "?"


class _Words:
    """Text made ready for paragraphs; remembers whether there was a letter that no font has."""

    def __init__(self) -> None:
        self.is_complete = True

    def markup(self, text: str, chain: tuple[str, ...]) -> str:
        """Every letter in a font that has it, nothing in it read as markup."""
        letters = [self._shown(letter, chain) for letter in _plain(text)]
        runs = groupby(letters, key=lambda shown: shown[0])
        return "".join(
            f'<font name="{font}">{escape("".join(letter for _font, letter in run))}</font>'
            for font, run in runs
        )

    def _shown(self, letter: str, chain: tuple[str, ...]) -> tuple[str, str]:
        for font in chain:
            if ord(letter) in _font(font).face.charToGlyph:
                return font, letter
        self.is_complete = False
        return chain[0], _UNKNOWN


def _plain(text: str) -> str:
    """On one line, letters and marks put together, without what only steers how text is set."""
    joined = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(
        letter
        for letter in joined
        if unicodedata.category(letter) not in ("Cc", "Cf") and not "\ufe00" <= letter <= "\ufe0f"
    )


@cache
def _font(name: str) -> TTFont:
    font = TTFont(name, _FONTS / f"{name}.ttf")
    pdfmetrics.registerFont(font)
    return font


def render_pdf(receipt: Receipt) -> bytes:
    """The same bytes for the same receipt. Letters no font has become "?", and a line says so."""
    file = BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=25 * mm,
        rightMargin=25 * mm,
        topMargin=24 * mm,
        bottomMargin=22 * mm,
        title=_("Receipt %(number)s") % {"number": receipt.payment.number},
        author=receipt.seller[0],
        creator="Parlor",
        invariant=1,
    )
    document.build(_story(receipt))
    return file.getvalue()


def _story(receipt: Receipt) -> list[Flowable]:
    words = _Words()
    story = [
        _paragraph(words, receipt.seller[0], _SERIF, size=13, color=_EMBER),
        Spacer(0, 10 * mm),
        _paragraph(words, _("Receipt"), _SERIF, size=30),
        _paragraph(words, receipt.payment.number, _TEXT, color=_MUTED),
        Spacer(0, 8 * mm),
        *_test_mark(words, receipt),
        _parties(words, receipt),
        Spacer(0, 9 * mm),
        _facts(words, receipt),
        Spacer(0, 9 * mm),
        _amounts(words, receipt),
        Spacer(0, 14 * mm),
        *_closing(words, receipt),
    ]
    if not words.is_complete:
        note = _("Letters that this file cannot show stand as “?”. The page of the receipt shows them.")
        story.append(_paragraph(words, note, _TEXT, size=8.5, color=_MUTED))
    return story


def _paragraph(
    words: _Words,
    text: str,
    chain: tuple[str, ...],
    *,
    size: float = 10,
    color: HexColor = _INK,
    is_right: bool = False,
) -> Paragraph:
    style = ParagraphStyle(
        "text", fontName=_font(chain[0]).fontName, fontSize=size, leading=size * 1.45, textColor=color
    )
    if is_right:
        style.alignment = TA_RIGHT
    return Paragraph(words.markup(text, chain), style)


def _test_mark(words: _Words, receipt: Receipt) -> list[Flowable]:
    if not receipt.is_test:
        return []
    text = _("Test shop: no money moved. This is not a receipt for a payment.")
    box = Table([[_paragraph(words, text, _STRONG, color=_EMBER)]], colWidths=[_WIDTH])
    box.setStyle([("BOX", (0, 0), (-1, -1), 0.8, _EMBER), ("LEFTPADDING", (0, 0), (-1, -1), 8)])
    return [box, Spacer(0, 8 * mm)]


def _parties(words: _Words, receipt: Receipt) -> Table:
    cells = [
        [
            _paragraph(words, label, _TEXT, size=8.5, color=_MUTED),
            *(_paragraph(words, line, _TEXT) for line in lines),
        ]
        for label, lines in ((_("Sold by"), receipt.seller), (_("Sold to"), receipt.buyer))
    ]
    table = Table([cells], colWidths=[_WIDTH / 2] * 2)
    table.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
    return table


def _facts(words: _Words, receipt: Receipt) -> Table:
    rows = [
        [_paragraph(words, fact.label, _TEXT, color=_MUTED), _paragraph(words, fact.value, _TEXT)]
        for fact in receipt.facts
    ]
    return _table(rows, [_WIDTH * 0.28, _WIDTH * 0.72])


def _amounts(words: _Words, receipt: Receipt) -> Table:
    def row(label: str, value: str, chain: tuple[str, ...] = _TEXT) -> list[Paragraph]:
        return [_paragraph(words, label, chain), _paragraph(words, value, chain, is_right=True)]

    rows = [row(_("Net"), receipt.net), row(_("Tax"), receipt.tax), row(_("Total"), receipt.total, _STRONG)]
    if receipt.returns:
        rows += [row(line.label, line.value) for line in receipt.returns]
        rows.append(row(_("Paid in the end"), receipt.left, _STRONG))
    return _table(rows, [_WIDTH * 0.72, _WIDTH * 0.28])


def _table(rows: list[list[Paragraph]], widths: list[float]) -> Table:
    table = Table(rows, colWidths=widths)
    table.setStyle(
        [
            ("LINEABOVE", (0, 0), (-1, -1), 0.5, _LINE),
            ("LINEBELOW", (0, -1), (-1, -1), 0.5, _LINE),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    return table


def _closing(words: _Words, receipt: Receipt) -> list[Paragraph]:
    lines = [_("This receipt online: %(url)s") % {"url": receipt_url(receipt.payment.id)}]
    if receipt.document_url:
        lines.append(_("The store's own document: %(url)s") % {"url": receipt.document_url})
    return [_paragraph(words, line, _TEXT, size=8.5, color=_MUTED) for line in lines]
