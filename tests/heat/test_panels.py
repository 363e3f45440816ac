"""Panels: what is drawn where, what is said of empty maps, and that names fit."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from tests.helpers.explained_images import IMAGE, LONG, RIGHT, WRONG, spot
from wbc.heat.known_strip import SIDE, KnownStrip, ShownCell, strip_height
from wbc.heat.lettering import font, wrapped
from wbc.heat.panels import GAP, REASONS, TILE, TOP, Decision, panel, write_picture
from wbc.plain.words import Reasons


def tile(drawn: np.ndarray, index: int) -> np.ndarray:
    left, top = 8 + index * 232, drawn.shape[0] - 8 - 224
    return drawn[top : top + 224, left : left + 224].astype(int)


def colourfulness(pixels: np.ndarray) -> np.ndarray:
    return pixels.max(axis=-1) - pixels.min(axis=-1)


def test_a_panel_holds_the_image_and_its_heat_where_it_is():
    drawn = panel(IMAGE, {"Grad-CAM": spot(10, 30), "other": spot(30, 10)}, RIGHT)
    assert drawn.dtype == np.uint8
    large = np.asarray(Image.fromarray(IMAGE).resize((224, 224), Image.Resampling.BILINEAR), int)
    assert np.abs(tile(drawn, 0) - large).mean() < 2
    for index, (row, column) in {1: (10, 30), 2: (30, 10)}.items():
        colour = colourfulness(tile(drawn, index)).astype(float)
        hottest = np.unravel_index(colour.argmax(), colour.shape)
        assert np.abs(np.array(hottest) - (np.array([row, column]) + 0.5) * 5.6).max() < 12
        assert colourfulness(tile(drawn, index))[-30:, -30:].max() <= 2, "the image is grey without heat"


def test_the_strength_of_a_map_does_not_matter_only_its_shape():
    weak, strong = (panel(IMAGE, {"a": factor * spot(20, 20)}, RIGHT) for factor in (1e-20, 1e20))
    assert np.abs(weak.astype(int) - strong).max() <= 2


def test_the_size_of_a_panel_depends_on_the_number_of_maps_alone():
    small = panel(IMAGE, {"a": spot(3, 3), "b": "no memory"}, WRONG)
    large = panel(
        np.zeros((480, 480, 3), np.uint8),
        {"a": spot(3, 3, 480), "b": spot(9, 9, 480)},
        Decision(LONG, 0.4, target="B"),
    )
    assert small.shape == large.shape


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (np.zeros((40, 40), np.float32), "no positive heat"),
        (np.full((40, 40), np.nan, np.float32), "failed: the heat is not finite"),
        (np.where(spot(20, 20) == 1, np.inf, 0).astype(np.float32), "failed: the heat is not finite"),
        ("out of memory", "failed: out of memory"),
    ],
)
def test_a_map_with_nothing_to_see_says_so_over_the_dimmed_image(written, heat, message):
    drawn = panel(IMAGE, {"Grad-CAM": spot(20, 20), "Score-CAM": heat}, RIGHT)
    assert [text.replace("\n", " ") for text in written if "heat" in text or "failed" in text] == [message]
    empty = tile(drawn, 2)
    assert empty[:80].min() > 170, "dimmed"
    assert empty[:80].std() > 5, "yet the cell is still seen"
    assert empty[90:130].min() < 60, "and the message stands in the middle"
    assert tile(drawn, 1)[:80].min() < 60


def test_a_panel_names_the_decision_and_marks_a_wrong_one_in_words_and_by_a_frame(written):
    right, wrong = panel(IMAGE, {"a": spot(9, 9)}, RIGHT), panel(IMAGE, {"a": spot(9, 9)}, WRONG)
    assert written[:4] == ["RIGHT", "predicted Monocyte  90.0 %", "true class Monocyte", "image"]
    assert "WRONG" in written
    assert "true class Lymphocyte" in written
    for drawn, brightness in ((right, 255), (wrong, 0)):
        edges = [drawn[:3, :, 2], drawn[-3:, :, 2], drawn[:, :3, 2], drawn[:, -3:, 2]]
        assert all((edge == brightness).all() for edge in edges)


def test_an_unknown_true_class_is_neither_right_nor_wrong_and_another_target_is_named(written):
    panel(IMAGE, {"a": spot(9, 9)}, Decision("Monocyte", 0.9, target="Monocyte"))
    assert written[:2] == ["predicted Monocyte  90.0 %", "true class not known"]
    written.clear()
    panel(IMAGE, {"a": spot(9, 9)}, Decision("Monocyte", 0.9, target="Basophil"))
    assert written[1] == "true class not known   ·   heat shown for Basophil"


@pytest.mark.parametrize(
    ("probability", "text"), [(1.0, "100.0 %"), (0.99951, ">99.9 %"), (0.9994, "99.9 %"), (0.2, "20.0 %")]
)
def test_a_probability_is_not_rounded_to_certainty(probability, text):
    assert Decision("Monocyte", probability).percent == text


def test_names_of_any_length_stay_in_their_place(written):
    decision = Decision(LONG, 0.612, f"{LONG} 2", f"{LONG} 3")
    drawn = panel(IMAGE, {LONG: spot(9, 9), f"{LONG} 2": "W" * 500}, decision)
    assert any(text.endswith("form  61.2 %") for text in written), "the end of a name tells classes apart"
    assert any("heat shown for Imm" in text and text.endswith("3") for text in written)
    title, headings = drawn[4:48], drawn[52:70]
    assert (title[:, -8:-4] == 255).all(), "nothing runs out at the right"
    for left in (232, 464):
        assert (headings[:, left + 1 : left + 7] == 255).all(), "headings keep apart"
    assert (tile(drawn, 2)[:, :3] > 170).all(), "the message stays inside"


def test_reasons_stand_below_the_pictures_and_move_none_of_them(written):
    said = Reasons(", ".join(f"nucleus shape: {LONG} (0.9{n})" for n in range(4)), "", "Basophil (0.51)")
    plain = panel(IMAGE, {"a": spot(9, 9)}, RIGHT)
    written.clear()
    drawn = panel(IMAGE, {"a": spot(9, 9)}, replace(RIGHT, reasons=said))
    assert drawn.shape[0] == plain.shape[0] + REASONS
    np.testing.assert_array_equal(drawn[: len(plain) - GAP], plain[:-GAP])
    assert written[-7] == "for: ", "and its words in two lines"
    assert written[-4:] == ["against: ", "none", "words alone: ", "Basophil (0.51)"]
    assert (drawn[len(plain) :, -6:] == 255).all(), "nothing runs out at the right"


def test_lines_break_behind_commas_and_the_last_gives_way():
    letters = font(11)
    width = letters.getlength("granules: red (0.99), size")
    assert wrapped("granules: red (0.99), size: big", letters, width, 2) == [
        "granules: red (0.99),",
        "size: big",
    ]
    (line,) = wrapped("granules: red (0.99), size: big", letters, width, 1)
    assert "…" in line
    assert letters.getlength(line) <= width
    assert wrapped("one", letters, width, 2) == ["one"]


def test_line_breaks_in_a_name_do_not_make_lines(written):
    panel(IMAGE, {"a": spot(9, 9)}, Decision("two\nlines", 0.5))
    assert "predicted two lines  50.0 %" in written


@pytest.mark.parametrize(
    ("image", "maps", "message"),
    [
        (IMAGE, {}, "at least one map"),
        (IMAGE[..., 0], {"a": spot(9, 9)}, r"uint8 \(40, 40\)"),
        (IMAGE / 255, {"a": spot(9, 9)}, "float64"),
        (IMAGE, {"a": spot(9, 9, 20)}, r"a: the map is \(20, 20\) over an image of \(40, 40\)"),
        (IMAGE, {"a": spot(9, 9) - 0.5}, r"a: negative heat \(-0.5\)"),
    ],
)
def test_what_is_no_explained_image_is_refused(image, maps, message):
    with pytest.raises(ValueError, match=message):
        panel(image, maps, RIGHT)


def test_pictures_are_written_whole_and_without_loss(tmp_path):
    path = tmp_path / "panels" / "a.png"
    write_picture(path, IMAGE)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), IMAGE)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["panels", "a.png"]


def test_the_page_cuts_a_card_out_of_the_panel_where_the_pictures_are():
    style = (resources.files("wbc.pages") / "templates" / "page.css").read_text()
    height = TOP + TILE + GAP
    for length in (2 * TILE + GAP, f"({height} + var(--reasons) + var(--known))", -TOP, -GAP):
        assert f"calc({length} / {TILE} * var(--tile))" in style
    assert panel(IMAGE, {"a": spot(9, 9)}, RIGHT).shape[0] == height
    for name, more in (
        ("with-reasons", f"--reasons: {REASONS}"),
        ("with-known", f"--known: {strip_height(with_words=False)}"),
        ("with-known-words", f"--known: {strip_height(with_words=True)}"),
    ):
        assert f".panel.{name} {{ {more}; }}" in style


def shown(name: str, words=()) -> ShownCell:
    return ShownCell(np.full((SIDE, SIDE, 3), 99, np.uint8), (name, "Monocyte, 0.21"), words)


@pytest.mark.parametrize("with_words", [False, True])
@pytest.mark.parametrize("reasons", [None, Reasons("a", "b", "c")])
def test_known_cells_stand_below_everything_and_move_nothing(written, with_words, reasons):
    decision = replace(RIGHT, reasons=reasons)
    plain = panel(IMAGE, {"a": spot(9, 9)}, decision)
    words = [(LONG, str(number)) for number in range(5)] if with_words else []
    other = ShownCell("picture not found here", ("far.png", "Basophil, 0.90"), words)
    strip = KnownStrip(("like these", LONG), [shown(LONG, words)] * 3, other, with_words)
    written.clear()
    drawn = panel(IMAGE, {"a": spot(9, 9)}, decision, strip)
    assert drawn.shape == (len(plain) + strip_height(with_words), *plain.shape[1:])
    np.testing.assert_array_equal(drawn[: len(plain) - GAP], plain[:-GAP])
    assert "picture not found" in " ".join(" ".join(written).split()), "a picture that has gone is told"
    assert "far.png" in written
    assert sum(text.endswith(": 3") for text in written) == (4 if with_words else 0), "four words each"
    assert not any(text.endswith(": 4") for text in written)
    assert (drawn[len(plain) :, -6:] == 255).all(), "nothing runs out at the right"
    assert (drawn[-5:] == 255).all(), "nor below"


def test_without_a_known_cell_of_another_class_nothing_stands_in_its_place(written):
    strip = KnownStrip(("like these", "next class"), [shown("a.png")], None, False)
    drawn = panel(IMAGE, {"a": spot(9, 9)}, RIGHT, strip)
    assert (drawn[-strip.height :, -130:] == 255).all()


def test_a_long_value_stands_without_its_attribute(written):
    words = [
        ("nucleus shape", "segmented-bilobed"),
        ("granule colour", "purple"),
        ("id", "unsegmented-round"),
    ]
    strip = KnownStrip(("like these", "next class"), [shown("a.png", words)], None, True)
    panel(IMAGE, {"a": spot(9, 9)}, RIGHT, strip)
    assert "segmented-bilobed" in written
    assert any(text.startswith("gran") and text.endswith(": purple") for text in written)
