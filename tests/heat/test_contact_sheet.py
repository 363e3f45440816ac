"""Contact sheets: which images are in them, what is said of each, and that they are sharp in print."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers.explained_images import IMAGE, LONG, RIGHT, WRONG, spot
from wbc.heat.contact_sheet import ContactSheet
from wbc.heat.panels import Decision


def sheet(decisions, **options) -> ContactSheet:
    made = ContactSheet("TestA", "Grad-CAM", **options)
    for decision in decisions:
        made.add(decision, lambda: (IMAGE, spot(9, 9)))
    return made


def test_a_sheet_groups_by_true_class_errors_first_and_counts_all(written):
    stream = [RIGHT] * 5 + [WRONG] + [Decision("Basophil", 0.7, "Monocyte")] + [Decision("Eosinophil", 0.6)]
    sheet(stream, each=3).draw()
    assert written[2:] == [
        "true class Lymphocyte: 1 of 1, 1 wrong",
        "✗ Monocyte 90.0 %",
        "true class Monocyte: 3 of 6, 1 wrong",
        "✗ Basophil 70.0 %",
        "Monocyte 90.0 %",
        "Monocyte 90.0 %",
        "true class not known, predicted Eosinophil: 1 of 1",
        "Eosinophil 60.0 %",
    ]


def test_a_sheet_keeps_few_thumbnails_however_many_images_come():
    few, many = sheet([RIGHT] * 8), sheet([RIGHT] * 800)
    assert few.draw().shape == many.draw().shape
    assert sum(len(thumbs) for group in many._groups.values() for thumbs in group.kept.values()) == 8


def test_a_sheet_says_which_class_the_heat_is_for_and_where_there_is_none(written):
    made = sheet([Decision("Monocyte", 0.5, "Monocyte", "Basophil")])
    made.add(RIGHT, lambda: (IMAGE, np.zeros((40, 40), np.float32)))
    made.draw()
    assert written.count("heat for Basophil") == 1
    assert written.count("no positive\nheat") == 1


def test_long_names_keep_inside_their_column_of_the_sheet():
    drawn = sheet([Decision(LONG, 0.5, LONG, f"{LONG} 2")] * 8).draw()
    for gap in range(30, drawn.shape[1], 2 * 240 + 5 + 30):
        assert (drawn[-100:, gap - 22 : gap - 9] == 255).all()


def test_heat_is_asked_for_only_where_it_may_be_shown():
    made, looks = ContactSheet("TestA", "Grad-CAM", each=2), []
    for number in range(9):
        made.add(RIGHT, lambda number=number: looks.append(number) or (IMAGE, spot(9, 9)))
    assert looks == [0, 1]


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="empty"):
        ContactSheet("TestA", "Grad-CAM").draw()


def test_a_sheet_is_as_wide_as_a_page_of_a4_at_300_dots_per_inch(tmp_path):
    made = sheet([RIGHT, WRONG])
    made.write(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert np.array_equal(np.asarray(image), made.draw())
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert 170 < image.width / 300 * 25.4 < 180  # mm
