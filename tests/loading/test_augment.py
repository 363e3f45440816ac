import io

import albumentations
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.helpers.places import CONF
from wbc.errors import ConfigError
from wbc.loading.augment import Augment


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def recipe() -> Augment:
    return Augment(
        instantiate(OmegaConf.load(CONF / "train" / "augment" / "recipe.yaml").transforms, _convert_="all")
    )


def test_a_view_belongs_to_its_seed_alone(image):
    one, other = recipe(), recipe()
    other(image, 9, 9)
    assert np.array_equal(one(image, 0, 1, 2), other(image, 0, 1, 2))
    views = {recipe()(image, 0, epoch, index).tobytes() for epoch in range(4) for index in range(4)}
    assert len(views) == 16


def test_views_keep_shape_and_type(image):
    view = recipe()(image, 3)
    assert view.shape == image.shape
    assert view.dtype == np.uint8


def test_without_transforms_the_image_stays(image):
    assert np.array_equal(Augment([])(image, 1), image)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="albumentations"):
        Augment([albumentations.HorizontalFlip(), "blur"])


@pytest.mark.parametrize("name", ["recipe", "other_labs"])
def test_a_chain_told_in_plain_values_draws_the_same_views(name, image):
    one = Augment(
        instantiate(OmegaConf.load(CONF / "train" / "augment" / f"{name}.yaml").transforms, _convert_="all")
    )
    buffer = io.BytesIO()
    torch.save(one.state(), buffer)
    buffer.seek(0)
    other = Augment.from_state(torch.load(buffer, weights_only=True))
    for seed in range(20):
        assert np.array_equal(one(image, seed), other(image, seed))


class OwnTransform(albumentations.HorizontalFlip):
    """Known to albumentations in this process, and to no other."""


@pytest.mark.parametrize(
    "transform",
    [
        albumentations.Lambda(image=np.flipud),
        albumentations.Lambda(name="own", image=np.flipud),
        OwnTransform(),
        albumentations.OneOf([OwnTransform()]),
    ],
)
def test_a_chain_of_other_code_cannot_be_told(transform):
    chain = Augment([transform])
    with pytest.raises(ConfigError, match=r"model\.test_time\.draws"):
        chain.state()
