"""Pages of HTML: nothing asked for from outside, everything foreign escaped, tables and pictures as meant."""

import base64
import hashlib

import numpy as np
import pytest
from PIL import Image

from tests.helpers.html_checks import NASTY, Elements, decoded, requests
from wbc.errors import DataError
from wbc.pages.cards import Card, card_grid
from wbc.pages.html import Section, heading, picture, side_by_side, table, write_page

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def written(tmp_path):
    """Writes a page and returns its text."""

    def write(title: str, sections: list[Section], **options) -> str:
        write_page(tmp_path / "page.html", title, sections, **options)
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return write


@pytest.fixture
def whole_page(written) -> str:
    parts = ["Measured on TestA.", picture(IMAGE, "noise"), table(["a", "b"], [["x", 1]], "one row")]
    return written("Results", [Section("Tables", parts), Section("Card", ["of the model"])])


def embedded(source, photograph: bool) -> str:
    (image,) = Elements(picture(source, "", photograph)).all("img")
    return image["src"]


def test_a_page_is_whole_and_asks_for_nothing_from_outside(whole_page):
    text = whole_page
    parsed = Elements(text)
    assert text.startswith("<!doctype html>")
    assert parsed.all("html") == [{"lang": "en"}]
    assert parsed.text("title") == parsed.text("h1") == ["Results"]
    assert parsed.text("h2") == ["Tables", "Card"]
    assert parsed.text("p") == ["Measured on TestA.", "of the model"]
    assert requests(text) == []


def test_requests_are_seen():
    assert requests('<a href="https://a.b">c</a><img src="x.png"><style>a{b: url(c)}</style>') == [
        "https://a.b",
        "x.png",
        "url(",
    ]


def test_the_policy_allows_embedded_pictures_and_this_style_and_nothing_else(whole_page):
    parsed = Elements(whole_page)
    (policy,) = (meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    (style,) = (text for inside, text in parsed.texts if inside == "style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy


def test_plain_text_is_escaped_wherever_it_stands(written):
    card = Card(picture(IMAGE, NASTY), NASTY, NASTY, [NASTY], NASTY)
    parts = [
        NASTY,
        picture(IMAGE, NASTY),
        table([NASTY], [[NASTY]], NASTY),
        heading(NASTY),
        card_grid([card]),
    ]
    parsed = Elements(written(NASTY, [Section(NASTY, parts)], contents=True))
    assert parsed.all("script") == []
    for tag in ("title", "h1", "h2", "h3", "p", "th", "caption", "strong", "a"):
        assert NASTY in parsed.text(tag)
    assert parsed.all("img")[0]["alt"] == NASTY


def test_numbers_lean_right_with_their_header_and_rows_are_named():
    text = table(["method", "images", "AUC"], [["Grad-CAM", 1000, "97.8 %"], ["LIME", "20", "–"]], "Measures")
    parsed = Elements(text)
    number = {"class": "number"}
    assert parsed.all("td") == [number] * 4
    assert parsed.all("th") == [
        {"scope": "col"},
        {"scope": "col"} | number,
        {"scope": "col"} | number,
        {"scope": "row"},
        {"scope": "row"},
    ]
    assert parsed.text("caption") == ["Measures"]
    assert parsed.text("td") == ["1000", "97.8 %", "20", "–"]


@pytest.mark.parametrize("cell", ["98.4 % [97.1, 99.2]", "0.986 [-0.001, 1.000]", "<0.001", "–"])
def test_a_number_stays_one_with_its_interval(cell):
    assert table(["", "b"], [["x", cell], ["y", "1"]], "").count('class="number"') == 3


def test_a_table_of_text_or_without_rows_has_no_numbers():
    assert "number" not in table(["a", "b"], [["x", "1 of 2"], ["y", 3]], "")
    assert Elements(table(["a", "b"], [], "")).text("th") == ["a", "b"]


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="row 1 of the table has 1 cells for 2 headers"):
        table(["a", "b"], [["x", 1], ["y"]], "")


def test_figures_are_embedded_without_loss_and_photographs_as_jpeg(tmp_path):
    assert np.array_equal(np.asarray(decoded(embedded(IMAGE, photograph=False))), IMAGE)
    smooth = np.repeat(np.arange(0, 240, 8, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    photograph = decoded(embedded(smooth, photograph=True))
    assert photograph.format == "JPEG"
    assert np.abs(np.asarray(photograph, int) - smooth).max() < 12
    for suffix, kind in (("png", "PNG"), ("jpg", "JPEG")):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(IMAGE).save(path, kind, quality=30)
        same = embedded(path, photograph=kind == "JPEG")
        assert base64.b64decode(same.split(",")[1]) == path.read_bytes()
        assert decoded(embedded(str(path), photograph=kind == "PNG")).size == (30, 20)


def test_a_transparent_file_can_be_shown_as_a_photograph(tmp_path):
    Image.new("RGBA", (4, 4), (10, 200, 30, 255)).save(tmp_path / "a.png")
    assert decoded(embedded(tmp_path / "a.png", photograph=True)).mode == "RGB"


def test_a_picture_says_its_size_and_waits_until_it_is_scrolled_to():
    (image,) = Elements(picture(IMAGE, "noise")).all("img")
    assert (image["width"], image["height"], image["alt"]) == ("30", "20", "noise")
    assert (image["loading"], image["decoding"]) == ("lazy", "async")


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: cannot be shown"):
        embedded(path, photograph=False)


def test_a_page_is_written_while_its_parts_are_made_and_replaces_the_old_one_last(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    sizes = []

    def parts():
        for _ in range(3):
            yield "x" * 200_000
            sizes.append(max(entry.stat().st_size for entry in tmp_path.iterdir()))
            assert path.read_text() == "old"

    write_page(path, "Title", [Section("Long", parts())])
    assert sizes[0] >= 200_000, "written piece by piece"
    assert sizes == sorted(set(sizes))
    assert Elements(path.read_text(encoding="utf-8")).text("p") == ["x" * 200_000] * 3
    assert [*tmp_path.iterdir()] == [path]


def test_a_page_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")

    def parts():
        yield "first"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_page(path, "Title", [Section("Broken", parts())])
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_name_that_is_no_utf8_does_not_cost_the_page(tmp_path):
    write_page(tmp_path / "page.html", "caf\udce9.png", [])
    assert Elements((tmp_path / "page.html").read_text(encoding="utf-8")).text("h1") == ["caf\\udce9.png"]


def test_the_contents_stand_below_the_first_section_and_lead_to_each(written):
    sections = [Section(name, ["text"]) for name in ("Verdict", "Results", "Card")]
    text = written("Report", sections, contents=True)
    parsed = Elements(text)
    assert parsed.text("a") == ["Verdict", "Results", "Card"]
    targets = [link["href"].removeprefix("#") for link in parsed.all("a")]
    assert targets == [section["id"] for section in parsed.all("section")]
    order = [tag for tag, _ in parsed.elements if tag in ("section", "nav")]
    assert order == ["section", "nav", "section", "section"]
    assert Elements(written("Report", sections)).all("nav") == []


def test_a_part_with_nothing_in_it_leaves_nothing(written):
    parsed = Elements(written("Report", [Section("Empty", ["", side_by_side([]), card_grid([])])]))
    assert parsed.all("p") == parsed.all("div") == []


def test_of_a_table_that_a_phone_cuts_the_page_says_so():
    hints = [Elements(table(list("abcd")[:count], [], "")).text("p") for count in (2, 3)]
    assert hints == [[], ["More columns to the right: push the table sideways."]]
