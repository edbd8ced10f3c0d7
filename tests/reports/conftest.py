"""What several modules of tests need: a real browser, Debian's chromium, driven through its path."""

from pathlib import Path

import pytest
from browser_page import Opened

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, folder):
    """Opens a page of the module's ``folder``."""
    opened = []

    def go(name, *args, **context):
        opened.append(Opened(chromium, folder / name, *args, **context))
        return opened[-1]

    yield go
    for each in opened:
        each.page.close()
