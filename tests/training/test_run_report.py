"""The results of a run and its report: of which outputs they are made, each image seen once."""

import json

import albumentations
import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from tests.helpers.trees import picture, write_image
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.datasets.manifest import COLUMNS
from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.datamodule import ImageData
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.layout import phase_logits
from wbc.training.final_model import final_model
from wbc.training.measuring import write_logits
from wbc.training.results import run_results
from wbc.training.run_report import write_run_report

CLASSES = ["Basophil", "Monocyte"]


@pytest.mark.parametrize(("draws", "said"), [(0, ""), (2, "averaged over 3 test-time views of each image")])
def test_page_answers_and_metrics_are_of_one_pass_over_the_images(tmp_path, monkeypatch, draws, said):
    reports, seen = [], []
    monkeypatch.setattr("wbc.training.run_report.write_report", lambda report, folder: reports.append(report))
    monkeypatch.setattr("wbc.training.run_report.write_set_figures", lambda *_: None)
    outputs = Predictor.outputs
    monkeypatch.setattr(
        Predictor, "outputs", lambda self, pixels: seen.append(len(pixels)) or outputs(self, pixels)
    )
    rows = [
        {"path": str(write_image(tmp_path / f"{n}.png", picture(n, 64))), "label": CLASSES[n % 2]}
        for n in range(16)
    ]
    manifest = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
    manifest["split"] = ["train"] * 4 + ["val"] * 4 + ["test"] * 8
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES, (8,)).eval()
    augment = Augment([albumentations.Affine(rotate=(-180, 180), p=1.0)])
    data = ImageData(manifest, CLASSES, Prepare(64), 4, augment, 0, 0)
    pixels = torch.from_numpy(np.stack([picture(n, 64) for n in range(8, 16)])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        alone = network(pixels)
    before = {"val": torch.zeros(4, 2), "test": alone.flip(1)}
    write_logits(phase_logits(tmp_path, "head"), before)
    config = composed(*SMALL, f"model.test_time.draws={draws}", "abstain.max_error=0.5")
    final = final_model(config, network, augment, data)
    assert sum(seen) == 12  # validation and test images, once each
    save_model(final.predictor, tmp_path / "model.ckpt", {"config": {"seed": 3}})
    results = run_results(tmp_path, ["head", "finetune"], "finetune", manifest, final)
    write_run_report(tmp_path, "run", "finetune", final.predictor, results, {"folds": 5})
    assert sum(seen) == 12
    (report,) = reports
    assert [result.name for result in report.results] == ["test"]
    assert report.cross_validation == {"folds": 5}
    plain = report.results[0].plain
    torch.testing.assert_close(plain["without fine-tuning"], alone.flip(1).double().softmax(dim=1))
    joint = outputs(final.predictor, pixels).logits
    torch.testing.assert_close(plain["with fine-tuning"], joint.double().softmax(dim=1), atol=1e-5, rtol=0)
    assert torch.allclose(joint, alone, atol=1e-5) == (draws == 0)
    assert said in report.remark
    written = json.loads((tmp_path / "evaluation.json").read_text())["sets"]["test"]
    assert written["accuracy"] == (joint.argmax(dim=1) == torch.arange(8) % 2).float().mean()
