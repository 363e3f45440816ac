"""What the page does with the model, in a real browser: heat maps, and settling into the lab."""

import hashlib
import signal
import sqlite3
import time

import pytest

from tests.helpers import browser
from tests.helpers.known_model import write_known_model, write_predicted

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.EXECUTABLE is None, reason="there is no Chromium to open the page in"),
]
LONG_MS = 240_000  # for commands that import torch on a machine with other work
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def place(tmp_path):
    """(predictions, known cells)."""
    model, known = write_known_model(tmp_path)
    return write_predicted(tmp_path, model, 16), known


def shows(page, selector, text=""):
    found = page.locator(selector)
    api.expect(found).to_be_visible(timeout=LONG_MS)
    api.expect(found).to_contain_text(text, timeout=LONG_MS)


def label(page, count=16):
    """Half of the cells monocytes, and half neutrophils."""
    for number in range(count):
        page.keyboard.press("4" if number % 2 else "5")
        api.expect(page.locator("#progress-text")).to_contain_text(f"{number + 1} of 16 looked at")


def test_a_heat_map_by_its_key_goes_with_the_cell(serve, visit, place):
    predictions, known = place
    page = visit(serve(predictions, f"known_cells={known}").address)
    api.expect(page.locator("#heat")).to_be_hidden()
    page.keyboard.press("h")
    shows(page, "#heat figcaption", "What speaks for ")
    api.expect(page.locator("#heat-on")).to_have_attribute("aria-pressed", "true")
    assert page.locator("#heat-map").evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    assert page.locator("#known img").count() == 3
    first = page.locator("#heat-map").get_attribute("src")
    page.keyboard.press("4")  # decisions go on, and the next cell has its own
    api.expect(page.locator("#progress-text")).to_contain_text("1 of 16 looked at")
    api.expect(page.locator("#heat-map")).not_to_have_attribute("src", first, timeout=LONG_MS)
    shows(page, "#heat figcaption", "What speaks for ")
    page.keyboard.press("h")
    api.expect(page.locator("#heat")).to_be_hidden()


def test_a_heat_map_on_a_phone_and_by_the_mouse(serve, visit, place):
    address = serve(place[0]).address
    page = visit(address, "Ben", **PHONE)
    page.locator(".lens").first.tap()
    page.locator("#heat-on").tap()
    shows(page, "#heat figcaption", "What speaks for ")
    assert page.locator("html").evaluate("page => page.scrollWidth") <= 390
    api.expect(page.locator("#known .picture").first).to_have_text("picture not found here")
    page = visit(address, "Anna")
    page.locator("#heat-on").click()
    shows(page, "#heat figcaption", "What speaks for ")


def test_without_the_model_the_button_says_so(serve, visit, place, tmp_path):
    (tmp_path / "model.ckpt").rename(tmp_path / "moved.ckpt")
    page = visit(serve(place[0]).address)
    api.expect(page.locator("#heat-on")).to_be_disabled()
    shows(page, "#heat-on", "No heat map")
    shows(page, "#no-heat", "is not at hand: there is no file")
    page.keyboard.press("h")
    shows(page, "#alert", "is not at hand")
    page.keyboard.press("s")
    shows(page, "#settling-lacking", "is not at hand")
    api.expect(page.locator("#settling-measure")).to_be_hidden()


def test_settled_into_the_lab_by_keys(serve, visit, place):
    predictions, _ = place
    table = predictions / "predictions.csv"
    before = hashlib.sha256(table.read_bytes()).hexdigest()
    page = visit(serve(predictions).address)
    page.keyboard.press("s")
    shows(page, "#settling-lacking", "0 labelled cells are too few to settle by")
    page.keyboard.press("Escape")
    label(page)
    page.keyboard.press("s")
    shows(page, "#settling-used", "Monocyte 8, Neutrophil 8")
    page.locator("#settling-measure").focus()
    page.keyboard.press("Enter")
    shows(page, "#settling-said", "Refitting and measuring, begun by Anna")
    api.expect(page.locator("#settling-measure")).to_be_hidden()
    shows(page, "#settling-gain", "Macro F1")
    shows(page, "#settling-cautions", "Few labelled cells: Basophil 0")
    settled = predictions / "review" / "settled_1"
    assert not (settled / "predictions").exists()
    page.locator("#settling-use").focus()
    page.keyboard.press("Enter")
    shows(page, "#settling-changed", "of 16 have another name than before")
    shows(page, "#settling-open", f"wbc review predictions={settled / 'predictions'}")
    assert (settled / "predictions" / "differential.json").is_file()
    assert hashlib.sha256(table.read_bytes()).hexdigest() == before
    page.keyboard.press("Escape")
    api.expect(page.locator("#progress-text")).to_contain_text("16 of 16 looked at")
    again = visit(serve(settled / "predictions").address, "Eva")
    api.expect(again.locator("#where")).to_contain_text("1 to 16 of 16 cells")


def test_cancelled_on_a_phone_while_another_asks_too(serve, visit, place):
    predictions, _ = place
    address = serve(predictions).address
    anna = visit(address)
    label(anna)
    ben = visit(address, "Ben", **PHONE)
    for page in (anna, ben):
        page.locator("#settle").click()
        api.expect(page.locator("#settling-measure")).to_be_visible()
    anna.locator("#settling-measure").click()
    shows(anna, "#settling-said", "begun by Anna")
    ben.locator("#settling-measure").tap()  # it still shows what was there before
    shows(ben, "#settling-failed", "Anna began measuring at ")
    shows(ben, "#settling-said", "begun by Anna")
    assert ben.locator("html").evaluate("page => page.scrollWidth") <= 390
    box = ben.locator("#settling").bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= 390
    ben.locator("#settling-cancel").tap()
    api.expect(ben.locator("#settling-running")).to_be_hidden(timeout=LONG_MS)
    api.expect(anna.locator("#settling-running")).to_be_hidden(timeout=LONG_MS)
    assert not (predictions / "review" / "settled_1").exists()
    ben.problems[:] = [said for said in ben.problems if "409" not in said]  # the browser's own remark


@pytest.mark.parametrize("wait_s", [1, 5, 9, 13])
def test_a_killed_server_leaves_nothing_half_written_and_no_decision_is_lost(
    serve,
    visit,
    place,
    wait_s,
):
    predictions, _ = place
    server = serve(predictions)
    page = visit(server.address)
    label(page)
    page.keyboard.press("s")
    page.locator("#settling-measure").click()
    shows(page, "#settling-said", "begun by Anna")
    time.sleep(wait_s)
    server.command.send(signal.SIGKILL)
    settled = predictions / "review" / "settled_1"
    deadline = time.monotonic() + 60
    while settled.exists() and not (settled / "adapted" / "model.ckpt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kept = sqlite3.connect(predictions / "review" / "decisions.sqlite")
    assert kept.execute("SELECT count(*) FROM decisions").fetchone() == (16,)
    page = visit(serve(predictions).address, "Ben")
    page.keyboard.press("s")
    shows(page, "#settling-used", "16 cells")
    page.problems[:] = [said for said in page.problems if "ERR_" not in said]  # the browser's own remark
