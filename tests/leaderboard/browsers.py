"""A real browser for tests: Debian's Chromium, headless, driven by playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def missing() -> str | None:
    """Why there is no browser here; None where there is one."""
    try:
        import playwright.sync_api  # noqa: F401
    except ModuleNotFoundError:
        return "no playwright: pip install 'threedie[dev]'"
    return None if path() else "no Chromium: apt-get install chromium, or THREEDIE_CHROMIUM=PATH"


def path() -> str | None:
    """The program."""
    return os.environ.get("THREEDIE_CHROMIUM") or shutil.which("chromium")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
