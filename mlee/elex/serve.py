"""Serving the page: gunicorn where it is, waitress otherwise, Dash's own server for debugging.

Data never change under an application. When results have changed, another one is made of them while the former goes on
answering, and takes its place; open pages ask for the version now and then (routes.py).
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from dash import Dash

from mlee.elex.tuning import MAX_UPLOAD_BYTES
from mlee.elex.watch import Watcher
from mlee.errors import ConfigError

_THREADS = 4
#: Bodies [B] that waitress keeps before anybody looks at them; smaller ones that are too large are refused by routes.py.
_LONGEST_BODY = 2 * MAX_UPLOAD_BYTES


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


class Renewal:
    """The application at hand, and how to make the one that takes its place when results have changed."""

    def __init__(self, make: Callable[[], Dash], watcher: Watcher) -> None:
        """Make the first one. `watcher` has looked at the results before; errors of `make` are the caller's."""
        self._make, self.watcher = make, watcher
        self.app = self._made()

    def __call__(self) -> None:
        """Make the next one; where that fails the one at hand stays, and the log says why."""
        start_s = time.monotonic()
        try:
            self.app = self._made()
        except Exception:  # whatever is wrong with the new results must not end the server that shows the former
            logging.getLogger(__name__).exception(
                "The results have changed and could not be read; the page shows the former."
            )
        self.watcher.reading_s = time.monotonic() - start_s

    def _made(self) -> Dash:
        gc.unfreeze()
        made = self._make()
        gc.collect()  # the former application
        gc.freeze()  # what is in memory now stays, and is shared by the workers
        return made


def serve(renewal: Renewal, host: str, port: int, workers: int, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C; `ready` is called when the page can be opened."""
    if importlib.util.find_spec("gunicorn") is not None:
        _gunicorn(renewal, host, port, workers, ready)
        return
    from waitress import create_server

    def newest(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer: Iterable[bytes] = renewal.app.server(environ, start_response)
        return answer

    server = create_server(newest, host=host, port=port, threads=_THREADS * workers, max_request_body_size=_LONGEST_BODY)
    renewal.watcher.start(renewal)
    ready()
    server.run()


def _gunicorn(renewal: Renewal, host: str, port: int, workers: int, ready: Callable[[], None]) -> None:
    from gunicorn.app.base import BaseApplication

    def started(_: object) -> None:
        # On SIGHUP gunicorn calls `reload`, starts new workers and lets the old ones finish what they are doing.
        renewal.watcher.start(lambda: os.kill(os.getpid(), signal.SIGHUP))
        ready()

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
                "when_ready": started,
                "keepalive": 30,
                "limit_request_line": 8190,  # the most that it can: a view's address is up to 8000 long (state.py)
                "control_socket_disable": True,
            }
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> object:
            return renewal.app.server

        def reload(self) -> None:
            super().reload()
            renewal()
            self.callable = None  # to be loaded again

    Server().run()
