import errno

import pytest
import torch

from wbc.loading.activations import ActivationStore, content_key
from wbc.loading.decoded import DecodedImages
from wbc.network.backbone import Backbone
from wbc.network.weights_key import weights_key


def built(path, values: torch.Tensor, key: str) -> None:
    part = path.with_suffix(".part")
    ActivationStore.allocate(part, len(values), values.shape[1:], values.dtype)
    store = ActivationStore(part, len(values), values.shape[1:], values.dtype, write=True)
    store.put(range(len(values)), values)
    store.flush()
    store.complete(path, key)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("shape", [(7,), (5, 3, 2), (4, 6)])
def test_values_come_back_as_they_were(tmp_path, dtype, shape):
    values = torch.randn(4, *shape).to(dtype)
    built(tmp_path / "a.values", values, "key")
    store = ActivationStore.opened(tmp_path / "a.values", "key")
    assert torch.equal(store.get([3, 0, 0]), values[[3, 0, 0]])
    assert store.get([1]).dtype == dtype
    if len(shape) == 3:
        assert store.get([0, 1]).is_contiguous(memory_format=torch.channels_last)


def test_another_key_an_unfinished_and_a_missing_store_are_not_opened(tmp_path):
    path = tmp_path / "a.values"
    assert ActivationStore.opened(path, "key") is None
    built(path, torch.zeros(2, 3), "key")
    assert ActivationStore.opened(path, "other") is None
    path.with_suffix(".json").unlink()  # what a kill before the end of a build leaves
    assert ActivationStore.opened(path, "key") is None


def test_a_full_disk_fails_before_anything_is_trusted(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        ActivationStore.allocate(tmp_path / "a.part", 2, (3,), torch.float32)
    assert ActivationStore.opened(tmp_path / "a.values", "key") is None
    with pytest.raises(OSError, match="No space"):
        DecodedImages.allocate(tmp_path / "b.pixels", 2, 32)
    assert not (tmp_path / "b.pixels").exists()


def test_keys_tell_frozen_parts_apart():
    torch.manual_seed(0)
    backbone = Backbone("tf_efficientnet_lite0", 64)
    backbone.freeze(50)
    keys = {weights_key(backbone, backbone.split)}
    backbone.freeze(20)
    keys.add(weights_key(backbone, backbone.split))
    backbone.net.conv_stem.weight.data[0, 0, 0, 0] += 1e-3
    keys.add(weights_key(backbone, backbone.split))
    backbone.net.bn1.running_mean[0] += 1e-3
    keys.add(weights_key(backbone, backbone.split))
    assert len(keys) == 4
    backbone.net.conv_head.weight.data += 1  # trains: decides nothing of the frozen part
    assert weights_key(backbone, backbone.split) in keys
    assert content_key(a=1, b=2) == content_key(b=2, a=1) != content_key(a=2, b=1)
