"""HTML: escaping, and what every page of the site has."""

from __future__ import annotations

import html
from dataclasses import asdict

from mlee import __version__
from mlee.assess.compound import letter
from mlee.elex.theme import CLASSES, DARK, FONT, LIGHT, SURFACES
from mlee.units import printable

#: Nothing from elsewhere and nothing inline; `file:` stands for the site itself where it is opened without a server.
_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data:; base-uri 'none'; "
    "form-action 'none'"
)
NOT_RATED = "\N{EN DASH}"
ASSETS = "assets"
_MARK = f'<span class="mark" aria-hidden="true">{"".join(f"<i class=c{name}></i>" for name in "ABCDE")}</span>'
_PROJECT = "mlee"


def escape(text: str) -> str:
    """Make any text safe inside an element or a quoted attribute; control characters become spaces."""
    return html.escape(printable(text))


def badge(rating: int, large: bool = False) -> str:
    """Show a class as a letter on its colour; a missing one as a dash."""
    name = letter(rating)
    classes = f"badge{' large' if large else ''} c{name or '0'}"
    return f'<b class="{classes}">{name}</b>' if name else f'<b class="{classes}" title="not rated">{NOT_RATED}</b>'


def chip(rating: int) -> str:
    """Show the class of a single value, small; nothing where there is none."""
    name = letter(rating)
    return "" if name is None else f' <b class="chip c{name}">{name}</b>'


def page(*, title: str, heading: str, body: str, root: str, scripts: tuple[str, ...] = (), foot: str = "") -> str:
    """Write a whole page. `heading` is markup for the bar at the top, `root` leads to the folder of the site."""
    loaded = "".join(f'<script src="{root}{ASSETS}/{name}" defer></script>\n' for name in scripts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="{_PROJECT} {__version__}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}{ASSETS}/site.css">
{loaded}</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>{_MARK}{heading}</header>
<main id="main">
{body}
</main>
<footer>{foot}</footer>
</body>
</html>
"""


def tokens() -> str:
    """Write the colours as CSS variables, for light and dark."""

    def block(name: str) -> str:
        return "".join(f"--{key.replace('_', '-')}:{value};" for key, value in asdict(SURFACES[name]).items())

    classes = "".join(
        f".c{name or 0}{{background:{fill};color:{ink}}}.z{name or 0}{{--fill:{fill};--letter:{ink}}}\n"
        for name, (fill, ink) in CLASSES.items()
    )
    dark = f"@media (prefers-color-scheme:dark){{:root{{{block(DARK)}}}}}"
    return f":root{{--font:{FONT};{block(LIGHT)}}}\n{dark}\n{classes}"
