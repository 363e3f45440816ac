"""Answers averaged over views: the views by hand, and one setting from training to prediction."""

import re

import albumentations
import numpy as np
import pytest
import torch

import wbc
from wbc.answers.averaged_views import AveragedViews, zoomed
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


def disc(side, radius):
    place = torch.arange(side) - (side - 1) / 2
    inside = place[:, None] ** 2 + place[None, :] ** 2 < radius**2
    return torch.where(inside, 50.0, 200.0).expand(1, 3, side, side)


@pytest.mark.parametrize("scale", [0.5, 0.7, 0.8, 1.25, 1.6])
@pytest.mark.parametrize("side", [64, 97])
def test_a_cell_is_as_large_as_the_scale_says_and_the_frame_has_no_border(side, scale):
    shown = zoomed(disc(side, side / 5), scale)
    assert shown.shape == (1, 3, side, side)
    area = ((200 - shown[0, 0]) / 150).sum()
    assert area == pytest.approx(np.pi * (side / 5 * scale) ** 2, rel=0.08)
    edge = torch.cat([shown[..., 0, :], shown[..., -1, :], shown[..., 0], shown[..., -1]])
    assert torch.allclose(edge, torch.tensor(200.0), atol=1e-3)
    middle = (200 - shown[0, 0]).sum(0) @ torch.arange(side).float() / (200 - shown[0, 0]).sum()
    assert float(middle) == pytest.approx((side - 1) / 2, abs=0.05)


def test_borders_are_repeated():
    image = torch.arange(8.0).expand(1, 3, 8, 8)
    shown = zoomed(image, 0.5)  # 4 columns, 2 on each side of them
    assert (shown[0, 0, 0, :3] == shown[0, 0, 0, 0]).all()
    assert (shown[0, 0, 0, 5:] == shown[0, 0, 0, 7]).all()
    assert shown.min() >= 0
    assert shown.max() <= 7


def test_one_view_is_the_image_itself(network):
    images = pixels()
    assert next(AveragedViews().of(images)) is images
    with torch.inference_mode():
        features, logits = AveragedViews().outputs(network, images)
        assert torch.equal(features, network.features(images))
        assert torch.equal(logits, network(images))


def test_views_are_all_different_and_always_the_same():
    views = AveragedViews(flips=True, scales=[0.8, 1.0, 1.25], draws=3, augment=CHAIN)
    assert views.count == 15
    shown = [view.float().numpy().tobytes() for view in views.of(pixels())]
    assert len(set(shown)) == 15
    assert shown == [view.float().numpy().tobytes() for view in views.of(pixels())]


def test_outputs_are_means_over_the_views(network):
    images = pixels()
    views = AveragedViews(flips=True, scales=[0.8, 1.0], draws=3, augment=CHAIN)
    with torch.inference_mode():
        features, logits = views.outputs(network, images)
        each = [network.features(view) for view in views.of(images)]
        torch.testing.assert_close(features, torch.stack(each).mean(dim=0))
        torch.testing.assert_close(logits, network.classify(features))
    assert features.shape == (3, network.backbone.features)


def test_flipped_images_are_answered_alike_which_one_view_does_not_grant(network):
    images = pixels()
    flips = AveragedViews(flips=True, scales=[0.8, 1.0])
    with torch.inference_mode():
        torch.testing.assert_close(*(flips.outputs(network, one)[1] for one in (images, images.flip(3))))
        assert not torch.allclose(network(images.flip(3)), network(images), atol=1e-5)


def test_the_views_travel_with_the_model(network, tmp_path):
    network = Network.from_description(network.describe()).eval()
    network.test_time = AveragedViews(flips=True, scales=[0.8, 1.0], draws=3, augment=CHAIN)
    save_model(network, tmp_path / "model.ckpt", {})
    predictor = wbc.load(tmp_path / "model.ckpt")
    assert predictor.network.test_time == network.test_time
    images = pixels()
    found = predictor.predict([image.permute(1, 2, 0).numpy() for image in images])
    with torch.inference_mode():
        logits = network.test_time.outputs(network, images)[1]
    np.testing.assert_allclose(found.probabilities, logits.softmax(dim=1), atol=1e-6)
    single = Predictor(Network.from_description(network.describe() | {"test_time": {}}))
    assert single.network.test_time.count == 1


def test_a_model_from_before_answers_from_one_view(network, tmp_path):
    save_model(network, tmp_path / "model.ckpt", {})
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    del content["wbc"]["test_time"]
    torch.save(content, tmp_path / "model.ckpt")
    assert load_network(tmp_path / "model.ckpt").test_time == AveragedViews()


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
    save_model(network, tmp_path / "model.ckpt", {})
    content = torch.load(tmp_path / "model.ckpt", weights_only=True)
    content["wbc"]["test_time"] |= {"draws": draws, "augment": augment}
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(CheckpointError, match=re.escape(named)):
        load_network(tmp_path / "model.ckpt")
