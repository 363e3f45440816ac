"""How often images are drawn: quotas by hand, and epochs that keep to them."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.trees import picture, write_image
from wbc.images.prepare import Prepare
from wbc.loading.activations import ActivationStore
from wbc.loading.augment import Augment, albumentations
from wbc.loading.balance import BalancedSampling, quotas
from wbc.loading.datamodule import ImageData
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import Draw, EpochSampler
from wbc.loading.labelled_images import FrozenImages, LabelledImages


@pytest.mark.parametrize(
    ("sizes", "balance", "max_repeats", "expected"),
    [
        ([10, 20, 70], 0.0, 10, [10, 20, 70]),
        ([10, 20, 70], 1.0, 10, [33, 33, 34]),  # a third each; the odd one goes to the largest remainder
        ([4, 16, 100], 0.5, 10, [15, 30, 75]),  # 2 : 4 : 10 of 120
        ([1, 49, 50], 1.0, 10, [10, 45, 45]),  # the lone image 10 times, the others share the rest
        ([1, 1, 98], 1.0, 3, [3, 3, 94]),
        ([5, 5], 1.0, 1, [5, 5]),
        ([1, 2, 97], 1.0, 1, [1, 2, 97]),  # no repeats: as it is
        ([7], 1.0, 10, [7]),
        ([212, 744, 2427, 561, 6231], 1.0, 10, [2035] * 5),  # Raabin-WBC's training images
    ],
)
def test_quotas(sizes, balance, max_repeats, expected):
    found = quotas(sizes, balance, max_repeats)
    assert sum(found) == sum(sizes)
    assert sorted(found) == sorted(expected)
    assert np.abs(np.array(found) - expected).max() <= 1


def test_quotas_never_exceed_the_repeats_nor_lose_a_draw():
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes = rng.integers(1, 200, rng.integers(1, 12)).tolist()
        repeats = int(rng.integers(1, 12))
        found = quotas(sizes, float(rng.random()), repeats)
        assert sum(found) == sum(sizes)
        assert all(0 < drawn <= repeats * size for drawn, size in zip(found, sizes, strict=True))


CELLS = [0] * 2 + [1] * 30 + [2] * 8  # images of each cell


def epoch(number, ranks=1, seed=0):
    draws = BalancedSampling(CELLS, 1.0, 4)
    views = [
        EpochSampler(len(CELLS), shuffle=True, seed=seed, rank=rank, ranks=ranks, sampling=draws)
        for rank in range(ranks)
    ]
    for one in views:
        one.set_epoch(number)
    return [list(one) for one in views]


def test_an_epoch_keeps_the_quotas_and_is_the_same_again():
    (views,) = epoch(3)
    assert len(views) == len(CELLS)
    assert Counter(CELLS[view.image] for view in views) == {0: 8, 1: 16, 2: 16}
    times = Counter(view.image for view in views)
    assert [times[image] for image in (0, 1)] == [4, 4]
    assert {times[image] for image in range(32, 40)} == {2}
    assert all(times[image] <= 1 for image in range(2, 32))
    for image, count in times.items():  # each time another view
        assert sorted(view.repeat for view in views if view.image == image) == list(range(count))
    assert epoch(3) == [views]
    assert epoch(4) != [views]
    assert epoch(3, seed=1) != [views]


def test_large_cells_are_seen_whole_over_the_epochs():
    seen = {view.image for number in range(12) for view in epoch(number)[0]}
    assert seen == set(range(len(CELLS)))


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_what_one_process_draws(ranks):
    parts = epoch(1, ranks)
    assert len({len(part) for part in parts}) == 1
    together = [view for group in zip(*parts, strict=True) for view in group]
    assert together[: len(CELLS)] == epoch(1)[0]


def test_a_repeated_image_is_augmented_anew(tmp_path):
    file = str(write_image(tmp_path / "a.png", picture(0, 64)))
    turned = Augment([albumentations.Affine(rotate=(-180, 180), p=1.0)])
    cells = LabelledImages(DecodedImages([file], Prepare(64)), ["a"], ["a", "b"], turned)
    views = [cells[Draw(0, epoch, repeat=repeat)].images for epoch in (0, 1) for repeat in (0, 1, 2)]
    assert len({view.numpy().tobytes() for view in views}) == 6
    assert torch.equal(cells[Draw(0, 0)].images, cells[Draw(0, 0, repeat=0)].images)
    file = tmp_path / "store"
    ActivationStore.allocate(file, 3, (1,), torch.float32)
    store = ActivationStore(file, 3, (1,), torch.float32, write=True)
    store.put([0, 1, 2], torch.tensor([[0.0], [1.0], [2.0]]))
    frozen = FrozenImages(cells, store, draws=3)
    values = frozen.__getitems__([Draw(0, 4, repeat=repeat) for repeat in range(4)]).values
    assert values.flatten().tolist() == [1, 2, 0, 1]  # its cached views in turn, from the epoch's own


def test_only_training_images_are_drawn_by_lab_and_class(tmp_path, caplog):
    caplog.set_level("INFO")
    rows = []
    for split, lab, label, count in [
        ("train", "a", "x", 9),
        ("train", "a", "y", 1),
        ("train", "b", "x", 1),
        ("train", "b", "y", 1),
        ("val", "a", "x", 3),
    ]:
        for number in range(count):
            path = write_image(tmp_path / f"{split}{lab}{label}{number}.png", picture(len(rows)))
            rows.append({"path": str(path), "label": label, "source": lab, "split": split, "excluded": ""})
    data = ImageData(
        pd.DataFrame(rows),
        ["x", "y"],
        Prepare(32),
        4,
        Augment([]),
        seed=0,
        workers=0,
        balance=1.0,
        max_repeats=3,
    )
    batches = list(data.train_dataloader())
    images = Counter(torch.cat([batch.indices for batch in batches]).tolist())
    assert sum(images.values()) == 12
    assert [images[number] for number in (9, 10, 11)] == [3, 3, 3]
    assert "a x 9 -> 3, a y 1 -> 3, b x 1 -> 3, b y 1 -> 3" in caplog.text
    assert torch.cat([batch.indices for batch in data.val_dataloader()]).tolist() == [0, 1, 2]
