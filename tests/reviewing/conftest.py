"""Servers that end with the test, and a browser before them."""

import pytest

from tests.helpers import browser
from tests.helpers.review_server import ReviewServer


@pytest.fixture
def serve():
    """`serve(folder, *words)`: a review that serves."""
    servers = []

    def start(folder, *words):
        servers.append(ReviewServer(folder, *words))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=browser.EXECUTABLE, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture
def visit(chromium):
    """`visit(address, name)`: the page as `name` sees it; nothing may go wrong on it."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    problems, contexts = [], []

    def open_page(address, name="Anna", complete=True, **options):
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 860}} | options))
        contexts.append(context)
        page = context.new_page()
        page.problems = problems
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on("console", lambda said: said.type == "error" and problems.append(said.text))
        page.on("request", lambda asked: asked.url.startswith(address[:17]) or problems.append(asked.url))
        page.goto(address)
        page.fill("#name", name)
        page.keyboard.press("Enter")
        page.wait_for_selector(".tile.current")
        if complete:
            api.expect(page.locator(".tile:not(.shown)")).to_have_count(0)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
