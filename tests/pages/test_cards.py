"""Cards: all that is said of a cell stands beneath its picture."""

import numpy as np

from tests.helpers.html_checks import Elements
from wbc.pages.cards import Card, card_grid
from wbc.pages.html import picture

PICTURE = picture(np.zeros((4, 4, 3), np.uint8), "a cell")


def test_each_card_holds_its_picture_name_and_lines_and_marks_what_is_set_off():
    cards = [
        Card(
            PICTURE,
            "Monocyte/1.png",
            "/d/Monocyte/1.png",
            ["Basophil 90.0 %", "true class Monocyte"],
            "wrong",
        ),
        Card(PICTURE, "2.png", "/d/2.png", ["Monocyte 80.0 %"]),
    ]
    parsed = Elements(card_grid(cards))
    assert parsed.text("h3") == ["Monocyte/1.png", "2.png"]
    assert [one["title"] for one in parsed.all("h3")] == ["/d/Monocyte/1.png", "/d/2.png"]
    assert parsed.text("p") == ["Basophil 90.0 %", "true class Monocyte", "Monocyte 80.0 %"]
    assert parsed.text("strong") == ["wrong"]
    assert [one["class"] for one in parsed.all("article")] == ["card marked", "card"]
    assert len(parsed.all("img")) == 2


def test_square_pictures_take_smaller_cards():
    card = Card(PICTURE, "1.png", "1.png", [])
    kinds = [Elements(card_grid([card], small)).all("div")[0]["class"] for small in (False, True)]
    assert kinds == ["cards", "cards small"]
