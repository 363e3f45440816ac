"""The loss of attributes: against torch's own, for known values alone."""

import torch
import torch.nn.functional as F

from wbc.words.attribute_loss import AttributeLoss


def test_it_is_the_mean_cross_entropy_of_known_values_times_its_weight():
    torch.manual_seed(0)
    targets = torch.tensor([[0, 2], [1, -1], [-1, -1], [1, 0]])
    loss = AttributeLoss(4, [2, 3], targets, 3.0)
    torch.nn.init.normal_(loss.heads.weight)
    features, rows = torch.randn(3, 4), torch.tensor([3, 1, 2])
    logits = loss.heads(features)
    terms = [
        F.cross_entropy(logits[:2, :2], targets[rows[:2], 0], reduction="sum"),
        F.cross_entropy(logits[:1, 2:], targets[rows[:1], 1], reduction="sum"),
    ]
    torch.testing.assert_close(loss(features, rows), 3 * sum(terms) / 3)


def test_no_known_value_is_no_loss_and_a_fresh_head_moves_no_feature():
    loss = AttributeLoss(4, [2, 3], torch.tensor([[-1, -1], [0, 1]]), 1.0)
    features = torch.randn(2, 4, requires_grad=True)
    assert loss(features, torch.tensor([0, 0])).item() == 0
    loss(features, torch.tensor([1, 1])).backward()
    assert not features.grad.any()
    assert loss.heads.weight.grad.any()
