"""Heads and links fitted on made-up features, against scikit-learn's own and by what they promise."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wbc.words.attribute_table import MISSING, Vocabulary
from wbc.words.fit import fit_words
from wbc.words.measured import measured_words

VOCABULARY = Vocabulary(("granules", "nucleus"), (("pink", "red"), ("bilobed", "kidney", "round")))


def cells(count, seed, noise=0.3):
    """Features, numbers of values and classes: two of three features show the values, classes follow them."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 2, count), rng.integers(0, 3, count)], axis=1)
    features = np.stack([codes[:, 0], codes[:, 1] == 1, codes[:, 1] == 2], axis=1)
    features = (features + rng.normal(0, noise, features.shape)).astype(np.float32)
    return features, codes, np.where(codes[:, 1] == 1, 1, 2 * codes[:, 0])


@pytest.fixture(scope="module")
def fitted():
    return fit_words(VOCABULARY, cells(600, 0), cells(600, 1)[:2], 3, 0.05)


def test_a_head_names_the_values_that_logistic_regression_names(fitted):
    features, codes, _ = cells(600, 0)
    unseen = cells(200, 2)[0]
    for place, part in enumerate(fitted.parts()):
        theirs = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (0.2 * 600))).fit(
            features, codes[:, place]
        )
        ours = fitted.probabilities(unseen)[:, part].argmax(axis=1)
        np.testing.assert_array_equal(ours, theirs.predict(unseen))


def test_answers_of_each_attribute_are_wrong_no_more_often_than_promised():
    broken = []
    for seed in range(10):  # a promise holds for 19 of 20 draws of validation cells
        words = fit_words(VOCABULARY, cells(600, 0), cells(600, 100 + seed)[:2], 3, 0.05)
        found = measured_words(words, *cells(4000, 3), ["a", "b", "c"])
        for one in found["attributes"].values():
            assert 0.5 < one["answered"] < 1
            assert one["ece"] < 0.04
            broken.append(1 - one["accuracy_when_answered"] > one["max_error"])
    assert sum(broken) <= 3, "three of twenty are within chance, four are not"
    assert found["class_by_words"]["macro_f1"] > 0.85


def test_values_that_are_not_known_are_left_out_of_everything(fitted):
    features, codes, labels = cells(600, 0)
    masked = codes.copy()
    masked[::2, 0] = MISSING
    features[::2] += [50, 0, 0]  # would move the head of granules, were it fitted on them
    again = fit_words(VOCABULARY, (features, masked, labels), cells(600, 1)[:2], 3, 0.05)
    unseen, truth, _ = cells(400, 4)
    right = again.probabilities(unseen)[:, :2].argmax(axis=1) == truth[:, 0]
    assert right.mean() > 0.9


def test_an_attribute_without_validation_cells_is_never_answered(caplog):
    features, codes = cells(600, 1)[:2]
    codes[:, 1] = MISSING
    words = fit_words(VOCABULARY, cells(600, 0), (features, codes), 3, 0.05)
    assert np.isfinite(words.thresholds[0])
    assert np.isinf(words.thresholds[1])
    assert "attribute nucleus: never answered" in caplog.text


def test_the_class_follows_the_words_alone(fitted):
    probabilities = np.array([[0.0, 1, 1, 0, 0], [1, 0, 1, 0, 0], [1, 0, 0, 1, 0]])
    assert fitted.class_logits(probabilities).argmax(axis=1).tolist() == [2, 0, 1]
    effects = fitted.effects(probabilities, np.array([2, 0, 1]))
    assert (effects[:2, 0] > 0.7).all(), "granules part the first and the last class"
    assert effects[2, 1] > 0.7, "the nucleus tells the second class"
