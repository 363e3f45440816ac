"""How often a lab has each class: given or estimated, and what a head makes of it."""

import json
import math
import re

import numpy as np
import pytest
import torch

from tests.adapting.test_job import CLASSES, given, place, settings, write_lab  # noqa: F401  (a fixture)
from wbc.adapting.job import adapt
from wbc.adapting.lab_mix import estimated_mix, given_mix, mix_shift
from wbc.adapting.report import DID_NOT_HELP, HELPED, NO_WORSE, Comparison, write_comparison
from wbc.answers.checkpoint import load_model
from wbc.answers.rule import fit_rule
from wbc.errors import ConfigError, DataError


def test_half_the_logarithm_of_how_much_more_often_a_class_occurs_is_added():
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    mix = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    expected = [0.5 * math.log(3 * share) for share in (0.6, 0.3, 0.1)]
    torch.testing.assert_close(mix_shift(mix, labels, 1.0).tolist(), expected)
    torch.testing.assert_close(mix_shift(mix, labels, 2.0), 2 * mix_shift(mix, labels, 1.0))
    even = torch.full((3,), 1 / 3, dtype=torch.float64)
    torch.testing.assert_close(mix_shift(even, labels, 1.0), torch.zeros(3, dtype=torch.float64))


def test_a_class_without_cells_is_left_as_it_is_and_none_is_impossible():
    shift = mix_shift(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0, 1]), 1.0)
    assert shift[2] == 0
    assert shift[1] == pytest.approx(0.5 * math.log(2e-3))


@pytest.mark.parametrize("mix", [(0.7, 0.2, 0.1), (0.05, 0.05, 0.9)])
def test_the_mix_is_found_from_answers_that_took_all_classes_for_equally_common(mix):
    """Images of three classes, each a point with noise, and the logits that are right for an even mix."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 3000, p=mix)
    points = np.eye(3)[labels] + rng.normal(0, 0.6, (3000, 3))
    logits = torch.from_numpy(points / 0.6**2)
    even = torch.tensor([0, 1, 2])
    counted = torch.bincount(logits.argmax(dim=1), minlength=3) / 3000
    found = estimated_mix(3 * logits, even, 3.0)
    truth = torch.tensor(mix, dtype=torch.float64)
    assert float((found - truth).abs().max()) < 0.03
    assert float((counted - truth).abs().max()) > 0.08  # counting answers does not find it
    assert float(found.sum()) == pytest.approx(1)


def test_a_class_without_cells_is_not_looked_for():
    logits = torch.tensor([[0.0, 5.0, 9.0], [0.0, 5.0, 9.0], [5.0, 0.0, 9.0]])
    found = estimated_mix(logits, torch.tensor([0, 1]), 1.0).tolist()
    assert found == pytest.approx([0.4, 0.6, 0], abs=0.02)


def test_shares_are_given_in_any_unit():
    assert given_mix({"b": 30, "a": 90}, ["a", "b", "c"]).tolist() == [0.75, 0.25, 0]
    with pytest.raises(ConfigError, match="mix names d, which the model does not know; its classes are a, b"):
        given_mix({"d": 1}, ["a", "b"])


def test_accuracy_and_macro_f1_are_those_at_the_mix():
    """Of class a all are right, of class b half, as c."""
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    logits = torch.eye(3)[[0, 0, 0, 0, 1, 2]]
    mix = torch.tensor([0.2, 0.8, 0.0], dtype=torch.float64)
    found = Comparison(logits, logits, labels, ["a", "b", "c"], mix).intervals()["after"]
    assert found["accuracy"].estimate == pytest.approx(0.2 + 0.8 / 2)
    assert found["macro_f1"].estimate == pytest.approx((1 + 2 * 0.4 / (0.8 + 0.4)) / 2)


def test_a_head_that_knows_the_mix_is_taken_unless_it_is_worse_beyond_chance(place, tmp_path):  # noqa: F811
    labels = torch.arange(30) % 3
    right = 3.0 * torch.eye(3)[labels]
    mix = torch.full((3,), 1 / 3, dtype=torch.float64)

    def wrong(*cells):
        logits = right.clone()
        logits[list(cells)] = logits[list(cells)].roll(1, dims=1)
        return logits

    rule = fit_rule(
        torch.randn(30, 4),
        right,
        labels,
        settings("checkpoint=a", "data=b", "abstain.outlier_score=knn").abstain,
    )
    for before, after, verdict in (
        (wrong(0, 1, 2), wrong(0, 3), HELPED),
        (wrong(0, 1, 2), wrong(0, 4, 5, 6), NO_WORSE),  # 1 of 30 less; the standard error is 2.2 of them
        (wrong(0), wrong(0, 4, 5, 6, 7), DID_NOT_HELP),  # 4 less; the standard error is 1.9
        (wrong(), wrong(), DID_NOT_HELP),
    ):
        comparison = Comparison(before, after, labels, CLASSES, mix)
        helps = comparison.helps()
        write_comparison(given(place), tmp_path, comparison, rule, helps, None)
        assert json.loads((tmp_path / "metrics.json").read_text())["verdict"] == verdict
        assert helps == (verdict != DID_NOT_HELP)


@pytest.mark.parametrize("way", ["mix={Monocyte: 90, Neutrophil: 10}", "unlabelled"])
def test_the_model_names_what_is_common_more_readily(place, tmp_path, way):  # noqa: F811
    lab = write_lab(tmp_path / "lab", Monocyte=6, Neutrophil=6)
    more = write_lab(tmp_path / "more", first_seed=2, Monocyte=27, Neutrophil=3)
    (more / "Monocyte" / "broken.png").write_bytes(b"no image")
    setting = f"unlabelled={more}" if way == "unlabelled" else way
    assert adapt(given(place, f"data={lab}"), tmp_path / "even") == 0
    assert adapt(given(place, f"data={lab}", setting), tmp_path / "mixed") == int(way == "unlabelled")
    metrics = json.loads((tmp_path / "mixed" / "metrics.json").read_text())
    assert metrics["mix"]["Monocyte"] == pytest.approx(0.9, abs=0.08)
    text = (tmp_path / "mixed" / "report.md").read_text()
    assert "expected at the lab's mix of classes" in text
    assert re.search(r"\| Neutrophil \| +6 \| +\d+\.\d % \|", text)
    even, mixed = (load_model(tmp_path / name / "model.ckpt").network.head for name in ("even", "mixed"))
    moved = mixed.kernels[-1].bias - even.kernels[-1].bias
    assert moved[CLASSES.index("Monocyte")] > 0 > moved[CLASSES.index("Neutrophil")]
    assert moved[CLASSES.index("Basophil")] == 0
    for name, value in even.state_dict().items():
        if value.shape != moved.shape:
            assert torch.equal(value, mixed.state_dict()[name]), name


def test_unlabelled_images_are_listed_without_labels(place, tmp_path):  # noqa: F811
    lab = write_lab(tmp_path / "lab", Monocyte=4, Neutrophil=4)
    listed = sorted(str(path) for path in lab.rglob("*.png"))
    (tmp_path / "unlabelled.csv").write_text("\n".join(["path", *listed]) + "\n")
    listing = f"unlabelled={tmp_path / 'unlabelled.csv'}"
    assert adapt(given(place, f"data={lab}", listing), tmp_path / "run") == 0
    mix = json.loads((tmp_path / "run" / "metrics.json").read_text())["mix"]
    assert mix["Monocyte"] == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["mix={Blast: 1}"], ConfigError, "mix names Blast"),
        (["unlabelled=nowhere"], DataError, "unlabelled=nowhere"),
        (["mix={Monocyte: 1}", "unlabelled=there"], ConfigError, "give one of them"),
        (["mix={Monocyte: 0}"], ConfigError, "no class occurs"),
        (["mix={Monocyte: -1}"], ConfigError, "mix"),
    ],
)
def test_what_cannot_be_a_mix_is_refused(place, tmp_path, overrides, error, message):  # noqa: F811
    with pytest.raises(error, match=message):
        adapt(given(place, *overrides), tmp_path / "run")


def test_none_that_can_be_read_is_refused(place, tmp_path):  # noqa: F811
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="none of 1 images can be read"):
        adapt(given(place, f"unlabelled={tmp_path / 'more'}"), tmp_path / "run")
