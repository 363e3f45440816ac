"""A small model, and its folder."""

import pytest

from tests.helpers.served import small_predictor
from wbc.answers.checkpoint import save_model


@pytest.fixture(scope="session")
def small():
    """The predictor."""
    return small_predictor()


@pytest.fixture(scope="session")
def model(small, tmp_path_factory):
    """The folder with its model.ckpt."""
    folder = tmp_path_factory.mktemp("served")
    save_model(small, folder / "model.ckpt", {})
    return folder
