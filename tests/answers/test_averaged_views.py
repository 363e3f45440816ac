"""Answers averaged over views: the views by hand, and one setting from training to prediction."""

import re

import albumentations
import numpy as np
import pytest
import torch

import wbc
from wbc.answers.averaged_views import AveragedViews
from wbc.answers.checkpoint import load_network, save_model
from wbc.answers.predictor import Predictor
from wbc.errors import CheckpointError
from wbc.loading.augment import Augment
from wbc.network.backbone import Backbone
from wbc.network.network import Network

CHAIN = Augment(
    [
        albumentations.Affine(rotate=(-180, 180), p=1.0),
        albumentations.ColorJitter(saturation=(0.1, 0.9), p=1.0),
    ]
).state()


def pixels(count=3, side=64):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, side, side), np.uint8))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Network(Backbone("tf_efficientnet_lite0", 64), ["a", "b", "c"], [8]).eval()


def test_one_view_is_the_image_itself(network):
    images = pixels()
    assert list(AveragedViews().of(images)) == [images]
    features, logits, alone = Predictor(network).outputs(images)
    with torch.inference_mode():
        assert torch.equal(features, network.features(images))
        assert torch.equal(logits, network(images))
    assert torch.equal(alone, logits)


def test_views_are_all_different_and_always_the_same():
    views = AveragedViews(draws=3, augment=CHAIN)
    assert views.count == 4
    shown = [view.numpy().tobytes() for view in views.of(pixels())]
    assert len(set(shown)) == 4
    assert shown == [view.numpy().tobytes() for view in views.of(pixels())]


def test_outputs_are_means_over_the_views_beside_what_the_network_alone_says(network):
    images = pixels()
    views = AveragedViews(draws=3, augment=CHAIN)
    predictor = Predictor(network, views=views)
    features, logits, alone = predictor.outputs(images)
    with torch.inference_mode():
        each = [network.features(view) for view in views.of(images)]
        torch.testing.assert_close(features, torch.stack(each).mean(dim=0))
        torch.testing.assert_close(logits, network.classify(features))
        assert torch.equal(alone, network(images))
    assert features.shape == (3, network.backbone.features)
    assert not torch.allclose(logits, alone, atol=1e-5)
    assert predictor.answered_by == "features averaged over 4 test-time views of each image"
    assert Predictor(network).answered_by == ""


def test_no_images_have_outputs_too(network):
    assert [len(values) for values in Predictor(network).outputs(pixels(count=0))] == [0, 0, 0]


def test_the_views_travel_with_the_model(network, tmp_path):
    views = AveragedViews(draws=3, augment=CHAIN)
    saved = Predictor(network, views=views)
    save_model(saved, tmp_path / "model.ckpt", {})
    loaded = wbc.load(tmp_path / "model.ckpt")
    assert loaded.views.state() == views.state()
    images = pixels()
    found = loaded.predict([image.permute(1, 2, 0).numpy() for image in images])
    expected = saved.outputs(images).logits.softmax(dim=1)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


def test_a_draw_is_one_of_the_training_views_and_the_same_for_every_image():
    images = pixels(count=3)
    views = AveragedViews(draws=2, augment=CHAIN)
    _, first, second = views.of(images)
    assert first.dtype == torch.uint8
    expected = Augment.from_state(CHAIN)(images[1].permute(1, 2, 0).numpy(), 1)
    assert np.array_equal(second[1].permute(1, 2, 0).numpy(), expected)
    assert torch.equal(list(views.of(images[2:]))[1][0], first[2])  # whatever lies beside it


@pytest.mark.parametrize(
    ("draws", "augment", "named"),
    [
        (2, None, "no transforms of albumentations"),
        (2, {}, "no transforms of albumentations"),
        (2, {"transform": 3}, "no transforms of albumentations"),
        (2, {"transform": {"__class_fullname__": "Unheard", "p": 1.0}}, "no transforms of albumentations"),
        (2, {"transform": {"__class_fullname__": "HorizontalFlip", "p": 1.0}}, "no chain of transforms"),
        (2, {"transform": {"transforms": [{"__class_fullname__": "os.system"}]}}, "os.system is none of"),
        (2.5, CHAIN, "2.5 draws"),
        (-1, CHAIN, "-1 draws"),
    ],
)
def test_draws_of_no_transforms_are_refused(draws, augment, named, network, tmp_path):
    with pytest.raises(ValueError, match=re.escape(named)):
        AveragedViews(draws=draws, augment=augment)
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    content["test_time"] |= {"draws": draws, "augment": augment}
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=re.escape(named)):
        load_network(tmp_path / "model.ckpt")
