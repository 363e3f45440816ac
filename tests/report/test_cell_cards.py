"""The cells on a page: which, with all that is said of each beneath it, with and without heat."""

import numpy as np
import pytest

from tests.helpers.html_checks import Elements, decoded
from tests.helpers.set_results import CLASSES, result
from tests.helpers.trees import picture, write_image
from wbc.images.prepare import Prepare
from wbc.plain.answers import ANSWERED, UNCERTAIN
from wbc.report.cell_cards import CellCards
from wbc.report.decisions import image_names

STATUS = [ANSWERED, UNCERTAIN, ANSWERED, ANSWERED]


@pytest.fixture
def sets(tmp_path):
    """Two sets of four images, the first two of each wrong."""
    made = []
    for name in ("a", "b"):
        labels, given = [CLASSES[0]] * 4, [CLASSES[1]] * 2 + [CLASSES[0]] * 2
        made.append(result(name, labels, given, [0.9, 0.8, 0.7, 0.9996], STATUS, str(tmp_path)))
        for number, path in enumerate(made[-1].of.rows["path"]):
            write_image(path, picture(number, 32))
    return made


def cards(sets, heat_of=lambda row: np.ones((8, 8), np.float32)) -> CellCards:
    return CellCards(image_names(sets), Prepare(64), heat_of, "gradcam")


def test_an_error_says_name_class_probability_status_and_set_together(sets):
    parsed = Elements(cards(sets).errors(sets))
    assert parsed.text("h3") == [f"{name}/Basophil/000{number}.png" for number in (0, 1) for name in "ab"]
    assert parsed.text("strong") == ["wrong"] * 4
    assert parsed.text("p")[:3] == ["Monocyte 90.0 %, answered", "true class Basophil", "data set a"]
    assert "Monocyte 80.0 %, uncertain" in parsed.text("p")
    assert parsed.all("h3")[0]["title"] == sets[0].of.rows["path"][0]
    image = decoded(parsed.all("img")[0]["src"])
    assert abs(image.width - 2 * image.height) <= 4, "the image and its heat"
    assert "loading" not in parsed.all("img")[0], "a printed page has them all"


def test_of_one_set_its_name_is_not_repeated(sets):
    assert not any("data set" in text for text in Elements(cards(sets[:1]).errors(sets[:1])).text("p"))


def test_without_errors_there_is_nothing(tmp_path):
    right = result("a", CLASSES, CLASSES, [0.9] * 2, [ANSWERED] * 2, str(tmp_path))
    assert cards([right]).errors([right]) == ""


def test_right_decisions_are_by_class_and_never_quite_certain(sets):
    parsed = Elements(cards(sets).right(sets[0], seed=0))
    assert sorted(parsed.text("h3")) == ["a/Basophil/0002.png", "a/Basophil/0003.png"]
    assert parsed.text("strong") == []
    assert "Basophil >99.9 %, answered" in parsed.text("p")


def test_examples_ask_for_no_heat(sets):
    parsed = Elements(cards(sets, heat_of=None).examples(sets[0], seed=0))
    assert len(parsed.all("article")) == 4
    assert {decoded(image["src"]).size for image in parsed.all("img")} == {(168, 168)}


def test_an_image_that_has_gone_is_still_told_of(sets, tmp_path):
    (tmp_path / "a" / "Basophil" / "0000.png").unlink()
    assert "a/Basophil/0000.png" in Elements(cards(sets).errors(sets)).text("h3")
