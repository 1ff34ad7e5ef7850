"""Pages of a report: fonts, styles, and what stands on every page."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors, pagesizes  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.lib.units import mm  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph  # type: ignore[import-untyped]

from mlee import __version__
from mlee.label.layout import INK
from mlee.report.content import Report
from mlee.units import printable

SIZES = {"a4": pagesizes.A4, "letter": pagesizes.LETTER}
FONT, BOLD = "Vera", "Vera-Bold"
MARGIN = 18 * mm
SOFT = "#4d5864"
RULE = "#c9d0d7"


def _style(name: str, **fields: Any) -> Any:
    return ParagraphStyle(name, **{"fontName": FONT, "fontSize": 8.5, "leading": 12.5, "textColor": INK, **fields})


TITLE = _style("title", fontName=BOLD, fontSize=19, leading=24)
UNDER = _style("under", fontSize=9, textColor=SOFT, spaceAfter=6)
HEADING = _style("heading", fontName=BOLD, fontSize=12, leading=16, spaceBefore=12, spaceAfter=4)
SUB = _style("sub", fontName=BOLD, fontSize=9, leading=13, spaceBefore=8, spaceAfter=2)
TEXT = _style("text", spaceAfter=4)
SMALL = _style("small", fontSize=6.6, leading=9)
CELL = _style("cell", fontSize=6.4, leading=8.2)
RIGHT = _style("right", fontSize=6.4, leading=8.2, alignment=2)
HEAD = _style("head", fontName=BOLD, fontSize=6.2, leading=7.6)
HEAD_RIGHT = _style("head right", fontName=BOLD, fontSize=6.2, leading=7.6, alignment=2)


class Document(BaseDocTemplate):  # type: ignore[misc]
    """Puts headings into the outline, and title and page number on every page."""

    def __init__(self, file: Any, report: Report, size: tuple[float, float]) -> None:
        super().__init__(
            file,
            pagesize=size,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=MARGIN,
            bottomMargin=MARGIN,
            title=printable(report.title),
            author=printable(report.author or ""),
            subject="Energy of machine-learning models",
            creator=f"mlee {__version__}",
            invariant=1,
        )
        frame = Frame(MARGIN, MARGIN, self.width, self.height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
        self._report = report
        self.addPageTemplates(PageTemplate("page", [frame], onPage=self._frame))

    def _frame(self, canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 7)
        canvas.setFillColor(colors.HexColor(SOFT))
        canvas.drawRightString(self.pagesize[0] - MARGIN, 10 * mm, str(document.page))
        if document.page > 1:
            title = printable(self._report.title)
            canvas.drawString(MARGIN, self.pagesize[1] - 12 * mm, title if len(title) < 100 else title[:99] + "…")
            canvas.setStrokeColor(colors.HexColor(RULE))
            canvas.line(MARGIN, self.pagesize[1] - 13.5 * mm, self.pagesize[0] - MARGIN, self.pagesize[1] - 13.5 * mm)
        canvas.restoreState()

    def afterFlowable(self, flowable: Any) -> None:
        """Enter a heading that was set into the outline."""
        level = {"heading": 0, "sub": 1}.get(getattr(getattr(flowable, "style", None), "name", ""))
        if level is None:
            return
        key = f"h{self.seq.nextf('outline')}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(flowable.getPlainText(), key, level, closed=True)


def register_fonts() -> None:
    """Make the label's fonts known to reportlab, which embeds what is used of them."""
    for name, file in ((FONT, "Vera.ttf"), (BOLD, "VeraBd.ttf")):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, file))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


def words(text: str, style: Any) -> Any:
    """Make a paragraph of plain text."""
    return Paragraph(escape(printable(text)), style)
