"""Fields and swapped colours, drawn by `wbc.synthetic`, against the crops that a check was fitted on."""

import numpy as np
import pytest
import torch

import wbc
from tests.helpers.trees import write_image
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.errors import CheckpointError
from wbc.images.cell_finder import find_nucleus
from wbc.images.picture_marks import PictureMarks, picture_marks
from wbc.images.prepare import Prepare
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.picture_check import SEVERAL_CELLS, SWAPPED, PictureCheck, fit_picture_check
from wbc.settings.abstain import AbstainConfig
from wbc.synthetic.draw import LABS, draw_cell

PLAIN = Prepare(64)


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(5)
    lab = next(iter(LABS.values()))
    return [draw_cell(name, lab, rng)[0] for name in CLASSES for _ in range(8)]


def marks(pictures):
    return [picture_marks(one, find_nucleus(one)) for one in pictures]


def field(cells, first):
    """A photograph of nine cells."""
    rows = [np.hstack(cells[start : start + 3]) for start in range(first, first + 9, 3)]
    return np.vstack(rows)


def test_crops_pass_and_fields_and_swapped_colours_are_named(cells):
    check = fit_picture_check(marks(cells[::2]), PLAIN)
    assert [check.status(one) for one in marks(cells[1::2])] == [""] * 20
    assert [check.status(one) for one in marks([field(cells, n) for n in range(9)])] == [SEVERAL_CELLS] * 9
    swapped = [check.status(one) for one in marks([cell[..., ::-1] for cell in cells[1::2]])]
    assert swapped.count(SWAPPED) >= 18


def test_grey_pictures_and_pictures_without_a_cell_tell_nothing(cells):
    grey = [np.repeat(cell[..., 1:2], 3, axis=2) for cell in cells]
    check = fit_picture_check(marks(grey), PLAIN)
    assert check.warmth == 0
    assert {check.status(one) for one in marks(grey)} == {""}
    empty = fit_picture_check([PictureMarks(40.0, float("nan"), 0)] * 3, PLAIN)
    assert (empty.smallest_share, empty.crowd_share) == (0, 0)
    assert empty.status(marks([field(cells, 0)])[0]) == ""


def test_a_sign_that_would_be_wrong_about_the_validation_pictures_is_not_used():
    crowded = [PictureMarks(40.0, share, 3) for share in np.linspace(0.2, 0.5, 100)]
    assert fit_picture_check(crowded, PLAIN).crowd_share == 0
    both = [PictureMarks(warmth, 0.4, 0) for warmth in [40.0] * 95 + [-60.0] * 5]
    assert fit_picture_check(both, PLAIN).warmth == 0


def test_a_small_cell_is_no_reason_to_doubt_where_cells_are_brought_to_one_size(cells):
    close = fit_picture_check([PictureMarks(40.0, 0.7, 0)] * 40, PLAIN)
    standard = fit_picture_check([PictureMarks(40.0, 0.7, 0)] * 40, Prepare(64, ["size"]))
    far = PictureMarks(40.0, 0.3, 0)
    assert (close.status(far), standard.status(far)) == (SEVERAL_CELLS, "")


@pytest.fixture
def model(tmp_path, cells):
    torch.manual_seed(0)
    outputs = torch.randn(40, 8), torch.randn(40, 5), torch.arange(40) % 5
    rule = fit_rule(*outputs, AbstainConfig(0.05, 0.9, "energy", 0.95))
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES)
    path = tmp_path / "model.ckpt"
    save_model(Predictor(network, rule, pictures=fit_picture_check(marks(cells), PLAIN)), path, {})
    return path


def test_a_field_and_opencvs_channels_are_said_in_the_answer(tmp_path, model, cells):
    """A field was answered "Eosinophil 71 %", and swapped colours at a promise of 1 %."""
    predictor = wbc.load(model)
    given = [field(cells, 0), write_image(tmp_path / "field.png", field(cells, 9)), cells[0][..., ::-1]]
    assert predictor.predict(given).status == [SEVERAL_CELLS, SEVERAL_CELLS, SWAPPED]
    assert not {SEVERAL_CELLS, SWAPPED} & set(predictor.predict(cells).status)


@pytest.mark.parametrize("value", [float("nan"), -1.0, "warm", None])
def test_a_damaged_check_is_refused_by_field(model, value):
    stored = torch.load(model, weights_only=True)
    stored["pictures"]["warmth"] = value
    torch.save(stored, model)
    with pytest.raises(CheckpointError, match=r"pictures\.warmth"):
        wbc.load(model)


def test_a_model_of_before_the_check_answers_as_it_did(model, cells):
    stored = torch.load(model, weights_only=True)
    del stored["pictures"]
    torch.save(stored, model)
    assert not {SEVERAL_CELLS, SWAPPED} & set(wbc.load(model).predict([field(cells, 0)]).status)


def test_a_state_is_the_check_it_came_from():
    check = PictureCheck(0.2, 0.3, 30.0)
    assert PictureCheck.from_state(check.state()) == check
