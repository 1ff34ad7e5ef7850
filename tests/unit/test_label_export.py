"""The files: PDF, SVG and PNG of the same drawing."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from hypothesis import given, settings
from PIL import Image
from reportlab.graphics.shapes import String
from reportlab.pdfbase.ttfonts import TTFontFile

from mlee.label import Format, LabelContent, Variant, render
from mlee.label.content import MAX_URL
from mlee.label.draw import build
from mlee.label.draw_fonts import load
from mlee.label.export_font import subset
from tests.unit.test_label_content import URL, estimated, missing, sample
from tests.unit.test_label_drawing import HOSTILE, LONG, contents

VARIANTS: tuple[Variant, ...] = ("full", "compact", "badge")
FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")
SVG = "{http://www.w3.org/2000/svg}"


def pdf_text(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        page = document[0]
        text_page = page.get_textpage()
        try:
            return str(text_page.get_text_range())
        finally:
            text_page.close()
            page.close()
    finally:
        document.close()


def read_codes(data: bytes) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(Image.open(io.BytesIO(data)))]


@pytest.mark.parametrize("make", [sample, estimated, missing])
def test_a_pdf_holds_every_text_as_text(make: Any) -> None:
    content: LabelContent = make()
    found = re.sub(r"\s+", "", pdf_text(render(content, "pdf")))
    for shape in build(content).contents:
        if isinstance(shape, String):
            assert re.sub(r"\s+", "", shape.text) in found
    for value in (content.model, content.hardware, content.digest, content.short_url, *content.foot):
        assert re.sub(r"\s+", "", value) in found


def test_characters_the_font_lacks_are_boxes_that_can_still_be_copied() -> None:
    text = pdf_text(render(sample(model="模型 αβ 🚀"), "pdf"))
    assert "模型" in text
    assert "αβ" in text
    assert "🚀" in text


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pdf_embeds_subsets_of_all_its_fonts(variant: Variant) -> None:
    data = render(sample(), "pdf", variant)
    names = set(re.findall(rb"/BaseFont/(\S+?)/", data))
    assert names
    for name in names:
        assert re.fullmatch(rb"[A-Z]{6}\+BitstreamVeraSans-(Roman|Bold)", name)
        assert re.search(rb"/FontName/" + re.escape(name) + rb"/[^>]*/FontFile2 ", data)
    assert b"/Image" not in data


def test_a_pdf_says_its_title_subject_and_language() -> None:
    data = render(sample(language="en-GB", title="Label (1) \\ two"), "pdf")
    document = pypdfium2.PdfDocument(data)
    try:
        about = document.get_metadata_dict()
        assert about["Title"] == "Label (1) \\ two"
        assert about["Subject"] == sample().description
        assert not about["CreationDate"]
        width, height = document.get_page_size(0)
    finally:
        document.close()
    assert b"/Lang(en-GB)" in data
    assert b"/DisplayDocTitle true" in data
    assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((100, 184), abs=0.01)


@pytest.mark.parametrize("make", [sample, estimated, missing])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pdf_is_small(make: Any, variant: Variant) -> None:
    assert len(render(make(), "pdf", variant)) <= 40_000


def test_a_pdf_is_small_whatever_it_says() -> None:
    everything = {field: LONG for field in ("model", "dataset", "hardware", "software", "sensors", "digest", "title")}
    assert len(render(sample(**everything, foot=(LONG,) * 6), "pdf")) <= 45_000


def test_a_pdf_leads_to_the_result() -> None:
    data = render(sample(), "pdf")
    assert data.count(b"/URI<" + URL.encode().hex().encode() + b">") == 2


@pytest.mark.parametrize("dpi", [120, 200, 300])
def test_the_qr_code_reads_as_the_address(dpi: int) -> None:
    assert read_codes(render(sample(), "png", dpi=dpi)) == [URL]


@pytest.mark.parametrize("url", ["https://a.b/", "https://mlee.example.org/" + "x1Y-" * ((MAX_URL - 25) // 4)])
def test_short_and_long_addresses_can_be_read(url: str) -> None:
    assert read_codes(render(sample(url=url), "png")) == [url]


def test_a_png_has_the_size_it_was_asked_for() -> None:
    image = Image.open(io.BytesIO(render(sample(), "png", dpi=100)))
    assert image.size == (394, 725)
    assert image.info["dpi"] == pytest.approx((100, 100), abs=0.1)
    assert image.info["Title"] == sample().title
    assert Image.open(io.BytesIO(render(sample(), "png", "compact", dpi=96))).size == (260, 364)
    with pytest.raises(ValueError, match="dpi"):
        render(sample(), "png", dpi=5)


def test_threads_may_draw_at_once() -> None:
    labels = [sample(model=f"model {number % 3}") for number in range(6)]
    alone = [render(label, "png", dpi=60) for label in labels]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda label: render(label, "png", dpi=60), labels)) == alone


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_svg_is_accessible_and_keeps_its_text(variant: Variant) -> None:
    root = ElementTree.fromstring(render(sample(title="Label <1> & two"), "svg", variant))
    assert root.get("role") == "img"
    assert root.get("lang") == "en"
    assert [root[0].tag, root[1].tag] == [f"{SVG}title", f"{SVG}desc"]
    assert [root[0].text, root[1].text] == ["Label <1> & two", sample().description]
    assert root.get("aria-labelledby") == f"{root[0].get('id')} {root[1].get('id')}"
    drawn = [shape.text for shape in build(sample(), variant).contents if isinstance(shape, String)]
    elements = root.findall(f"{SVG}text")
    assert [element.text for element in elements] == drawn
    assert all(float(element.get("textLength", "0")) > 0 for element in elements)
    assert {element.tag.removeprefix(SVG) for element in root} == {"title", "desc", "rect", "path", "text"}


def test_an_svg_text_keeps_the_width_it_was_drawn_with() -> None:
    root = ElementTree.fromstring(render(sample(), "svg"))
    font = load("Vera-Bold")
    model = next(element for element in root.iter(f"{SVG}text") if element.text == "MobileNetV3Large")
    ems = sum(font.widths[char] for char in "MobileNetV3Large")
    assert float(model.get("textLength", "")) == pytest.approx(ems * float(model.get("font-size", "")), abs=0.01)


@settings(max_examples=25, deadline=None)
@given(contents())
def test_whatever_a_label_says_its_files_are_sound(content: LabelContent) -> None:
    for variant in VARIANTS:
        ElementTree.fromstring(render(content, "svg", variant))
    data = render(content, "pdf")
    document = pypdfium2.PdfDocument(data)
    assert len(document) == 1
    document.close()
    assert len(data) <= 50_000


@pytest.mark.parametrize("text", HOSTILE)
def test_strange_texts_make_sound_files(text: str) -> None:
    content = sample(model=text, dataset=text, title=text, sensors=text, foot=(text,) * 6, digest=text)
    for format in FORMATS:
        for variant in VARIANTS:
            assert render(content, format, variant, dpi=40)
    ElementTree.fromstring(render(content, "svg"))
    assert pdf_text(render(content, "pdf"))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_content_gives_equal_bytes(format: Format, variant: Variant) -> None:
    assert render(estimated(), format, variant, dpi=50) == render(estimated(), format, variant, dpi=50)


def test_labels_on_one_page_have_identifiers_of_their_own() -> None:
    svgs = [render(content, "svg").decode() for content in (sample(), estimated(), missing())]
    assert len({re.findall(r'id="(t\w+)"', svg)[0] for svg in svgs}) == 3


def test_what_is_not_offered_is_refused() -> None:
    with pytest.raises(ValueError, match="format"):
        render(sample(), "gif")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="variant"):
        render(sample(), "pdf", "poster")  # type: ignore[arg-type]


def test_a_subset_is_a_font_with_the_outlines_it_needs() -> None:
    font = load("Vera")
    part = subset(font, "aÅ模型")
    assert len(part.file) < 12_000
    tables = {part.file[12 + 16 * place : 16 + 16 * place] for place in range(int.from_bytes(part.file[4:6]))}
    assert tables == {b"glyf", b"loca", b"hmtx", b"maxp", b"hhea", b"head", b"cvt ", b"fpgm", b"prep"}
    assert part.glyph_of["模"] != part.glyph_of["型"]
    assert part.advances[part.glyph_of["a"]] == round(font.widths["a"] * 1000)
    whole = TTFontFile("Vera.ttf")
    outlines = {glyph for glyph, outline in enumerate(font.glyphs) if outline}
    assert whole.charToGlyph[ord("A")] in outlines  # Å is made of A and a ring, which must come along
    assert len(subset(font, "Å").file) > len(subset(font, "").file) + len(font.glyphs[whole.charToGlyph[ord("A")]])
