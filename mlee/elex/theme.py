"""Design tokens: the colours of the page and its pictures, in one place, for light and dark.

Classes have the label's palette. Everything else is quiet, so that the classes are what the eye meets first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mlee.label.layout import PALETTE

LIGHT, DARK = "light", "dark"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
#: Fill and letter of a point that has no rating.
UNRATED = ("#8a94a0", "#000000")
CLASSES: dict[str | None, tuple[str, str]] = {**dict(PALETTE.items()), None: UNRATED}
#: Environments by shape: Plotly's names and how the legend draws them.
SYMBOLS = ("circle", "square", "diamond", "hexagon", "triangle-up", "star", "triangle-down", "pentagon", "cross", "x")


@dataclass(frozen=True, slots=True)
class Surface:
    """Colours of one theme; text on its ground has a contrast of at least 4.5 : 1."""

    ground: str
    panel: str
    line: str
    ink: str
    soft: str  # text of second rank
    accent: str
    accent_ink: str
    grid: str
    front: str  # Pareto front
    notice: str


SURFACES = {
    LIGHT: Surface(
        "#f4f6f8", "#ffffff", "#d5dbe1", "#16202b", "#4d5864", "#14607a", "#ffffff", "#e6eaee", "#16202b", "#fff6dc"
    ),
    DARK: Surface(
        "#0f151b", "#18212a", "#33404d", "#eef2f6", "#a9b6c3", "#6cc5e0", "#0f151b", "#26313c", "#eef2f6", "#3b3115"
    ),
}
#: Lines of the pictures over devices and models: apart for every kind of colour vision (Okabe and Ito).
SERIES = {
    LIGHT: ("#0072b2", "#b34a00", "#00785a", "#8a3f73", "#5c5c5c", "#8f6a00"),
    DARK: ("#56b4e9", "#e69f00", "#2fc79b", "#d993c0", "#bdbdbd", "#f0e442"),
}


def css() -> str:
    """Write the tokens as CSS variables."""

    def block(selector: str, name: str) -> str:
        pairs = "".join(f"--elex-{key.replace('_', '-')}:{value};" for key, value in asdict(SURFACES[name]).items())
        return f"{selector}{{{pairs}}}"

    classes = "".join(f"--class-{letter}:{fill};--class-{letter}-ink:{ink};" for letter, (fill, ink) in PALETTE.items())
    fonts = f"--elex-font:{FONT};--class-none:{UNRATED[0]};--class-none-ink:{UNRATED[1]};"
    return f":root{{{classes}{fonts}}}" + block(":root", LIGHT) + block("[data-mantine-color-scheme=dark]", DARK)
