"""A PDF page as PNG, for places that show neither PDF nor SVG."""

from __future__ import annotations

import io
import threading

import pypdfium2  # type: ignore[import-untyped]
from PIL.PngImagePlugin import PngInfo

#: PDFium must not be called by two threads at once.
_PDFIUM = threading.Lock()
_DPI_OF_PDF = 72
MIN_DPI, MAX_DPI = 20, 1200


def to_png(pdf: bytes, *, title: str, dpi: float) -> bytes:
    """Draw the only page of `pdf` with `dpi` dots per inch."""
    if not MIN_DPI <= dpi <= MAX_DPI:
        raise ValueError(f"dpi must be from {MIN_DPI} to {MAX_DPI}, not {dpi}")
    with _PDFIUM:
        document = pypdfium2.PdfDocument(pdf)
        try:
            page = document[0]
            image = page.render(scale=dpi / _DPI_OF_PDF).to_pil().convert("RGB")
            page.close()
        finally:
            document.close()
    about = PngInfo()
    about.add_itxt("Title", title)
    target = io.BytesIO()
    image.save(target, "PNG", dpi=(dpi, dpi), pnginfo=about, compress_level=6)
    return target.getvalue()
