"""One service, browser and oracle for all tests here; the flights are fetched if they are not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .support import DATA, ROOT, Oracle, Service

QUIET_BROWSER = [
    "--no-sandbox",  # the container these tests may run in allows no user namespaces
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def flights_csv() -> Path:
    fetch = [sys.executable, str(ROOT / "scripts" / "fetch_flights.py")]
    result = subprocess.run(fetch, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"the flights could not be fetched: {result.stderr}")
    return DATA / "flights.csv"


@pytest.fixture(scope="session")
def oracle(flights_csv: Path) -> Oracle:
    return Oracle(flights_csv)


@pytest.fixture(scope="session")
def service(flights_csv: Path) -> Iterator[Service]:
    running = Service()
    yield running
    code, errors = running.stop()
    assert code == 0
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: until then Playwright's event loop runs in this thread, where other tests want their own."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=QUIET_BROWSER)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh tab in which an error of the page's script fails the test."""
    context = browser.new_context(locale="en-GB")
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert errors == []
