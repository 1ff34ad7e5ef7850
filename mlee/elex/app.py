"""The page as a Dash application. No state: `create_app` closes over immutable data, the address says the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import dash
import dash_ag_grid  # noqa: F401 - registers its files, which the page asks for when the table is opened
from dash import Dash

from mlee import __version__
from mlee.elex import parts, theme
from mlee.elex.bundles import add_bundles, add_compression
from mlee.elex.callbacks import register
from mlee.elex.data import Explored
from mlee.elex.layout import page
from mlee.elex.routes import add_routes
from mlee.elex.scatter import CROWD
from mlee.elex.security import add_headers
from mlee.elex.state import MAX_WRITTEN, default_view

#: Loaded when the table is first looked at: a third of all that a visitor would download.
_LATE = "dash_ag_grid"
#: Dash's former table, which nothing here uses, and support for browsers that Mantine does not run in: a quarter second.
_UNUSED = ("/dash_table/", "/polyfill@")
_PAGE = """<!DOCTYPE html>
<html lang="en" data-mantine-color-scheme="light">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>mlee explorer</title>
<meta name="description" content="Energy of machine-learning models, measured and rated A to E">
<link rel="icon" href="data:,">
%(preload)s
%(css)s
<style>%(tokens)s</style>
</head>
<body data-plotly="%(plotly)s" data-late="%(late)s" data-version="%(version)s" data-longest="%(longest)s" class="waiting">
%(early)s
%(app_entry)s
<div hidden>%(config)s</div>
<template id="then">%(then)s</template>
%(own)s
</body>
</html>"""
#: What stands there until Dash has made the page: the same columns, so that nothing jumps.
_EARLY = """<div id="early" aria-busy="true"><header><div class="brand"><h1>mlee explorer</h1></div></header>
<main><div class="card controls"></div><div class="card view"><div class="early-head"></div>
<div id="graph" class="plot"></div></div>
<div class="card model"></div></main></div>"""


class Explorer(Dash):
    """Dash with an index page of our own: what the first picture needs is asked for at once."""

    #: Part of every address whose answer may be kept: other data or another program have another one.
    elex_version: str = ""
    #: Whether there is something to draw.
    elex_has_plot: bool = True

    def interpolate_index(self, **given: Any) -> str:  # type: ignore[override]
        """Write the index page."""
        scripts = [name for name in re.findall(r'src="([^"]+)"', given["scripts"]) if not any(n in name for n in _UNUSED)]
        own = [name for name in scripts if "/assets/" in name]
        plotly = f"{self.config.requests_pathname_prefix}_dash-component-suites/plotly/package_data/plotly.min.js"
        then = [name for name in scripts if name not in own and _LATE not in name and not name.endswith("plotly.min.js")]
        return _PAGE % {
            "css": given["css"],
            "tokens": theme.css(),
            "plotly": plotly,
            "preload": f'<link rel="preload" as="script" href="{plotly}">' if self.elex_has_plot else "",
            "late": next((name for name in scripts if _LATE in name), ""),
            "version": self.elex_version,
            "longest": MAX_WRITTEN,
            "early": _EARLY if self.elex_has_plot else "",
            "app_entry": given["app_entry"],
            "config": given["config"],
            # Nothing in a template runs: assets/4_actions.js does it, when its time has come.
            "then": _tags(then) + given["renderer"],
            "own": _tags(own),
        }


def _tags(scripts: Sequence[str]) -> str:
    return "".join(f'<script src="{name}"></script>' for name in scripts)


def create_app(data: Explored, *, debug: bool = False, public_url: str | None = None) -> Dash:
    """Make the application; `public_url` is where the QR codes of its labels lead to."""
    dash._dash_renderer._set_react_version("18.3.1")
    app = Explorer(
        "mlee.elex",
        title="mlee explorer",
        update_title="",
        assets_folder=str(files("mlee.elex").joinpath("assets")),
        serve_locally=True,
        suppress_callback_exceptions=True,
    )
    app.elex_version = f"{data.digest[:8]}-{__version__}"
    app.elex_has_plot = not data.empty
    start = None if data.empty else parts.state(data, default_view(data), theme.LIGHT, ())
    app.layout = page(data, start)
    if not data.empty:
        register(app)
    add_routes(app.server, data, app.elex_version, public_url)
    if not debug:
        largest = max((sum(map(len, found.rows.values())) for found in data.choices.values()), default=0)
        add_headers(app, crowded=largest > CROWD)
        add_compression(app)
        add_bundles(app)
    return app
