"""The start page in a real browser: files chosen, answers shown, at a desk's and a phone's width."""

import pytest

from tests.helpers import browser
from tests.helpers.commands import Started
from tests.helpers.drawn_fields import field
from tests.helpers.trees import picture, write_image

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.EXECUTABLE is None, reason="there is no Chromium to open the page in"),
]
NASTY = "<img src=x onerror=alert(1)>.png"


@pytest.mark.parametrize("width", [1280, 390])
def test_pictures_that_are_given_are_answered_on_the_page(model, tmp_path, width):
    cell = write_image(tmp_path / "cell.png", picture(1, 70))
    nasty = tmp_path / NASTY
    nasty.write_bytes(b"?")
    photograph = write_image(tmp_path / "field.png", field([(100, 100), (300, 200)]))
    words = [
        f"checkpoint={model / 'model.ckpt'}",
        "runtime=torch",
        "port=0",
        f"hydra.run.dir={tmp_path / 'run'}",
    ]
    server = Started("wbc", "serve", *words)
    said = server.files[0]
    server.wait_until(lambda: said.exists() and "answering at " in said.read_text(), 120)
    address = said.read_text().partition("answering at ")[2].split()[0]
    problems = []
    try:
        with api.sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=browser.EXECUTABLE, args=["--no-sandbox", "--disable-background-networking"]
            )
            page = chromium.new_page(viewport={"width": width, "height": 850})
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("dialog", lambda dialog: problems.append(dialog.message))
            page.on("console", lambda one: one.type == "error" and problems.append(one.text))
            page.on("request", lambda asked: asked.url.startswith(address) or problems.append(asked.url))
            page.goto(address)
            page.set_input_files("#files", [cell, nasty])
            api.expect(page.locator(".picture")).to_have_count(2)
            api.expect(page.locator(".picture h3").nth(1)).to_have_text(NASTY)
            api.expect(page.locator(".picture .wrong")).to_contain_text("no JPEG")
            api.expect(page.locator(".picture canvas")).to_have_count(1)
            page.check("[value=fields]")
            page.set_input_files("#files", [photograph])
            api.expect(page.locator(".cells td:first-child")).to_have_text(["1", "2"])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.goto(f"{address}api")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            chromium.close()
    finally:
        server.process.kill()
        server.process.join()
    assert problems == []
