"""Serving the page: gunicorn where it is, waitress otherwise, Dash's own server for debugging."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable

from dash import Dash

from mlee.errors import ConfigError

_THREADS = 4


def check_free(host: str, port: int) -> None:
    """Raise `ConfigError` where nothing can be served at an address."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"Nothing can be served at {host}:{port}: {reason}.", "choose another --port or --host") from error


def serve(app: Dash, host: str, port: int, workers: int, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C; `ready` is called when the page can be opened."""
    if workers > 0 and importlib.util.find_spec("gunicorn") is not None:
        _gunicorn(app, host, port, workers, ready)
        return
    from waitress import create_server

    server = create_server(app.server, host=host, port=port, threads=_THREADS * max(workers, 1))
    ready()
    server.run()


def _gunicorn(app: Dash, host: str, port: int, workers: int, ready: Callable[[], None]) -> None:
    from gunicorn.app.base import BaseApplication

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            shown = f"[{host}]" if ":" in host else host
            settings = {
                "bind": f"{shown}:{port}",
                "workers": workers,
                "threads": _THREADS,
                "worker_class": "gthread",
                "preload_app": True,  # the table and the libraries are in memory once
                "loglevel": "warning",
                "when_ready": lambda server: ready(),
                "keepalive": 30,
                "control_socket_disable": True,
            }
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> object:
            return app.server

    Server().run()
