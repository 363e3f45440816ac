import numpy as np
import pytest
import torch
from PIL import Image

import wbc
from wbc.answers.checkpoint import load_network, save_model
from wbc.answers.predictor import Predictor
from wbc.errors import CheckpointError, DataError
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()


def test_a_saved_model_predicts_the_same_from_files_and_arrays(tmp_path, network):
    path = tmp_path / "model.ckpt"
    save_model(Predictor(network), path, {"seed": 0})
    rng = np.random.default_rng(0)
    cells = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(3)]
    files = []
    for number, cell in enumerate(cells):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(cell).save(files[-1])
    predictor = wbc.load(path)
    labels, probabilities, *_ = predictor.predict(files)
    with torch.no_grad():
        logits = network(torch.from_numpy(np.stack(cells)).permute(0, 3, 1, 2))
    np.testing.assert_allclose(probabilities, logits.softmax(1), atol=1e-6)
    assert labels == [CLASSES[i] for i in logits.argmax(1).tolist()]
    np.testing.assert_allclose(predictor.predict(cells, batch_size=2).probabilities, probabilities, atol=1e-6)
    assert predictor.predict([]).probabilities.shape == (0, 5)
    assert torch.load(path, weights_only=True)["wbc"]["classes"] == list(CLASSES)


def test_other_sizes_are_resized_and_other_arrays_refused(tmp_path, network):
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    predictor = wbc.load(tmp_path / "model.ckpt")
    assert len(predictor.predict([np.zeros((30, 50, 3), np.uint8)]).labels) == 1
    for wrong in (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            predictor.predict([wrong])
    with pytest.raises(DataError, match=r"gone\.png"):
        predictor.predict([tmp_path / "gone.png"])


@pytest.mark.parametrize("content", ["missing", "folder", "weights", "text", "damaged", "other version"])
def test_what_is_no_model_is_refused(tmp_path, network, content):
    path = tmp_path / "model.ckpt"
    if content == "folder":
        path.mkdir()
    elif content == "weights":
        torch.save(network.state_dict(), path)
    elif content == "text":
        path.write_text("?")
    elif content in ("damaged", "other version"):
        save_model(Predictor(network), path, {})
        stored = torch.load(path, weights_only=True)
        del stored["wbc"][{"damaged": "head_units", "other version": "format"}[content]]
        torch.save(stored, path)
    mend = r"model\.ckpt.*train it anew" if content == "other version" else r"model\.ckpt"
    with pytest.raises(CheckpointError, match=mend):
        load_network(path)
