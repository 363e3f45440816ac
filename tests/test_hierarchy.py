"""Superclasses over classes: probabilities against hand-made sums, and every tree that is none is refused."""

import numpy as np
import pytest

from wbc.hierarchy import Hierarchy

CLASSES = ["Basophil", "Band", "Segmented", "Lymphocyte"]
TREE = {"granulocyte": ["neutrophil", "Basophil"], "neutrophil": ["Band", "Segmented"]}


def test_a_superclass_has_the_probability_of_its_classes_together():
    hierarchy = Hierarchy(TREE, CLASSES)
    assert hierarchy.nodes == [*CLASSES, "neutrophil", "granulocyte"]
    nodes, found = hierarchy.ladder(
        np.array([[0.1, 0.5, 0.3, 0.1], [0.6, 0.1, 0.1, 0.2], [0.1, 0.1, 0, 0.8]])
    )
    named = [[hierarchy.nodes[node] for node in row] for row in nodes]
    assert named == [
        ["Band", "neutrophil", "granulocyte"],
        ["Basophil", "granulocyte", "granulocyte"],
        ["Lymphocyte"] * 3,
    ]
    np.testing.assert_allclose(found, [[0.5, 0.8, 0.9], [0.6, 0.8, 0.8], [0.8, 0.8, 0.8]])
    assert hierarchy.right(nodes, np.array([2, 3, 3])).tolist() == [
        [False, True, True],
        [False] * 3,
        [True] * 3,
    ]


def test_the_smallest_superclass_that_two_share():
    hierarchy = Hierarchy(TREE, CLASSES)
    assert hierarchy.common("Band", "Segmented") == "neutrophil"
    assert hierarchy.common("Band", "Basophil") == "granulocyte"
    assert hierarchy.common("neutrophil", "Basophil") == "granulocyte"
    assert hierarchy.common("granulocyte", "Lymphocyte") is None


def test_without_superclasses_there_is_the_class_alone():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 20).astype(np.float32)
    nodes, found = Hierarchy({}, CLASSES).ladder(probabilities)
    np.testing.assert_array_equal(nodes[:, 0], probabilities.argmax(axis=1))
    np.testing.assert_array_equal(found, probabilities.max(axis=1)[:, None].astype(float))


# What is refused: the tree, what is said of it, and a tree that the mend makes of it.
REFUSED = [
    ({"a": ["Band", "Blast"]}, "'Blast', which is neither a class", {"a": ["Band", "Basophil"]}),
    (
        {"a": ["Band", "Basophil"], "b": ["Band", "Segmented"]},
        "'Band' is in 'a' and in 'b': take it out of one",
        {"a": ["a2", "Basophil"], "a2": ["Band", "Segmented"]},
    ),
    ({"a": CLASSES}, "'a' holds all classes, .* take a member out", {"a": CLASSES[1:]}),
    (
        {"a": ["b", "Basophil"], "b": CLASSES[1:]},
        "'a' holds all classes",
        {"a": ["b", "Basophil"], "b": CLASSES[1:3]},
    ),
    ({"a": ["Band"]}, "expected two different members or more", {"a": ["Band", "Segmented"]}),
    ({"a": ["Band", "Band"]}, "expected two different members or more", {"a": ["Band", "Segmented"]}),
    ({"a": []}, "expected two different members or more", {"a": ["Band", "Segmented"]}),
    ({"band": ["Segmented", "Basophil"]}, "'band' reads like 'Band'", {"b": ["Segmented", "Basophil"]}),
    ({"A": CLASSES[:2], "a": CLASSES[2:]}, "'a' reads like 'A'", {"A": CLASSES[:2], "b": CLASSES[2:]}),
    ({" ": CLASSES[:2]}, "no name", {"a": CLASSES[:2]}),
    (
        {"a": ["b", "Band"], "b": ["a", "Segmented"]},
        "'[ab]' is in itself, by way of .*: take it out of one",
        {"a": ["b", "Basophil"], "b": ["Band", "Segmented"]},
    ),
    ({"a": ["a", "Band"]}, "'a' is in itself", {"a": ["Segmented", "Band"]}),
]


@pytest.mark.parametrize(("tree", "said", "mended"), REFUSED)
def test_what_is_no_tree_over_the_classes_is_refused(tree, said, mended):
    with pytest.raises(ValueError, match=said):
        Hierarchy(tree, CLASSES)
    assert Hierarchy(mended, CLASSES).superclasses == mended
