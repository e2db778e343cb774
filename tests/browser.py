"""A headless Chromium for tests of pages: what it opens may print no message, and ask for nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """The browser's path; where there is none, the test is skipped."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("Chromium is not installed: apt-get install chromium")


@contextmanager
def running() -> Iterator[Any]:
    """The browser itself, by playwright."""
    path = executable()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page in the browser. messages: what its console printed. requests: what it asked for beside itself."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page, self.path = page, path
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.messages.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    def go(self, fragment: str = "") -> Any:
        """Open it, and wait until its script is done."""
        self.page.goto(f"{self.path.as_uri()}{fragment}")
        self.page.wait_for_selector("body[data-ready]", state="attached")
        return self.page

    def quiet(self) -> None:
        """Nothing was printed, nothing asked for."""
        assert self.messages == []
        others = [url for url in self.requests if url.partition("#")[0] != self.path.as_uri() and url[:5] != "data:"]
        assert others == []


@contextmanager
def opened(browser: Any, path: Path, fragment: str = "", **context: Any) -> Iterator[Any]:
    """A page in a window of its own; quiet to the end."""
    options = {"viewport": {"width": 1400, "height": 1000}, **context}
    window = browser.new_context(**options)
    try:
        shown = Opened(window.new_page(), path)
        yield shown.go(fragment)
        shown.quiet()
    finally:
        window.close()
