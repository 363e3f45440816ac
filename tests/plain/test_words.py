"""What words say: probabilities, which attribute speaks for a class, and when none does."""

import numpy as np
import pytest
from scipy.special import softmax

from tests.helpers.fitted_words import CLASSES, fitted_words
from wbc.plain.answers import UNKNOWN, Answers, described, joined, no_answers, with_unreadable
from wbc.plain.prediction_rows import columns, number_columns, prediction_rows, silence
from wbc.plain.words import FittedWords

RED_BILOBED = [5.0, -9.0, -9.0]
PINK_KIDNEY = [-5.0, 9.0, 0.0]
UNSURE = [0.2, 0.1, 0.0]


def described_cells(features, labels, status=None, words=None):
    probabilities = np.full((len(labels), 3), 1 / 3, np.float32)
    status = status or ["answered"] * len(labels)
    answers = Answers(labels, probabilities, [[one] for one in labels], status, np.zeros(len(labels)), [None])
    return described(answers, words or fitted_words(), np.array(features, np.float32), CLASSES)


def test_probabilities_are_a_softmax_an_attribute_each():
    features = np.array([[0.3, -0.2, 0.7]], np.float32)
    found = fitted_words().probabilities(features)
    np.testing.assert_allclose(found[0, :2], softmax([-0.3, 0.3]), rtol=1e-6)
    np.testing.assert_allclose(found[0, 2:], softmax([0, -0.2, 0.7]), rtol=1e-6)


def test_an_effect_is_what_the_log_odds_lose_when_the_attribute_is_changed():
    words = fitted_words()
    probabilities = np.array([[0.0, 1, 1, 0, 0]])
    # Red gives the eosinophil 4, and pink, all that is left of that attribute, nothing: odds e^4/2 and 1/2.
    np.testing.assert_allclose(words.effects(probabilities, np.array([0]))[0, 0], 4)
    # Not bilobed: kidney and round, of which there are half as many kidneys as round ones, a third.
    before, after = softmax([4, 0, 0])[0], softmax([4, 2, 0])[0]
    expected = np.log(before / (1 - before)) - np.log(after / (1 - after))
    np.testing.assert_allclose(words.effects(probabilities, np.array([0]))[0, 1], expected)


def test_words_speak_for_the_class_that_was_named_or_against_it():
    (right, wrong) = described_cells([RED_BILOBED, PINK_KIDNEY], ["Eosinophil", "Eosinophil"]).words
    assert [word.value for word in right.words] == ["red", "bilobed"]
    assert [word.attribute for word in right.speak_for] == ["granules", "nucleus"]
    assert not right.speak_against
    assert right.told_class == "Eosinophil"
    assert [word.value for word in wrong.speak_against] == ["kidney", "pink"]
    assert wrong.told_class == "Monocyte"
    assert right.reasons.speak_for == "granules: red (1.00), nucleus: bilobed (1.00)"


def test_what_is_not_sure_is_not_said_and_does_not_speak():
    (cell,) = described_cells([UNSURE], ["Eosinophil"]).words
    assert [word.answered for word in cell.words] == [False, False]
    assert not cell.speak_for
    assert not cell.speak_against


def test_of_what_is_no_known_cell_nothing_is_said():
    (cell,) = described_cells([RED_BILOBED], ["Eosinophil"], [UNKNOWN]).words
    assert not any(word.answered for word in cell.words)
    assert not cell.speak_for
    assert cell.reasons == ("", "", "nothing is said of this cell")


def test_a_row_of_another_lab_says_nothing_in_words_and_keeps_its_numbers():
    told = described_cells([RED_BILOBED], ["Eosinophil"])
    (row,) = prediction_rows(told, ["a"])
    before = dict(zip(columns(CLASSES, fitted_words().names), row, strict=True))
    silence(row, CLASSES)
    after = dict(zip(before, row, strict=True))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"word_granules", "word_nucleus", "words_for"}
    assert not any(after[name] for name in changed)
    (quiet,) = prediction_rows(told._replace(words=[told.words[0].silenced]), ["a"])
    assert quiet == row
    wordless = ["x"] * len(columns(CLASSES))
    silence(wordless, CLASSES)
    assert "" not in wordless
    silence([], CLASSES)  # of an image that cannot be read


def test_an_attribute_that_promises_nothing_is_never_answered():
    (cell,) = described_cells([RED_BILOBED], ["Eosinophil"], words=fitted_words(np.inf)).words
    assert not any(word.answered for word in cell.words)


def test_rows_have_as_many_fields_as_columns_readable_or_not():
    told = described_cells([RED_BILOBED, UNSURE], ["Eosinophil", "Eosinophil"])
    told = told._replace(cell_found=[None, None])
    answers = with_unreadable(joined([no_answers(3), told]), ["", "damaged", ""])
    attributes = fitted_words().names
    rows = list(prediction_rows(answers, ["a", "b", "c"], attributes=attributes))
    names = columns(CLASSES, attributes)
    assert {len(row) for row in rows} == {len(names)}
    first, unreadable, unsure = (dict(zip(names, row, strict=True)) for row in rows)
    assert first["word_granules"] == "red"
    assert first["words_for"] == "granules: red (1.00) | nucleus: bilobed (1.00)"
    assert unsure["word_granules"] == ""
    assert float(unsure["word_granules_probability"]) == pytest.approx(softmax([-0.2, 0.2])[1], abs=1e-6)
    assert unreadable["word_granules_probability"] == unreadable["words_class"] == ""
    numbers = {names[index] for index in number_columns(CLASSES, attributes)}
    assert numbers == {
        *CLASSES,
        "score",
        "word_granules_probability",
        "word_nucleus_probability",
        "words_class_probability",
    }


def test_a_model_without_words_has_the_columns_of_before():
    assert columns(CLASSES) == [
        *("data", "path", "group", "label", "prediction"),
        *CLASSES,
        *("set", "status", "score", "cell_found"),
    ]


def test_a_state_gives_the_same_words_and_what_is_damaged_is_refused():
    words = fitted_words()
    again = FittedWords.from_state(words.state(), 3, 3)
    np.testing.assert_array_equal(again.probabilities(np.eye(3)), words.probabilities(np.eye(3)))
    damages = [
        {"names": ["granules", "granules"]},
        {"names": ["granules"]},
        {"values": [["pink", "pink"], ["bilobed", "kidney", "round"]]},
        {"weight": words.weight[:2]},
        {"weight": np.full_like(words.weight, np.nan)},
        {"bias": words.bias.astype(int)},
        {"shares": words.shares * 2},
        {"class_bias": np.full(3, np.inf)},
    ]
    for damage in damages:
        with pytest.raises(ValueError, match="words"):
            FittedWords.from_state(words.state() | damage, 3, 3)
