import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.datamodule import ImageData
from wbc.loading.decoded import DecodedImages
from wbc.loading.epoch_sampler import Draw, EpochSampler
from wbc.loading.labelled_images import PADDING, LabelledImages

CLASSES = ["a", "b"]


@pytest.fixture
def manifest(tmp_path) -> pd.DataFrame:
    rows = []
    rng = np.random.default_rng(0)
    for split, count in {"train": 6, "val": 3, "test_a": 2, "test_b": 4}.items():
        for number in range(count):
            path = tmp_path / f"{split}{number}.png"
            Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
            rows.append({"path": str(path), "label": CLASSES[number % 2], "split": split, "excluded": ""})
    rows[0]["excluded"] = "unreadable: truncated"
    return pd.DataFrame(rows)


def cell_data(manifest, **options) -> ImageData:
    return ImageData(manifest, CLASSES, Prepare(32), 2, Augment([]), seed=0, workers=0, **options)


def test_images_come_as_square_uint8_with_their_label_and_place(manifest):
    images = DecodedImages(manifest["path"].tolist(), Prepare(32))
    cells = LabelledImages(images, manifest["label"].tolist(), CLASSES)
    image, label, index = cells[Draw(3, epoch=0)]
    assert image.shape == (3, 32, 32)
    assert image.dtype == torch.uint8
    assert (label, index) == (1, 3)
    assert cells[Draw(3, epoch=0, counted=False)].labels == PADDING


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("images", [1, 5, 8])
def test_ranks_share_all_images_in_equal_numbers(ranks, shuffle, images):
    parts = [
        list(EpochSampler(images, shuffle=shuffle, seed=0, rank=rank, ranks=ranks)) for rank in range(ranks)
    ]
    assert len({len(part) for part in parts}) == 1
    views = [view for part in parts for view in part]
    assert {view.image for view in views} == set(range(images))
    counted = [view.image for view in views if view.counted]
    if shuffle:
        assert len(counted) == len(views)
    else:
        assert sorted(counted) == list(range(images))


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed: int, epoch: int) -> list[int]:
        views = EpochSampler(50, shuffle=True, seed=seed)
        views.set_epoch(epoch)
        return [view.image for view in views]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_small_set_is_gone_through_several_times_in_an_epoch(ranks):
    """Five images in one epoch were five steps of batches of one, however small the steps."""
    parts = [
        list(EpochSampler(5, shuffle=True, seed=0, rank=rank, ranks=ranks, passes=4)) for rank in range(ranks)
    ]
    draws = [draw for part in zip(*parts, strict=True) for draw in part]
    assert [sorted(draw.image for draw in draws[start : start + 5]) for start in range(0, 20, 5)] == 4 * [
        list(range(5))
    ]
    orders = {tuple(draw.image for draw in draws[start : start + 5]) for start in range(0, 20, 5)}
    assert len(orders) == 4
    for image in range(5):  # each time it is another draw of it
        assert [draw.repeat for draw in draws if draw.image == image] == list(range(4))


def test_the_steps_of_an_epoch_decide_how_often_a_set_is_gone_through(manifest):
    data = cell_data(manifest)
    for steps, draws in ((0, 5), (3, 5), (4, 10), (25, 50)):
        data.start_phase(0, steps)
        assert len(data.train_dataloader().sampler) == draws
        assert len(data.val_dataloader().sampler) == 3


def test_left_out_images_are_left_out_and_sets_are_apart(manifest):
    data = cell_data(manifest)
    assert data.evaluated == ["val", "test_a", "test_b"]
    assert len(data.images("train")) == 5
    assert [len(data.labels(name)) for name in data.evaluated] == [3, 2, 4]


def test_loaders_batch_everything_once(manifest):
    data = cell_data(manifest)
    batches = list(data.val_dataloader())
    assert [len(batch.labels) for batch in batches] == [2, 1]
    assert torch.cat([batch.indices for batch in batches]).tolist() == [0, 1, 2]
    assert sorted(torch.cat([batch.indices for batch in data.train_dataloader()]).tolist()) == list(range(5))
