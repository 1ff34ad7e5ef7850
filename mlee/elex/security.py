"""Headers that keep the page to itself: no script but our own, no other host, no frame, no guessing of types."""

from __future__ import annotations

from dash import Dash
from flask import Flask, Response


def add_headers(app: Dash, *, crowded: bool) -> None:
    """Send the headers with every answer. Styles are free: Mantine and Plotly write theirs at run time.

    A `crowded` plot is drawn with WebGL, for which Plotly compiles functions while it runs: that must be allowed then.
    """
    policy = "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-eval'" if crowded else "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )

    server: Flask = app.server

    @server.after_request
    def secure(answer: Response) -> Response:
        answer.headers.setdefault("Content-Security-Policy", policy)
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        answer.headers.setdefault("Referrer-Policy", "same-origin")
        answer.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        return answer
