"""A real browser on real servers: one browser for all tests, a fresh context for each."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.elex_data import write_results, write_trace

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / "shared" / "imageneteff22" / "results"
#: A page that asked another host for something would get no answer.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium here; .ci/run installs it")
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def serving(*directories: Path) -> Iterator[str]:
    """Serve directories with `elex.py` until the end of the block; yields the address of the page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "elex.py", "--port", str(port), "--directory", *map(str, directories)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                with urlopen(url, timeout=5):
                    break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert b"Traceback" not in errors, errors.decode()


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_results(folder)
    write_trace(folder / "infer_2026_11_20_10_00_00", complete=False)
    return folder


@pytest.fixture(scope="session")
def small(small_folder: Path) -> Iterator[str]:
    """The page over the small, nasty data set, with the folder of a run that goes on."""
    with serving(small_folder) as url:
        yield url


@pytest.fixture(scope="session")
def published() -> Iterator[str]:
    """The page over the results of 2022."""
    if not PUBLISHED.is_dir():
        pytest.skip("the published results are not beside the project")
    with serving(PUBLISHED) as url:
        yield url


class Visitor:
    """A page in a context of its own, and what went wrong in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page = context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _console(self, message: Any) -> None:
        if message.location["url"].endswith("/version"):
            return  # asked for as long as a page is open, which may be longer than there is a server
        if message.type in ("error", "warning") and "WebGL" not in message.text:
            self.troubles.append(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:")):
            self.troubles.append(f"asked another host: {url}")

    def visit(self, url: str) -> Page:
        """Open an address and wait until everything is there."""
        self.page.goto(url)
        expect(self.page.locator("#summary")).not_to_be_empty()
        expect(self.page.locator("#panel-body")).to_be_visible()
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until nothing is asked for any more."""
        self.page.wait_for_load_state("networkidle")


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Any]:
    """Make visitors, each with a browser profile of its own; at the end none of them may have had trouble."""
    made: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "accept_downloads": True, **options})
        made.append(Visitor(context))
        return made[-1]

    yield make
    for visitor in made:
        visitor.context.close()
    assert [trouble for visitor in made for trouble in visitor.troubles] == []


@pytest.fixture
def visitor(visitors: Any) -> Visitor:
    return visitors()  # type: ignore[no-any-return]
