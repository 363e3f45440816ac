"""Which known cells an answer is like, what they are called, and what of a file is refused."""

import numpy as np
import pytest

from tests.helpers.fitted_words import CLASSES, fitted_words
from wbc.plain.answers import joined, no_answers, with_unreadable
from wbc.plain.known_cells import KnownCells

# At unit length, by their angle in degrees to the first axis.
ANGLES = np.array([0, 10, 20, 30, 60, 80])
LABELS = np.array([0, 0, 0, 0, 1, 1])
VALUES = np.array([[0, 0], [1, -1], [-1, -1], [0, 2], [1, 1], [0, 0]])


def at(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def known(values=VALUES) -> KnownCells:
    return KnownCells(tuple(f"{angle}.png" for angle in ANGLES), LABELS, values)


def test_the_nearest_three_of_the_class_come_first_and_one_of_the_next():
    probabilities = np.array([[0.7, 0.1, 0.2], [0.2, 0.7, 0.1]])
    first, second = known().nearest(at(*ANGLES), 5 * at(12, 12), probabilities, CLASSES, fitted_words())
    assert [cell.name for cell in first.alike] == ["10.png", "20.png", "0.png"]
    assert [cell.distance for cell in first.alike] == pytest.approx(
        [2 * np.sin(np.radians(apart) / 2) for apart in (2, 8, 12)], abs=1e-3
    )
    assert first.other.name == "60.png", "of the third class, which is more probable, no cell is known"
    assert first.other.label == "Monocyte"
    assert first.alike[0].words == (("granules", "red"),), "what is not named is left out"
    assert first.alike[1].words == ()
    assert [cell.name for cell in second.alike] == ["60.png", "80.png"], "as many as there are"
    assert second.other.name == "10.png"


def test_a_class_without_known_cells_is_like_none_and_words_need_those_of_the_model():
    (like,) = known(None).nearest(at(*ANGLES), at(0), np.array([[0.1, 0.0, 0.9]]), CLASSES, fitted_words())
    assert like.alike == ()
    assert like.other.name == "0.png"
    (like,) = known().nearest(at(*ANGLES), at(0), np.array([[0.9, 0.1, 0.0]]), CLASSES)
    assert like.alike[0].words == ()
    one = KnownCells(("0.png",), np.array([0]))
    (like,) = one.nearest(at(0), at(0), np.array([[0.9, 0.1, 0.0]]), CLASSES)
    assert like.other is None


def test_a_state_gives_the_same_and_what_is_damaged_is_refused():
    state = known().state()
    same = KnownCells.from_state(state, 6, 3, fitted_words())
    assert same.names == known().names
    np.testing.assert_array_equal(same.values, VALUES)
    assert KnownCells.from_state(known(None).state(), 6, 3, None).values is None
    for damage, complaint in (
        ({"names": ["a"] * 5}, "5 names and 6 labels of 6"),
        ({"labels": LABELS[:5]}, "5 labels|of 6 cells"),
        ({"labels": LABELS + 2}, "no classes"),
        ({"labels": LABELS.astype(float)}, "no classes"),
        ({"values": VALUES[:, :1]}, "values"),
        ({"values": VALUES + 2}, "values"),
        *(({"names": [name, *"bcdef"]}, "below a folder") for name in ("", 3, "/etc/x", "a/../../x")),
    ):
        with pytest.raises(ValueError, match=complaint):
            KnownCells.from_state(state | damage, 6, 3, fitted_words())
    with pytest.raises(ValueError, match="values"):
        KnownCells.from_state(state, 6, 3, None)
    with pytest.raises(ValueError, match="of 0 cells"):
        KnownCells.from_state(state, 0, 3, fitted_words())


def test_answers_keep_their_places_where_an_image_cannot_be_read():
    (like,) = known().nearest(at(*ANGLES), at(0), np.array([[0.9, 0.1, 0.0]]), CLASSES)
    one = no_answers(3)._replace(
        labels=["Eosinophil"],
        probabilities=np.array([[0.9, 0.1, 0.0]], np.float32),
        sets=[["Eosinophil"]],
        status=["answered"],
        scores=np.zeros(1),
        cell_found=[None],
        like_these=[like],
    )
    both = joined([with_unreadable(one, ["", "damaged"]), one])
    assert both.like_these == [like, None, like]
