import numpy as np
import pytest
import torch
from torch.nn.init import xavier_uniform_

from tests.helpers.places import KERAS
from wbc.images.prepare import Prepare
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Head, Network
from wbc.training.classifier import Classifier

REFERENCE = KERAS / "dense_head_3_adam_steps.npz"  # computed by Keras 3.15


def make_network(**options) -> Network:
    return Network(Backbone("tf_efficientnet_lite0", 64), CLASSES, **options)


def test_three_adam_steps_of_the_head_are_those_of_keras():
    keras = np.load(REFERENCE)
    network = make_network(dropout=0.0)
    for number, kernel in enumerate(network.head.kernels, start=1):
        kernel.weight.data = torch.from_numpy(keras[f"step0/dense_{number}/kernel"].T.copy())
        kernel.bias.data = torch.from_numpy(keras[f"step0/dense_{number}/bias"].copy())
    network.backbone.freeze(0)
    classifier = Classifier(network, lr=1e-4, label_smoothing=0.1, l2=1e-4, adam_epsilon=1e-7, seed=0)
    optimizer = classifier.configure_optimizers()
    features, labels = torch.from_numpy(keras["features"]), torch.from_numpy(keras["labels"])
    for step in range(4):
        logits = network.head(features)
        penalty = network.head.l2_penalty(1e-4)
        loss = classifier.loss(logits, labels)
        np.testing.assert_allclose(logits.softmax(1).detach(), keras[f"step{step}/probabilities"], rtol=1e-5)
        np.testing.assert_allclose(penalty.detach(), keras[f"step{step}/l2_penalty"], rtol=1e-5)
        np.testing.assert_allclose((loss - penalty).detach(), keras[f"step{step}/cross_entropy"], rtol=1e-5)
        if step < 3:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for number, kernel in enumerate(network.head.kernels, start=1):
        # A step moves a weight by about 1e-4; with PyTorch's place for epsilon some are 2e-4 off after three.
        np.testing.assert_allclose(kernel.weight.detach().T, keras[f"step3/dense_{number}/kernel"], atol=5e-7)
        np.testing.assert_allclose(kernel.bias.detach(), keras[f"step3/dense_{number}/bias"], atol=5e-7)


def test_head_has_the_recipes_parameters_and_initialisation():
    head = Head(1280, (128, 256), 5, 0.45)
    assert sum(p.numel() for p in head.parameters()) == 198_277
    for kernel in head.kernels:
        bound = (6 / (kernel.in_features + kernel.out_features)) ** 0.5
        assert kernel.weight.abs().max() <= bound
        expected = xavier_uniform_(torch.empty_like(kernel.weight)).std()
        assert float(kernel.weight.detach().std()) == pytest.approx(float(expected), rel=0.1)
        assert not kernel.bias.any()


def test_penalty_spares_biases_and_the_last_layer():
    head = Head(4, (3, 2), 5, 0.0)
    head.l2_penalty(0.5).backward()
    first, second, last = head.kernels
    assert torch.allclose(first.weight.grad, first.weight)  # d(0.5 w^2) = w
    assert torch.allclose(second.weight.grad, second.weight)
    assert last.weight.grad is None
    assert all(kernel.bias.grad is None for kernel in head.kernels)
    assert Head(4, (), 5, 0.0).l2_penalty(0.5) == 0


def test_preprocessing_is_inside():
    network = make_network().eval()
    black, white = network.preprocess(
        torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    )
    assert torch.allclose(black, torch.tensor(-1.0))
    assert torch.allclose(white, torch.tensor(1.0))
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network(pixels), network(pixels.float()))


def test_logits_keep_float32_under_bf16():
    network = make_network().eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert logits.dtype == torch.float32


def test_description_builds_the_same_network():
    network = make_network(head_units=(16,), dropout=0.1).eval()
    network.mean = network.mean + 3
    twin = Network.from_description(network.describe())
    twin.load_state_dict(network.state_dict())
    twin.eval()
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(network(pixels), twin(pixels))


def test_the_description_tells_how_pictures_are_prepared():
    described = make_network(standardise=["size"]).describe()
    assert Network.from_description(described).prepare == Prepare(64, ["size"])


def test_a_description_of_another_format_is_refused():
    described = make_network().describe()
    for other in (described | {"format": 3}, {key: described[key] for key in described if key != "format"}):
        with pytest.raises(ValueError, match="train it anew"):
            Network.from_description(other)


def test_a_network_that_learnt_from_other_standard_views_is_refused():
    described = make_network(standardise=["size"]).describe() | {"standardise_version": "1"}
    with pytest.raises(ValueError, match=r"version 1 of model\.standardise"):
        Network.from_description(described)
    Network.from_description(described | {"standardise": []})
