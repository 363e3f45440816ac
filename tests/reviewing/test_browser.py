"""The page in a real browser: keys, mouse, a phone, many cells, two people, and a server that is killed."""

import csv
import sqlite3
import time

import numpy as np
import pytest

from tests.helpers import browser
from tests.helpers.drawn_fields import field
from tests.helpers.reviewed import answers, write_crops, write_photographs
from tests.helpers.trees import write_image
from wbc.labels import CLASSES
from wbc.plain.prediction_rows import columns, prediction_rows

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.EXECUTABLE is None, reason="there is no Chromium to open the page in"),
]
NASTY = "<img src=x onerror=alert(1)>'\"&{}.png"


def decided(folder, reviewer="Anna"):
    """Cell -> what the reviewer last said of it, as the file has it."""
    rows = sqlite3.connect(folder / "review" / "decisions.sqlite").execute(
        "SELECT cell, after FROM decisions WHERE reviewer = ? ORDER BY number", (reviewer,)
    )
    return {cell: after for cell, after in dict(rows.fetchall()).items() if after}


def shown(page):
    """The cells of the page, in their order."""
    return [int(tile.get_attribute("data-cell")) for tile in page.locator(".tile").all()]


def waits_for(page, text, selector="#progress-text"):
    api.expect(page.locator(selector)).to_contain_text(text)


def test_by_keys_alone(serve, visit, tmp_path):
    write_crops(tmp_path, 70)
    page = visit(serve(tmp_path).address)
    cells = shown(page)
    assert len(cells) == 60
    for key, count in (("3", 1), ("Enter", 2), ("a", 3), ("u", 4)):
        page.keyboard.press(key)
        waits_for(page, f"{count} of 70 looked at")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    waits_for(page, "2 chosen", "#chosen")
    page.keyboard.press("1")
    waits_for(page, "6 of 70 looked at")
    own = decided(tmp_path)
    assert [own[cell] for cell in cells[:4:3]] == ["Lymphocyte", "(unknown)"]
    assert own[cells[2]] == "(artefact)"
    assert [own[cell] for cell in cells[5:7]] == ["Basophil"] * 2
    page.keyboard.press("z")  # both at once
    waits_for(page, "4 of 70 looked at")
    page.keyboard.press("Control+z")
    waits_for(page, "3 of 70 looked at")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Escape", "ArrowLeft", "?"):
        page.keyboard.press(key)
    api.expect(page.locator("#helping")).to_be_visible()
    page.keyboard.press("5")  # keys of the page rest while the help is open
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+Enter")  # the rest of the page, and on to the next
    waits_for(page, "60 of 70 looked at")
    waits_for(page, "1 to 10 of 10 cells", "#where")
    page.locator("input[name=name]").press("3")  # digits there are no decisions
    page.wait_for_timeout(600)
    page.keyboard.press("9")  # cells that came meanwhile have not taken the focus
    page.wait_for_timeout(600)
    assert page.locator("input[name=name]").input_value() == "39"
    assert len(decided(tmp_path)) == 60
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("z")  # the whole page was one step
    waits_for(page, "3 of 70 looked at")


def test_by_the_mouse_alone(serve, visit, tmp_path):
    write_crops(tmp_path, 20)
    page = visit(serve(tmp_path).address)
    tiles, cells = page.locator(".tile"), shown(page)
    tiles.nth(1).click()
    tiles.nth(3).click(modifiers=["Control"])
    tiles.nth(5).click(modifiers=["Shift"])
    waits_for(page, "3 chosen", "#chosen")
    tiles.nth(1).click(modifiers=["Control"])
    page.locator("#buttons button", has_text="Neutrophil").click()
    waits_for(page, "4 of 20 looked at")
    assert sorted(decided(tmp_path)) == sorted([cells[1], *cells[3:6]])
    assert set(decided(tmp_path).values()) == {"Neutrophil"}
    tiles.nth(8).hover()
    tiles.nth(8).locator(".pick").click()
    waits_for(page, "1 chosen", "#chosen")
    page.locator("#buttons button", has_text="Artefact").click()
    waits_for(page, "1 artefact")
    page.locator("#buttons button", has_text="Undo").click()
    waits_for(page, "4 of 20 looked at")
    page.select_option("select[name=show]", "seen")
    waits_for(page, "1 to 4 of 4 cells", "#where")
    page.select_option("select[name=show]", "open")
    waits_for(page, "1 to 16 of 16 cells", "#where")
    page.click("#rest")
    waits_for(page, "20 of 20 looked at")
    page.select_option("select[name=show]", "all")
    waits_for(page, "1 to 20 of 20 cells", "#where")
    page.click("#export")
    api.expect(page.locator("#exported")).to_be_visible()
    with page.context.expect_page() as report:
        page.click("#to-report")
    report.value.wait_for_load_state()
    assert "a person looked at every one of them" in report.value.text_content("main")
    assert report.value.pdf(format="A4")[:5] == b"%PDF-"
    assert (tmp_path / "review" / "labelled.csv").read_text().count("\n") == 21


def test_cells_of_a_photograph_are_chosen_by_their_boxes(serve, visit, tmp_path):
    write_photographs(tmp_path)
    page = visit(serve(tmp_path).address)
    page.select_option("select[name=order]", "file")
    api.expect(page.locator("#photograph button")).to_have_count(2)
    page.locator("#photograph button").nth(1).click()
    api.expect(page.locator("#photograph button").nth(1)).to_have_class("here")
    page.keyboard.press("4")
    waits_for(page, "1 of 3 looked at")
    assert decided(tmp_path) == {1: "Monocyte"}


def test_on_a_phone(serve, visit, tmp_path):
    write_photographs(tmp_path)
    page = visit(
        serve(tmp_path).address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    assert page.locator("html").evaluate("page => page.scrollWidth") <= 390
    for button in page.locator("#buttons button").all():
        box = button.bounding_box()
        assert box["height"] >= 32
        assert 0 <= box["x"] < box["x"] + box["width"] <= 390
    cells = shown(page)
    page.locator(".tile").nth(0).tap()
    page.locator(".tile").nth(1).tap()
    waits_for(page, "2 chosen", "#chosen")
    page.locator("#buttons button", has_text="Eosinophil").tap()
    waits_for(page, "2 of 3 looked at")
    assert decided(tmp_path) == dict.fromkeys(cells[:2], "Eosinophil")
    page.locator(".lens").nth(2).tap()
    api.expect(page.locator("#look")).to_be_visible()
    api.expect(page.locator("#photograph img")).to_be_visible()
    page.locator("#buttons button", has_text="Confirm").tap()
    waits_for(page, "3 of 3 looked at")
    page.locator("#close").tap()
    api.expect(page.locator("#look")).to_be_hidden()


def write_many(folder, count):
    """So many cells in forty photographs."""
    photographs = [str(write_image(folder / f"{number}.png", field([], seed=number))) for number in range(40)]
    rng = np.random.default_rng(0)
    corners = zip(rng.integers(0, 400, count), rng.integers(0, 280, count), strict=True)
    paths = [f"{photographs[cell * 40 // count]}#xywh={x},{y},64,64" for cell, (x, y) in enumerate(corners)]
    with (folder / "predictions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns(CLASSES))
        rows.writerows(prediction_rows(answers(count), paths))


def test_fifty_thousand_cells(serve, visit, tmp_path):
    write_many(tmp_path, 50_000)
    page = visit(serve(tmp_path).address)
    waits_for(page, "1 to 60 of 50,000 cells", "#where")
    assert page.locator(".tile").count() == 60  # and no more
    began = time.monotonic()
    for number in range(1, 6):
        page.keyboard.press("n")
        waits_for(page, f"{60 * number + 1} to {60 * number + 60} of 50,000 cells", "#where")
    assert time.monotonic() - began < 15
    page.locator("input[name=name]").fill("39.png")
    waits_for(page, "of 1,250 cells", "#where")
    began = time.monotonic()
    page.keyboard.press("Escape")
    page.locator(".tile").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("2")
    waits_for(page, "60 of 50,000 looked at")
    assert time.monotonic() - began < 10
    page.click("#export")
    api.expect(page.locator("#exported")).to_be_visible(timeout=60_000)


def test_two_people_at_once(serve, visit, tmp_path):
    write_crops(tmp_path, 30)
    address = serve(tmp_path).address
    anna, ben = visit(address, "Anna"), visit(address, "Ben")
    for count in range(1, 9):
        anna.keyboard.press("2")
        ben.keyboard.press("2" if count > 2 else "3")
        waits_for(anna, f"{count} of 30 looked at")
        waits_for(ben, f"{count} of 30 looked at")
    assert set(decided(tmp_path).values()) == {"Eosinophil"}
    assert sorted(decided(tmp_path, "Ben").values()) == ["Eosinophil"] * 6 + ["Lymphocyte"] * 2
    anna.reload()
    waits_for(anna, "6 of 8 alike (75.0\u00a0%)", "#agreement")
    anna.select_option("select[name=show]", "split")
    waits_for(anna, "1 to 2 of 2 cells", "#where")
    waits_for(anna, "Ben: Lymphocyte", "#grid")


def test_names_of_files_are_shown_as_text(serve, visit, tmp_path):
    write_crops(tmp_path, 6, names=NASTY)
    page = visit(serve(tmp_path).address)
    page.wait_for_timeout(500)
    waits_for(page, "<img src=x onerror=alert(1)>'\"&", "#look-file")
    assert page.locator(".tile img").count() == 6  # pictures of cells, and no other
    page.click("#export")
    api.expect(page.locator("#exported")).to_be_visible()
    page.goto(page.url + "exports/report.html")
    assert page.locator("img[src=x]").count() == 0


def test_what_has_no_picture_is_not_confirmed_unseen(serve, visit, tmp_path):
    write_crops(tmp_path, 12)
    for number in (3, 6):
        (tmp_path / "cells" / "b" / f"{number}.png").unlink()
    page = visit(serve(tmp_path).address, complete=False)
    waits_for(page, "No picture: No such file", ".tile[data-cell='3']")
    api.expect(page.locator(".tile:not(.shown)")).to_have_count(2)
    page.keyboard.press("Shift+Enter")
    waits_for(page, "10 of 12 looked at")
    waits_for(page, "Not confirmed, for there is no picture: 2 cells.", "#alert")
    page.locator(".tile[data-cell='3']").click()
    page.keyboard.press("Enter")
    waits_for(page, "no picture: 1 cell.", "#alert")
    page.keyboard.press("a")  # who knows the cell otherwise can say what it is
    waits_for(page, "11 of 12 looked at")
    assert set(range(12)) - set(decided(tmp_path)) == {6}
    page.problems[:] = [said for said in page.problems if "404" not in said]  # the browser's own remark


def test_elsewhere_the_link_opens_the_page_and_the_token_stays_out_of_its_address(serve, visit, tmp_path):
    write_crops(tmp_path, 6)
    server = serve(tmp_path, "host=0.0.0.0")
    port, token = server.address.split(":")[2].split("/")
    page = visit(f"http://127.0.0.1:{port}/{token}")
    assert page.url == f"http://127.0.0.1:{port}/"
    page.keyboard.press("2")
    waits_for(page, "1 of 6 looked at")


def test_a_server_that_is_gone_is_told_and_the_page_goes_on_with_the_next(serve, visit, tmp_path):
    write_crops(tmp_path, 12)
    server = serve(tmp_path)
    page = visit(server.address)
    page.keyboard.press("2")
    waits_for(page, "1 of 12 looked at")
    port = server.address.split(":")[2].strip("/")
    server.kill()
    page.keyboard.press("2")
    waits_for(page, "The server does not answer: nothing was kept", "#alert")
    assert page.locator(".tile.decided, .tile.changed").count() == 1
    serve(tmp_path, f"port={port}")
    page.keyboard.press("2")
    waits_for(page, "2 of 12 looked at")
    api.expect(page.locator("#alert")).to_be_hidden()
    page.problems[:] = [said for said in page.problems if "ERR_" not in said]  # the browser's own remark
